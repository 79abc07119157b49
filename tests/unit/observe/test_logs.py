"""The log of the control process."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from fairlead.observe import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


def test_json_is_an_object_a_line_with_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    structlog.get_logger("x").info("engine started", pid=7)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["pid"]) == ("engine started", "info", 7)
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("warning", "console")
    log = structlog.get_logger("x")
    log.info("quiet")
    log.warning("loud")
    written = capsys.readouterr().err
    assert "quiet" not in written
    assert "loud" in written


def test_libraries_speak_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    logging.getLogger("aiohttp").error("odd")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("odd", "error")


def test_a_failure_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json")
    structlog.get_logger("x").error("failed", exc_info=ValueError("why"))
    line = json.loads(capsys.readouterr().err)
    assert "ValueError: why" in line["exception"]


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_shows_no_values(style: logs.Format, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", style)
    secret = "-".join(style)
    try:
        int(f"no number {len(secret)}")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    written = capsys.readouterr().err
    assert "ValueError: invalid literal" in written
    assert secret not in written
