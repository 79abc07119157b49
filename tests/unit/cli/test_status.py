"""The tables of `status`."""

from rich.console import Console, RenderableType

from fairlead.cli.status import clients, listeners, pools, queues
from fairlead.model.stats import (
    AffinityStats,
    BackendStats,
    BindStats,
    Latency,
    ListenerStats,
    Mode,
    OperatorStats,
    PoolStats,
    QueueStats,
)
from support.reported import reported

STATUS = reported(
    listeners=(
        ListenerStats(
            name="web",
            binds=(BindStats(text=":80", bound="[::]:80"), BindStats(text="x", bound="/run/x")),
            connections=2,
            accepted=7,
            requests=1234,
            codes={"2xx": 1230, "5xx": 4},
        ),
    ),
    pools=(
        PoolStats(
            name="app",
            backends=(
                BackendStats(id="[fd00::1]:80", address="[fd00::1]:80", requests=3, codes={"5xx": 1}),
                BackendStats(
                    id="b", address="10.0.0.2:80", requests=1, latency_ms=Latency(p50=1.25, p99=9), resets=2
                ),
            ),
        ),
        PoolStats(
            name="idle",
            affinity=AffinityStats(entries=1_200, capacity=8_000, evicted=3, store_connected=False),
            queue=QueueStats(waiting=2, served=1_234, timed_out=3, refused=4),
            backends=(
                BackendStats(
                    id="c",
                    address="10.0.0.3:80",
                    state="draining",
                    share=0.0,
                    in_flight=2,
                    deadline_ms=65_000,
                ),
            ),
        ),
    ),
)


def rows(table: RenderableType) -> list[list[str]]:
    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return [line.split() for line in captured.get().splitlines()]


def of(*backends: BackendStats, everything: bool = False) -> list[str]:
    """The rows of one pool, at second 5."""
    status = STATUS.model_copy(update={"pools": (PoolStats(name="app", backends=backends),)})
    return [" ".join(row) for row in rows(pools(status, 5_000, everything=everything))[1:]]


def operated(mode: Mode, weight: int | None = None) -> OperatorStats:
    return OperatorStats(mode=mode, weight=weight)


def test_each_address_has_a_row_and_what_is_counted_stands_once() -> None:
    assert rows(listeners(STATUS))[1:] == [
        ["web", "serving", "[::]:80", "2", "7", "1,234", "4"],
        ["/run/x"],
    ]


def test_each_backend_has_a_row_with_its_share_of_its_pool() -> None:
    _, first, second, third = rows(pools(STATUS, 5_000))
    assert first == ["app", "[fd00::1]:80", "up", "1", "0", "3", "75.0%", "1", "0", "-", "-"]
    assert second == ["b", "up", "1", "0", "1", "25.0%", "0", "2", "1.2", "ms", "9.0", "ms"]
    assert third[:3] == ["idle", "c", "draining"]
    assert third[6] == "-"
    assert " ".join(third[-9:]) == "left the configuration: 2 open, cut in 60 s"


def test_each_queue_has_a_row() -> None:
    assert rows(queues(STATUS))[1:] == [["idle", "2", "1,234", "3", "4"]]


def test_a_state_says_why_and_since_when() -> None:
    ejected = BackendStats(
        id="a", address="x", state="ejected", share=0.0, reason="connections refused", since_ms=3_000
    )
    slowed = BackendStats(id="b", address="x", weight=3, state="degraded", share=0.25, reason="more errors")
    one, other = of(ejected, slowed)
    assert one.endswith("connections refused, for 2 s")
    assert "degraded 25% of 3" in other
    assert other.endswith("more errors")


def test_what_an_operator_said_stands_beside_the_state() -> None:
    drained = BackendStats(
        id="a",
        address="x",
        state="draining",
        share=0.0,
        in_flight=12,
        deadline_ms=47_000,
        operator=operated("drain"),
        reason="operator",
    )
    disabled = BackendStats(
        id="b", address="x", state="disabled", share=0.0, operator=operated("disable"), deadline_ms=1
    )
    weighed = BackendStats(id="c", address="x", weight=5, operator=operated("none", 5))
    one, two, three = of(drained, disabled, weighed)
    assert one.endswith("drained by an operator: 12 open, cut in 42 s")
    assert two.endswith("disabled by an operator")
    assert three.endswith("weight by an operator")


def test_an_open_breaker_is_shown_whatever_the_state() -> None:
    (broken,) = of(BackendStats(id="a", address="x", breaker="open"))
    assert broken.startswith("app a up")
    assert broken.endswith("breaker open")


def test_of_a_large_pool_the_sum_and_the_unwell_are_shown() -> None:
    many = [BackendStats(id=f"b{number}", address="x", requests=2, in_flight=1) for number in range(1_000)]
    many[500] = BackendStats(id="sick", address="x", state="ejected", share=0.0, resets=9)
    summed, sick = of(*many)
    assert summed == "app 1,000 backends 999 up, 1 ejected 999 1,998 0 9"
    assert sick.startswith("sick ejected")
    assert len(of(*many, everything=True)) == 1_000


def test_of_many_unwell_ones_the_first_are_shown_and_the_others_counted() -> None:
    many = [BackendStats(id=f"b{number}", address="x", state="down", share=0.0) for number in range(1_000)]
    shown = of(*many)
    assert len(shown) == 34
    assert shown[-1] == "… 968 more that are not well: --all"


def test_each_pool_that_remembers_its_clients_has_a_row() -> None:
    assert rows(clients(STATUS))[1:] == [["idle", "1,200", "8,000", "3", "the", "store", "is", "away"]]
