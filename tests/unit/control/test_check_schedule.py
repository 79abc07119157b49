"""When programs that check backends are due."""

from fairlead.control.check_schedule import Pace, Schedule

PACE = Pace(interval=10.0, fast_interval=1.0)
KEY = ("app", "a")


def made(schedule: Schedule, now: float) -> int:
    """Make everything that is due; how much that was."""
    count = 0
    while (taken := schedule.take(now)) is not None:
        schedule.done(*taken, now, changing=False)
        count += 1
    return count


def test_checks_that_begin_together_spread_over_their_interval() -> None:
    schedule = Schedule()
    for number in range(1000):
        schedule.set(("app", str(number)), "check", PACE, 0.0)
    assert made(schedule, 0.0) == 1000
    counts = [made(schedule, second) for second in range(1, 31)]
    assert sum(counts) == 3000
    assert 60 < min(counts) <= max(counts) < 140


def test_reloads_that_leave_a_check_alone_leave_its_timer_alone() -> None:
    schedule = Schedule()
    count = 0
    for reload in range(100):
        schedule.set(KEY, "check", PACE, reload / 5)
        count += made(schedule, reload / 5)
    assert 2 <= count <= 4


def test_a_changed_check_is_made_at_once_and_the_old_result_is_void() -> None:
    schedule = Schedule()
    schedule.set(KEY, "old", PACE, 0.0)
    assert schedule.take(0.0) == (KEY, "old")
    schedule.set(KEY, "new", PACE, 1.0)
    assert not schedule.is_current(KEY, "old")
    schedule.done(KEY, "old", 1.0, changing=False)
    assert schedule.take(1.0) == (KEY, "new")
    schedule.done(KEY, "new", 1.0, changing=True)
    assert schedule.next_due() == 2.0
    schedule.retain([])
    assert schedule.next_due() is None


def test_another_interval_counts_from_now_on_and_never_makes_a_check_later() -> None:
    schedule = Schedule()
    schedule.set(KEY, "check", Pace(3600.0, 1.0), 0.0)
    assert made(schedule, 0.0) == 1
    schedule.set(KEY, "check", PACE, 1.0)
    due = schedule.next_due()
    assert due is not None
    assert 1.0 < due <= 11.0
    schedule.set(KEY, "check", Pace(3600.0, 1.0), 1.0)
    assert schedule.next_due() == due
    schedule.hurry(1.5)
    assert schedule.next_due() == 1.5
