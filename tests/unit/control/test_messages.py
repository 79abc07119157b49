"""Settings that match, and ports that stay."""

from dataclasses import replace

from fairlead.control.messages import Settings, stop_command

FREE = {"ip": {"address": "127.0.0.1:0"}}
ANY = {"any": {"port": 0}}
FIXED = {"ip": {"address": "127.0.0.1:9900"}}
SETTINGS = Settings(directory="/run/fairlead", workers=2, admin_binds=(FREE, ANY, FIXED))


def test_an_engine_keeps_the_admin_ports_of_the_one_before() -> None:
    pinned = SETTINGS.bound_to(("127.0.0.1:4001", "[::]:4002", "127.0.0.1:9900"))
    assert pinned.admin_binds == ({"ip": {"address": "127.0.0.1:4001"}}, {"any": {"port": 4002}}, FIXED)
    assert SETTINGS.bound_to(()) == SETTINGS


def test_the_settings_that_an_engine_was_started_with_match() -> None:
    assert SETTINGS.differences(SETTINGS.document()) == []


def test_a_pinned_port_matches_the_free_one_that_is_wanted() -> None:
    pinned = SETTINGS.bound_to(("127.0.0.1:4001", "[::]:4002", "127.0.0.1:9900"))
    assert SETTINGS.differences(pinned.document()) == []
    assert pinned.differences(SETTINGS.document()) == ["admin_binds"]


def test_every_other_difference_is_named() -> None:
    other = replace(SETTINGS, workers=3, user="fairlead", admin_binds=(FIXED,))
    assert other.differences(SETTINGS.document()) == ["workers", "user", "admin_binds"]


def test_what_else_may_not_change_is_compared_with_what_the_engine_was_told() -> None:
    told = replace(SETTINGS, started_with={"runtime.drain_timeout": "1m", "runtime.zone": "None"})
    assert told.differences(told.document()) == []
    other = replace(told, started_with={**told.started_with, "runtime.drain_timeout": "5s"})
    assert other.differences(told.document()) == ["runtime.drain_timeout"]


def test_the_log_level_is_no_reason_to_refuse() -> None:
    assert replace(SETTINGS, log_level="debug").differences(SETTINGS.document()) == []


def test_deadlines_are_sent_in_milliseconds() -> None:
    assert stop_command(1.5) == {"stop": {"deadline_ms": 1500}}
