from __future__ import annotations

from typing import Any

import pytest

from support.advised import advised


def hints(check: dict[str, Any] | None, **pool: Any) -> dict[str, str]:  # noqa: ANN401  (any key of a pool)
    checked = {} if check is None else {"health_check": check}
    return advised({"backends": ["127.0.0.1:1", "127.0.0.1:2"], **checked, **pool})


@pytest.mark.parametrize(
    "check", [None, {"path": "/health"}, {"type": "tcp"}, {"type": "exec", "command": ["/bin/check"]}]
)
def test_a_usual_check_needs_no_advice(check: dict[str, Any] | None) -> None:
    assert hints(check) == {}


@pytest.mark.parametrize(
    ("check", "key", "text"),
    [
        ({"type": "tcp", "unhealthy_threshold": 1}, ".unhealthy_threshold", "one slow answer"),
        ({"type": "tcp", "interval": "3s"}, ".timeout", "longer than interval (3s)"),
        ({"type": "tcp", "fast_interval": "11s"}, ".fast_interval", "longer than interval (10s)"),
        ({}, "", "asks for /"),
        ({"type": "exec", "command": ["/bin/check -v"]}, ".command", "one name with spaces"),
        (
            {
                "type": "exec",
                "command": ["x"],
                "interval": "50ms",
                "timeout": "40ms",
                "fast_interval": "10ms",
            },
            ".interval",
            "40 programs a second",
        ),
    ],
)
def test_a_check_that_works_badly_is_pointed_out(check: dict[str, Any], key: str, text: str) -> None:
    found = hints(check)
    assert list(found) == [f"pools.app.health_check{key}"]
    assert text in found[f"pools.app.health_check{key}"]


def test_so_many_checks_that_they_cost_something_are_pointed_out() -> None:
    backends = [f"10.0.{n // 250}.{n % 250}:1" for n in range(1_500)]
    found = hints({"type": "tcp", "interval": "1s", "timeout": "1s"}, backends=backends)
    assert "1500 checks a second" in found["pools.app.health_check.interval"]


def test_a_pool_in_which_nothing_notices_a_failure_is_pointed_out() -> None:
    assert "neither" in hints(None, passive_health="off")["pools.app"]
