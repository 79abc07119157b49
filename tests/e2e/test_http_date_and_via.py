"""`Date` is added where a backend sent none; `Via` only where it is configured."""

from email.utils import parsedate_to_datetime

import pytest

from support.backend import OK, answering
from support.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = {"listeners": {"web": {}, "via": {"http": {"via": "edge"}}}}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
WITH_DATE = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok"


async def test_missing_date_is_added(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    date = (await stage.ask(GET)).value("Date")
    assert date
    assert date.endswith(" GMT")
    assert parsedate_to_datetime(date).year >= 2026


async def test_date_of_the_backend_is_left_alone(stage: Stage) -> None:
    stage.backend.behaviour = answering(WITH_DATE)
    assert (await stage.ask(GET)).values("Date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]


async def test_own_answers_have_a_date(stage: Stage) -> None:
    assert (await stage.ask(b"GET / HTTP/1.1\r\n\r\n")).value("Date")


async def test_via_is_off_by_default(stage: Stage) -> None:
    stage.backend.behaviour = answering(OK)
    assert (await stage.ask(GET)).values("Via") == []
    assert stage.backend.requests[0].values("Via") == []


async def test_via_names_the_pseudonym_behind_earlier_hops_both_ways(stage: Stage) -> None:
    stage.backend.behaviour = answering(b"HTTP/1.0 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 2\r\n\r\nok")
    answer = await stage.ask(b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 outer\r\n\r\n", "via")
    assert ", ".join(answer.values("Via")) == "1.1 inner, 1.0 edge"
    assert ", ".join(stage.backend.requests[0].values("Via")) == "1.0 outer, 1.1 edge"
