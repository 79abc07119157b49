"""What control does next, from every kind of state."""

from dataclasses import replace

import pytest

from fairlead.control.errors import EngineLost
from fairlead.control.messages import Hello, MemberList, Setting
from fairlead.control.reconcile import (
    STEADY_SECONDS,
    ApplyPlan,
    Fail,
    Finish,
    SendMembers,
    SendSetting,
    StartEngine,
    StopEngine,
    accepted,
    after_death,
    backoff,
    holds,
    next_action,
    pinned,
)
from fairlead.control.store import Absent, Proposal, Running, State

HELLO = Hello(version="1", pid=7, workers=2, plan_version=None, bound={}, settings={})
ENGINE = Running(hello=HELLO, adopted=False, since=0.0, serving=None)
MEMBERS = MemberList("app", ({"id": "a"},))


def spec(*, version: int = 1, resolved: bool = False) -> dict[str, object]:
    return {"version": version, "listeners": [], "pools": [{"name": "app", "resolved": resolved}]}


def proposal(number: int = 1, version: int = 1, *, resolved: bool = False) -> Proposal:
    return Proposal(
        number=number, version=version, spec=spec(version=version, resolved=resolved), source="f.yaml"
    )


def test_without_an_engine_one_is_started_at_once() -> None:
    assert next_action(State(proposal=proposal())) == StartEngine(0.0)


def test_a_new_engine_gets_the_proposal() -> None:
    state = State(engine=ENGINE, proposal=proposal())
    assert next_action(state) == ApplyPlan(proposal(), again=False)


def test_an_adopted_engine_gets_the_proposal_as_a_reload() -> None:
    engine = replace(ENGINE, adopted=True, serving=6)
    state = State(engine=engine, proposal=proposal(version=7))
    assert next_action(state) == ApplyPlan(proposal(version=7), again=False)


def test_nothing_is_done_while_all_is_as_it_should_be() -> None:
    state = State(engine=replace(ENGINE, serving=1), accepted=proposal())
    assert next_action(state) is None


def test_an_engine_after_a_death_gets_what_was_accepted_before_what_is_new() -> None:
    state = State(engine=ENGINE, accepted=proposal(), proposal=proposal(2, 2))
    assert next_action(state) == ApplyPlan(proposal(), again=True)
    state = replace(state, engine=replace(ENGINE, serving=1))
    assert next_action(state) == ApplyPlan(proposal(2, 2), again=False)


def test_members_follow_the_plan_and_are_sent_once() -> None:
    serving = replace(ENGINE, serving=1, generations={"app": 4})
    state = State(engine=serving, accepted=proposal(resolved=True), members={"app": MEMBERS})
    assert next_action(state) == SendMembers(MEMBERS, 5)
    sent = replace(serving, sent={"app": MEMBERS}, generations={"app": 5})
    assert next_action(replace(state, engine=sent)) is None


def test_members_wait_for_the_plan() -> None:
    state = State(engine=ENGINE, members={"app": MEMBERS})
    assert next_action(state) is None


def test_members_of_a_pool_that_is_not_resolved_are_not_sent() -> None:
    state = State(engine=replace(ENGINE, serving=1), accepted=proposal(), members={"app": MEMBERS})
    assert next_action(state) is None


def test_an_engine_after_a_death_gets_the_members_again() -> None:
    state = State(
        engine=replace(ENGINE, serving=1), accepted=proposal(resolved=True), members={"app": MEMBERS}
    )
    assert next_action(state) == SendMembers(MEMBERS, 1)


def test_a_stop_comes_before_everything_and_is_said_once() -> None:
    state = State(engine=ENGINE, proposal=proposal(), stop=5.0)
    assert next_action(state) == StopEngine(5.0)
    assert next_action(replace(state, engine=replace(ENGINE, stopping=True))) is None
    assert next_action(replace(state, engine=Absent())) == Finish()


def test_a_death_before_the_first_plan_ends_the_run() -> None:
    action = next_action(State(engine=Absent(deaths=1, code=3), proposal=proposal()))
    assert isinstance(action, Fail)
    assert isinstance(action.error, EngineLost)
    assert "exit code 3" in str(action.error)
    action = next_action(State(engine=Absent(deaths=1, reason="no socket"), proposal=proposal()))
    assert isinstance(action, Fail)
    assert str(action.error) == "no socket"


def test_a_death_later_starts_another_engine_after_the_pause() -> None:
    assert next_action(State(engine=Absent(deaths=1), accepted=proposal())) == StartEngine(0.0)
    assert next_action(State(engine=Absent(deaths=3), accepted=proposal())) == StartEngine(2.0)


@pytest.mark.parametrize(
    ("deaths", "pause"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (6, 16), (7, 30), (99, 30)]
)
def test_pauses_grow_to_half_a_minute(deaths: int, pause: float) -> None:
    assert backoff(deaths) == pause


def test_deaths_in_a_row_add_up_and_a_steady_life_starts_anew() -> None:
    engine = replace(ENGINE, deaths=4)
    assert after_death(engine, lived=1.0, code=-9) == Absent(deaths=5, code=-9)
    assert after_death(engine, lived=STEADY_SECONDS, code=None) == Absent(deaths=1)


def listener(*binds: dict[str, object]) -> dict[str, object]:
    return {"name": "web", "binds": list(binds)}


def bind(text: str, address: dict[str, object]) -> dict[str, object]:
    return {"text": text, "address": address, "port_hint": None}


def test_ports_that_were_taken_are_kept_as_hints() -> None:
    free = bind(":0", {"any": {"port": 0}})
    local = bind("127.0.0.1:0", {"ip": {"address": "127.0.0.1:0"}})
    six = bind("[::1]:0", {"ip": {"address": "[::1]:0"}})
    before = {"listeners": [listener(free, local, six)], "pools": []}
    bound = {"web": {":0": "[::]:4001", "127.0.0.1:0": "127.0.0.1:4002", "[::1]:0": "[::1]:4003"}}
    hints = [one["port_hint"] for one in pinned(before, bound)["listeners"][0]["binds"]]
    assert hints == [4001, 4002, 4003]
    assert free["port_hint"] is None


def test_given_ports_and_unix_sockets_need_no_hint() -> None:
    fixed = bind(":80", {"any": {"port": 80}})
    path = bind("unix:/run/x:0", {"unix": {"path": "/run/x:0"}})
    before = {"listeners": [listener(fixed, path)], "pools": []}
    after = pinned(before, {"web": {":80": "[::]:80", "unix:/run/x:0": "/run/x:0"}})
    assert after == before


def test_what_is_accepted_is_kept_with_its_ports() -> None:
    before = Proposal(
        number=1,
        version=1,
        spec={"listeners": [listener(bind(":0", {"any": {"port": 0}}))], "pools": []},
        source="f",
    )
    kept = accepted(State(), before, {"web": {":0": "0.0.0.0:4001"}})
    assert kept.spec["listeners"][0]["binds"][0]["port_hint"] == 4001
    assert kept.number == before.number


DRAINED = Setting("app", "a", "drain", 3)


def test_a_setting_is_said_and_taken_back() -> None:
    wanted = State(engine=replace(ENGINE, serving=1), accepted=proposal(), settings={DRAINED.key: DRAINED})
    assert next_action(wanted) == SendSetting(DRAINED)
    assert not holds(wanted, DRAINED)
    held = replace(wanted, engine=replace(ENGINE, serving=1, settings={DRAINED.key: DRAINED}))
    assert next_action(held) is None
    assert holds(held, DRAINED)
    taken_back = replace(held, settings={})
    assert next_action(taken_back) == SendSetting(Setting("app", "a"))
    assert not holds(taken_back, Setting("app", "a"))


def test_a_new_engine_hears_settings_before_its_plan() -> None:
    state = State(engine=ENGINE, accepted=proposal(), settings={DRAINED.key: DRAINED})
    assert next_action(state) == SendSetting(DRAINED)
