"""What `top` makes of two reports."""

from typing import Any

import pytest
from rich.console import Console

from fairlead.cli.top.picture import picture
from fairlead.cli.top.rates import Rates, Sample, between
from fairlead.model.stats import BackendStats, Latency, ListenerStats, PoolStats, Totals
from fairlead.model.status import EngineStatus, Status
from support.reported import reported


def status(
    *backends: BackendStats, engine: dict[str, Any] | None = None, requests: int = 0, errors: int = 0
) -> Status:
    running = {"pid": 7, "version": "1", "workers": 1, "adopted": False, "restarts": 0, "started_at_ms": 1}
    web = ListenerStats(
        name="web",
        connections=3,
        requests=requests,
        codes={"2xx": requests - errors, "5xx": errors},
        latency_ms=Latency(count=requests, sum=2.0 * requests),
    )
    return reported(
        engine=EngineStatus(**(running | (engine or {}))),
        listeners=(web,),
        pools=(PoolStats(name="app", backends=backends),),
        totals=Totals(connections=3),
    )


def backend(name: str, requests: int = 0, **more: Any) -> BackendStats:  # noqa: ANN401 - fields of it
    return BackendStats(id=name, address="x", requests=requests, **more)


def watched(before: Status, after: Status, seconds: float = 2.0) -> Rates:
    return between(Sample(before, 10.0), Sample(after, 10.0 + seconds), now_ms=5_000)


def printed(status: Status, rates: Rates, lines: int | None = None) -> list[str]:
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(picture(status, rates, lines))
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_rates_are_what_was_added_by_the_seconds_between() -> None:
    before = status(backend("a", 100), requests=200, engine={"cpu_seconds": 1.0})
    after = status(
        backend("a", 140, codes={"5xx": 2}, resets=2, latency_ms=Latency(count=10, sum=35.0)),
        requests=300,
        errors=10,
        engine={"cpu_seconds": 1.5, "rss_bytes": 2**20},
    )
    rates = watched(before, after)
    (web,), (one,) = rates.listeners, rates.backends
    assert web.flow is not None
    assert one.flow is not None
    assert (web.flow.requests_per_second, web.flow.errors_per_second, web.flow.mean_ms) == (50, 5, 2.0)
    assert (one.flow.requests_per_second, one.flow.errors_per_second, one.flow.mean_ms) == (20, 2, 3.5)
    assert (rates.cpu, rates.rss_bytes, rates.seconds) == (0.25, 2**20, 2.0)
    assert rates.flow == web.flow


def test_sessions_are_shown_as_requests_and_those_without_a_backend_as_errors() -> None:
    def of(accepted: int, none: int) -> Status:
        mqtt = ListenerStats(
            name="mqtt",
            protocol="tcp",
            accepted=accepted,
            refused={"client_limit": 10},
            sessions={"client": accepted // 2, "no_backend": none},
            latency_ms=Latency(count=accepted // 2, sum=30.0 * accepted),
        )
        return status().model_copy(update={"listeners": (mqtt,)})

    ((mqtt,), before) = watched(of(110, 0), of(210, 4)).listeners, of(110, 0).listeners[0]
    assert mqtt.flow is not None
    assert (mqtt.flow.requests_per_second, mqtt.flow.errors_per_second, mqtt.flow.mean_ms) == (50, 2, 60.0)
    assert (before.served, before.failed) == (100, 0)


def test_shares_are_those_of_the_requests_of_the_pool_in_this_time() -> None:
    rates = watched(status(backend("a", 1_000), backend("b")), status(backend("a", 1_030), backend("b", 10)))
    assert [row.share for row in rates.backends] == [0.75, 0.25]
    idle = watched(status(backend("a", 5)), status(backend("a", 5)))
    assert idle.backends[0].share is None


@pytest.mark.parametrize("before", [None, Sample(status(backend("a", 9), engine={"started_at_ms": 0}), 1.0)])
def test_without_an_earlier_report_of_the_same_engine_nothing_flows_yet(before: Sample | None) -> None:
    after = status(backend("a", 5), requests=5)
    rates = between(before, Sample(after, 2.0), now_ms=0)
    assert (rates.flow, rates.cpu, rates.backends[0].flow) == (None, None, None)
    assert printed(after, rates)[1] == "engine 7 cpu - 0 MiB 3 connections - req/s - err/s mean -"


def test_a_backend_that_came_back_counts_anew() -> None:
    rates = watched(status(backend("a", 1_000)), status(backend("a", 4)))
    assert rates.backends[0].flow is not None
    assert rates.backends[0].flow.requests_per_second == 2


def test_the_screen_has_fairlead_the_listeners_and_the_backends() -> None:
    before = status(backend("a", 100), backend("b"), requests=100)
    after = status(
        backend("a", 300, in_flight=2, latency_ms=Latency(count=5, sum=10.0)),
        backend("b", state="ejected", share=0.0, reason="connections refused", since_ms=4_000),
        requests=301,
    )
    assert printed(after, watched(before, after)) == [
        "Fairlead 1.0 ready no plan yet control 1",
        "engine 7 cpu 0% 0 MiB 3 connections 100 req/s 0 err/s mean 2.0 ms",
        "listener state open req/s err/s mean",
        "web serving 3 100 0 2.0 ms",
        "",
        "pool backend state weight active req/s err/s mean share",
        "app a up 1 2 100 0 2.0 ms 100.0%",
        "b ejected 1 0 0 0 - 0.0% connections refused, for 1 s",
    ]


def test_of_more_backends_than_lines_the_unwell_and_the_busiest_are_shown() -> None:
    calm = [backend(f"b{number}") for number in range(50)]
    busy = [backend(f"b{number}", number) for number in range(49)]
    after = status(*busy, backend("b49", state="down", share=0.0, reason="its check failed"))
    rates = watched(status(*calm), after)
    lines = printed(after, rates, lines=10)
    assert len(lines) == 10
    assert [line.removeprefix("app ").split()[0] for line in lines[6:9]] == ["b49", "b48", "b47"]
    assert lines[-1] == "… 47 more"
