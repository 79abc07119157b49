"""What is found of certificates when a file is checked: at the line of the file's name, with the reason."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fairlead.advise import tls
from fairlead.compile import certificates, problems
from fairlead.config import read
from fairlead.model import CertificateFacts, Configuration
from support.certificates import Authority


def _written(directory: Path, cert: str, key: str) -> str:
    file = directory / "f.yaml"
    file.write_text(
        "certificates:\n"
        "  site:\n"
        f"    cert_file: {cert}\n"
        f"    key_file: {key}\n"
        "listeners:\n"
        "  web: {bind: ':443', pool: app, tls: {certificates: [site]}}\n"
        "pools: {app: {backends: ['127.0.0.1:1']}}\n"
    )
    return str(file)


def _found(file: str) -> list[str]:
    reading = read(file, {})
    return [str(each).rpartition("/")[2] for each in problems(reading, check=lambda _: [])[1]]


def test_good_pair_is_nothing_to_talk_about(tmp_path: Path) -> None:
    Authority().write(tmp_path, "site", "a.test")
    file = _written(tmp_path, "site.pem", "site.key")
    assert _found(file) == []
    model = read(file, {}).model
    assert model is not None
    facts, wrong = certificates(model)
    assert (facts["site"].names, facts["site"].algorithm, wrong) == (("a.test",), "ecdsa", [])


def test_each_flaw_is_found_at_the_file_that_has_it(tmp_path: Path) -> None:
    Authority().write(tmp_path, "site", "a.test")
    Authority().write(tmp_path, "other", "a.test")
    (tmp_path / "text").write_text("nothing")
    assert _found(_written(tmp_path, "site.pem", "other.key")) == [
        "f.yaml:4:15: certificates.site.key_file: is the key of another certificate"
    ]
    assert _found(_written(tmp_path, "text", "site.key")) == [
        "f.yaml:3:16: certificates.site.cert_file: holds no certificate in PEM"
    ]
    assert _found(_written(tmp_path, "site.pem", "absent.key")) == [
        "f.yaml:4:15: certificates.site.key_file: cannot read absent.key: No such file or directory"
    ]


def test_names_of_certificates_lead_somewhere(tmp_path: Path) -> None:
    Authority().write(tmp_path, "site", "a.test")
    file = Path(_written(tmp_path, "site.pem", "site.key"))
    file.write_text(file.read_text().replace("[site]", "[sight]"))
    (found,) = _found(str(file))
    assert found.endswith('tls.certificates[0]: unknown certificate "sight" (did you mean "site"?)')


def _trusting(directory: Path, tls: str) -> str:
    file = directory / "f.yaml"
    file.write_text(
        "listeners:\n"
        "  web: {bind: ':80', pool: app}\n"
        "pools:\n"
        "  app:\n"
        "    backends: ['127.0.0.1:1']\n"
        f"    tls: {tls}\n"
    )
    return str(file)


def test_authorities_that_vouch_for_nobody_are_found_at_their_line(tmp_path: Path) -> None:
    Authority().write(tmp_path, "site", "a.test")
    assert _found(_trusting(tmp_path, "{ca_file: site.pem}")) == []
    for name, message in [
        ("absent.pem", "cannot read absent.pem: No such file or directory"),
        ("site.key", "holds no certificate in PEM: it is a key"),
    ]:
        (found,) = _found(_trusting(tmp_path, f"{{ca_file: {name}}}"))
        assert found == f"f.yaml:6:20: pools.app.tls.ca_file: {message}"
    (found,) = _found(_trusting(tmp_path, "{certificate: us}"))
    assert found.endswith('pools.app.tls.certificate: unknown certificate "us"')


def test_advice_warns_of_backends_that_anybody_can_be(tmp_path: Path) -> None:
    model = read(_trusting(tmp_path, "{verify: false}"), {}).model
    assert model is not None
    ((path, message),) = tls.hints(model, {}, time.time())
    assert path == ("pools", "app", "tls", "verify")
    assert message.startswith("whoever answers at a backend's address is taken for the backend")


def _advised(facts: CertificateFacts, **listener: Any) -> list[str]:  # noqa: ANN401
    model = Configuration.model_validate(
        {
            "certificates": {"site": {"cert": "x", "key": "y"}},
            "listeners": {"web": {"bind": ":443", "tls": {"certificates": ["site"]}, **listener}},
            "pools": {"app": {"backends": ["127.0.0.1:1"], "health_check": {}}},
        }
    )
    return [message for _, message in tls.hints(model, {"site": facts}, time.time())]


@pytest.mark.parametrize(
    ("days", "said"),
    [(-1, "expired on"), (10, "expires on"), (100, "")],
)
def test_advice_says_which_certificates_run_out(days: int, said: str) -> None:
    until = int(time.time()) + days * 86_400 + 60
    hints = _advised(CertificateFacts(("a.test",), 0, until, "ecdsa"), pool="app")
    assert [hint for hint in hints if hint.startswith("expire")] == hints
    assert [hint.startswith(said) for hint in hints] == ([True] if said else [])


def test_advice_says_which_hosts_have_no_certificate() -> None:
    facts = CertificateFacts(("a.test", "*.b.test"), 0, 2**40, "ecdsa")
    hosts = ["a.test", "x.b.test", "*.b.test", "x.y.b.test", "c.test"]
    routes = [{"match": {"host": hosts}, "pool": "app"}]
    hints = _advised(facts, routes=routes)
    assert [hint.partition(": ")[0].rpartition(" ")[2] for hint in hints] == ["x.y.b.test", "c.test"]


def test_keys_are_never_shown() -> None:
    model = Configuration.model_validate(
        {
            "certificates": {"site": {"cert": "public", "key": "hidden"}},
            "listeners": {"web": {"bind": ":443", "pool": "app", "tls": {"certificates": ["site"]}}},
            "pools": {"app": {"backends": ["127.0.0.1:1"]}},
        }
    )
    assert "hidden" not in json.dumps(model.model_dump(mode="json")) + repr(model)
