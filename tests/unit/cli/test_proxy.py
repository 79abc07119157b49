"""The command line as a configuration."""

from typing import Any

import pytest

from fairlead.cli import proxy
from fairlead.cli.proxy import ArgumentSource
from fairlead.compile import Accepted, spec
from fairlead.errors import Problem, UsageError
from fairlead.model import Configuration


def accept(configuration: Configuration) -> Accepted:
    """Without the engine's judgement, which needs the native module."""
    return Accepted(configuration, spec(configuration, version=1), ())


@pytest.fixture(autouse=True)
def _without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "accept", accept)


def read(*backends: str, bind: str = ":0", algorithm: str = "round_robin") -> dict[str, Any]:
    return ArgumentSource(bind, backends, algorithm).read().spec


def test_arguments_make_the_model_of_a_file() -> None:
    description = read("127.0.0.1:9001", "127.0.0.1:9002", algorithm="least_connections")
    assert [bind["text"] for bind in description["listeners"][0]["binds"]] == [":0"]
    pool = description["pools"][0]
    assert pool["algorithm"] == "least_connections"
    assert [(each["id"], each["weight"]) for each in pool["backends"]] == [
        ("127.0.0.1:9001", 1),
        ("127.0.0.1:9002", 1),
    ]


def test_digits_behind_the_last_equals_sign_are_a_weight() -> None:
    backends = read("127.0.0.1:9001=3", "unix:/run/a=b.sock", "unix:/run/a=b=2")["pools"][0]["backends"]
    assert [(each["address"], each["weight"]) for each in backends] == [
        ({"ip": "127.0.0.1:9001"}, 3),
        ({"unix": "/run/a=b.sock"}, 1),
        ({"unix": "/run/a=b"}, 2),
    ]


@pytest.mark.parametrize(
    ("arguments", "blamed"),
    [
        ({"bind": "nonsense"}, "BIND nonsense"),
        ({"algorithm": "leastconn"}, "--algorithm leastconn"),
        ({"backends": ("127.0.0.1:9001", "127.0.0.1")}, "BACKEND 127.0.0.1"),
        ({"backends": ("127.0.0.1:9001=70000",)}, "BACKEND 127.0.0.1:9001=70000"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], blamed: str) -> None:
    given = {"bind": ":0", "backends": ("127.0.0.1:9001",), "algorithm": "round_robin", **arguments}
    with pytest.raises(UsageError, match=blamed) as refused:
        ArgumentSource(**given).read()
    assert refused.value.exit_code == 2


def test_what_the_engine_finds_is_named_by_its_argument() -> None:
    source = ArgumentSource(":80", ("a:1", "b:2"), "first")
    placed = source.place([Problem(("listeners", "web", "bind"), "is taken"), Problem((), "no")])
    assert [str(one) for one in placed] == ["BIND :80: is taken", ": no"]
