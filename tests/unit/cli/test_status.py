"""The tables of `status`."""

from rich.console import Console, RenderableType

from fairlead.cli.status import listeners, pools, queues
from fairlead.model.stats import BackendStats, BindStats, Latency, ListenerStats, PoolStats, QueueStats
from fairlead.model.status import Status

STATUS = Status(
    version="1.0",
    pid=1,
    phase="serving",
    ready=True,
    directory="/run/fairlead",
    admin=(),
    plan_version=1,
    plans_alive=1,
    plan=None,
    engine=None,
    reload=None,
    listeners=(
        ListenerStats(
            name="web",
            binds=(BindStats(text=":80", bound="[::]:80"), BindStats(text="x", bound="/run/x")),
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
            queue=QueueStats(waiting=2, served=1_234, timed_out=3, refused=4),
            backends=(BackendStats(id="c", address="10.0.0.3:80", state="draining"),),
        ),
    ),
)


def rows(table: RenderableType) -> list[list[str]]:
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return [line.split() for line in captured.get().splitlines()]


def test_each_address_has_a_row() -> None:
    assert [row[2] for row in rows(listeners(STATUS))[1:]] == ["[::]:80", "/run/x"]


def test_each_backend_has_a_row_with_its_share_of_its_pool() -> None:
    _, first, second, third = rows(pools(STATUS))
    assert first == ["app", "[fd00::1]:80", "up", "1", "0", "3", "75.0%", "1", "0", "-", "-"]
    assert second == ["b", "up", "1", "0", "1", "25.0%", "0", "2", "1.2", "ms", "9.0", "ms"]
    assert third[:3] == ["idle", "c", "draining"]
    assert third[6] == "-"


def test_each_queue_has_a_row() -> None:
    assert rows(queues(STATUS))[1:] == [["idle", "2", "1,234", "3", "4"]]
