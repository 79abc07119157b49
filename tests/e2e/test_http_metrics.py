"""The metrics page: well-formed, true, and no larger for whatever clients send."""

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {
    "listeners": {
        "web": {
            "routes": [
                {"name": "a", "match": {"path": "/a/*"}, "pool": "app"},
                {"match": {"path": "/b"}, "pool": "app"},
            ]
        }
    }
}


async def _get(stage: Stage, path: str, method: str = "GET", host: str = "a") -> int:
    return (await stage.ask(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())).status


async def test_requests_are_counted_by_listener_route_and_code(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    before = await stage.metric("fairlead_requests_total", listener="web", route="a", code="200")
    unrouted = await stage.metric("fairlead_requests_total", listener="web", route="", code="404")
    for _ in range(3):
        assert await _get(stage, "/a/x") == 200
    assert await _get(stage, "/nowhere") == 404
    await stage.until("fairlead_requests_total", before + 3, listener="web", route="a", code="200")
    await stage.until("fairlead_requests_total", unrouted + 1, listener="web", route="", code="404")


async def test_backends_are_counted_by_code_and_duration_by_listener(stage: Stage) -> None:
    stage.backend.behaviour = answering(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n")
    assert await _get(stage, "/b") == 418
    await stage.until("fairlead_backend_requests_total", 1, pool="app", code="418")
    page = await stage.metrics()
    family = page["fairlead_request_duration_seconds"]
    counted = family.samples["fairlead_request_duration_seconds_count", (("listener", "web"),)]
    assert counted == sum(page["fairlead_requests_total"].samples.values())


async def test_clients_cannot_make_series(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    await _get(stage, "/a/x")
    before = {name for family in (await stage.metrics()).values() for name in family.samples}
    for number in range(100):
        await _get(stage, f"/a/{number}", method=f"M{number}", host=f"h{number}.example")
        await _get(stage, f"/{number}", host=f"h{number}.example")
    after = {name for family in (await stage.metrics()).values() for name in family.samples}
    unrouted = ("fairlead_requests_total", (("listener", "web"), ("route", ""), ("code", "404")))
    assert after <= before | {unrouted}, after - before


async def test_page_says_what_it_is(stage: Stage) -> None:
    page = await stage.metrics()
    for name in (
        "fairlead_requests_total",
        "fairlead_backend_requests_total",
        "fairlead_request_duration_seconds",
        "fairlead_active_connections",
        "fairlead_backend_up",
        "fairlead_access_log_dropped_total",
        "fairlead_process_cpu_seconds_total",
    ):
        assert name in page
