"""The report of a Fairlead that serves, where a test only cares about a part of it."""

from typing import Any

from fairlead.model.status import Status


def reported(**told: Any) -> Status:  # noqa: ANN401 - fields of it
    """As it is after a start; `told` is what the test is about."""
    usual = {
        "version": "1.0",
        "pid": 1,
        "phase": "serving",
        "ready": True,
        "directory": "/run/fairlead",
        "admin": (),
        "plan_version": 1,
        "plans_alive": 1,
        "plan": None,
        "engine": None,
        "reload": None,
    }
    return Status(**(usual | told))
