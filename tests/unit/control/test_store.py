"""One writer, snapshots that stand still, waiters that wake."""

import asyncio

from fairlead.control.messages import Hello
from fairlead.control.store import Absent, Proposal, Running, State, Store
from fairlead.model.stats import EngineStats

HELLO = Hello(version="1", pid=7, workers=2, plan_version=None, bound={}, settings={})


def proposal(version: int) -> Proposal:
    return Proposal(number=version, version=version, spec={}, source="f")


async def test_a_snapshot_does_not_change_under_its_reader() -> None:
    store = Store()
    before = store.state
    store.update(restarts=3)
    assert before.restarts == 0
    assert store.state.restarts == 3


async def test_who_waits_wakes_at_the_change_that_it_waits_for() -> None:
    store = Store()
    waiting = asyncio.ensure_future(store.until(lambda state: state.restarts == 2))
    for restarts in (1, 3, 2):
        await asyncio.sleep(0)
        assert not waiting.done()
        store.update(restarts=restarts)
    assert (await waiting).restarts == 2


async def test_a_state_that_holds_already_is_not_waited_for() -> None:
    assert await Store().until(lambda _: True) == State()


async def test_what_is_observed_of_an_engine_that_is_gone_is_dropped() -> None:
    store = Store()
    store.observe_engine(serving=3)
    assert store.state.engine == Absent()


def test_ready_needs_the_accepted_version_to_serve_and_to_say_so() -> None:
    engine = Running(hello=HELLO, adopted=False, since=0.0, serving=2)
    well = EngineStats(plan_version=2, ready=True)
    assert State(engine=engine, accepted=proposal(2), stats=well).ready
    assert not State(engine=engine, accepted=proposal(3), stats=well).ready
    assert not State(engine=engine, accepted=proposal(2), stats=EngineStats(plan_version=2)).ready
    assert not State(engine=engine, accepted=proposal(2), stats=EngineStats(plan_version=1, ready=True)).ready
    assert not State(engine=Absent(), accepted=proposal(2), stats=well).ready
