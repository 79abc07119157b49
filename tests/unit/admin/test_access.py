"""Who may do what with the API."""

import pytest
from multidict import CIMultiDict

from fairlead.admin.access import Denied, Granted, Policy, Token, decide

TOKENS = (Token("ops", "operator", "s3cret"), Token("eyes", "viewer", "looks"))
OPEN = Policy()
GUARDED = Policy(tokens=TOKENS, hosts=frozenset({"lb.example"}))


def headers(**given: str) -> CIMultiDict[str]:
    return CIMultiDict(
        {"Host": "127.0.0.1:9900"} | {name.replace("_", "-"): text for name, text in given.items()}
    )


def status(policy: Policy, method: str, given: CIMultiDict[str]) -> int:
    decision = decide(policy, method, given)
    return decision.status if isinstance(decision, Denied) else 200


def test_the_socket_may_do_everything() -> None:
    assert decide(GUARDED, "POST", headers(Fairlead_Via="socket")) == Granted("socket", "operator")


def test_without_tokens_tcp_only_reads() -> None:
    given = headers(Fairlead_Via="tcp")
    assert status(OPEN, "GET", given) == 200
    assert status(OPEN, "POST", given) == 403
    assert status(OPEN, "DELETE", given) == 403


def test_a_request_that_does_not_say_where_it_came_in_has_the_lesser_rights() -> None:
    assert status(OPEN, "POST", headers()) == 403
    assert status(OPEN, "POST", headers(Fairlead_Via="Socket")) == 403


def test_with_tokens_each_request_needs_one() -> None:
    assert status(GUARDED, "GET", headers()) == 401
    assert status(GUARDED, "GET", headers(Authorization="Bearer wrong")) == 401
    assert status(GUARDED, "GET", headers(Authorization="Basic s3cret")) == 401
    assert status(GUARDED, "GET", headers(Authorization="Bearer")) == 401
    assert status(GUARDED, "GET", headers(Authorization="bearer looks")) == 200


def test_a_viewer_reads_and_an_operator_changes() -> None:
    assert status(GUARDED, "POST", headers(Authorization="Bearer looks")) == 403
    assert decide(GUARDED, "POST", headers(Authorization="Bearer s3cret")) == Granted("ops", "operator")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9900", "[::1]:9900", "[::1]", "localhost", "LOCALHOST:1", "192.0.2.7"]
)
def test_addresses_and_localhost_are_ours(host: str) -> None:
    assert status(OPEN, "GET", headers(Host=host)) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "lb.example", "[::1", "localhost.evil"]
)
def test_names_that_resolve_to_us_are_not(host: str) -> None:
    assert status(OPEN, "GET", headers(Host=host)) == 421


def test_names_that_the_policy_gives_are_ours() -> None:
    assert status(GUARDED, "GET", headers(Host="LB.example:9900", Authorization="Bearer looks")) == 200


def test_pages_of_others_are_refused_and_our_own_are_not() -> None:
    assert status(OPEN, "GET", headers(Origin="https://evil.example")) == 403
    assert status(OPEN, "GET", headers(Origin="null")) == 403
    assert status(OPEN, "GET", headers(Origin="http://127.0.0.1:1")) == 403
    assert status(OPEN, "GET", headers(Origin="http://127.0.0.1:9900")) == 200


def test_a_token_shows_in_no_text() -> None:
    assert "s3cret" not in repr(GUARDED)
    assert "s3cret" not in str(TOKENS[0])
