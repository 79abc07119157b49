from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from fairlead.discover import Answer
from fairlead.discover.schedule import LONGEST_BACKOFF, Schedule

A, B, SIX = ip_address("10.0.0.1"), ip_address("10.0.0.2"), ip_address("2001:db8::1")


def scheduled(*names: str, min_ttl: float = 1, max_ttl: float = 300) -> Schedule:
    schedule = Schedule()
    schedule.use(names, 0, min_ttl=min_ttl, max_ttl=max_ttl)
    return schedule


@given(ttl=st.floats(0, 1e6), least=st.floats(0.001, 100), span=st.floats(0, 1000))
def test_a_ttl_is_kept_within_its_bounds(ttl: float, least: float, span: float) -> None:
    schedule = scheduled("app", min_ttl=least, max_ttl=least + span)
    schedule.answered("app", Answer((A,), (), ttl), 0)
    due = schedule.next_due()
    assert due is not None
    assert least <= due <= least + span
    assert due == ttl or due in {least, least + span}


@given(st.lists(st.booleans(), max_size=60))
def test_through_failures_the_last_good_addresses_stand_and_the_next_question_is_near(
    outcomes: list[bool],
) -> None:
    schedule = scheduled("app")
    good = False
    for works in outcomes:
        now = schedule.next_due() or 0.0
        if works:
            schedule.answered("app", Answer((B, A), (SIX,), 5), now)
            good = True
        else:
            schedule.failed("app", now)
        assert schedule.addresses("app") == ((A, B, SIX) if good else ())
        assert now < (schedule.next_due() or 0.0) <= now + LONGEST_BACKOFF


def test_a_family_that_could_not_be_asked_keeps_its_addresses() -> None:
    schedule = scheduled("app")
    schedule.answered("app", Answer((A,), (SIX,), 5), 0)
    assert schedule.answered("app", Answer((B,), None, 5), 5)
    assert schedule.addresses("app") == (B, SIX)


def test_a_name_that_stays_in_use_keeps_its_answer_and_its_time() -> None:
    schedule = scheduled("app", "old")
    schedule.answered("app", Answer((A,), (), 50), 0)
    schedule.use(["app", "new"], 10, min_ttl=1, max_ttl=300)
    assert schedule.due(10) == ["new"]
    assert schedule.addresses("app") == (A,)
    assert not schedule.answered("old", Answer((B,), (), 5), 10)
