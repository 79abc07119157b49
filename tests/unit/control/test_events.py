"""The ring of events and its readers."""

import asyncio

import pytest

from fairlead.control.events import EventLog, Reader
from fairlead.model.event import Event


def log(capacity: int = 3) -> EventLog:
    return EventLog(capacity, lambda: 7)


def write(to: EventLog, *kinds: str) -> list[str]:
    return [to.append(kind, {}).id or "" for kind in kinds]


async def read(reader: Reader) -> str | None:
    async with asyncio.timeout(1):
        event = await reader.next()
    return event.kind if event else None


async def reason(reader: Reader) -> str:
    event = await reader.next()
    assert event is not None
    assert (event.kind, event.id) == ("gap", None)
    return str(event.details["reason"])


async def test_a_reader_gets_what_comes_after_it_came() -> None:
    events = log()
    write(events, "before")
    reader = events.reader()
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    event = events.append("applied", {"version": 2}, at_ms=5)
    assert event == Event(id="7-2", kind="applied", at_ms=5, details={"version": 2})
    assert await waiting == event


async def test_a_reader_that_comes_back_goes_on_behind_the_last_it_has() -> None:
    events = log()
    first, _, third = write(events, "one", "two", "three")
    reader = events.reader(first)
    assert [await read(reader) for _ in range(2)] == ["two", "three"]
    reader = events.reader(third)
    write(events, "four")
    assert await read(reader) == "four"


async def test_a_reader_that_was_away_too_long_is_told_what_it_missed() -> None:
    events = log()
    first, *_ = write(events, "1", "2", "3", "4", "5")
    reader = events.reader(first)
    assert await reason(reader) == "an event is no longer kept"
    assert [await read(reader) for _ in range(3)] == ["3", "4", "5"]


@pytest.mark.parametrize("last", ["6-1", "7-x", "", "7"])
async def test_an_id_of_another_life_gets_all_there_is_and_is_told_so(last: str) -> None:
    events = log()
    write(events, "1", "2")
    reader = events.reader(last)
    assert "earlier life" in await reason(reader)
    assert [await read(reader) for _ in range(2)] == ["1", "2"]


async def test_an_id_that_is_still_to_come_is_now() -> None:
    events = log()
    write(events, "1")
    reader = events.reader("7-99")
    write(events, "2")
    assert await read(reader) == "2"


async def test_a_reader_too_slow_for_the_ring_is_told_so_and_sent_away() -> None:
    events = log()
    slow, quick = events.reader(), events.reader()
    for number in range(5):
        write(events, str(number))
        assert await read(quick) == str(number)
    assert await reason(slow) == "too slow: 2 events are no longer kept"
    assert await slow.next() is None
    write(events, "5")
    assert await read(quick) == "5"


async def test_a_cancelled_wait_loses_nothing() -> None:
    events = log()
    reader = events.reader()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await reader.next()
    write(events, "one")
    assert await read(reader) == "one"


def test_events_are_found_by_their_backend() -> None:
    events = log()
    events.append("backend_state", {"pool": "app", "backend": "one", "to": "up"})
    events.append("backend_state", {"pool": "app", "backend": "two", "to": "up"})
    events.append("applied", {"version": 1})
    assert [event.details["backend"] for event in events.about("app", "two")] == ["two"]
