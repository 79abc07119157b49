"""What `compile` writes is what the native module reads, and what that finds can be shown in the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import _engine
from fairlead.compile import load, spec
from fairlead.errors import ConfigurationError
from fairlead.model import Configuration

WHOLE: dict[str, Any] = {
    "runtime": {"zone": "here"},
    "access_log": {"path": "stdout", "format": "{client} {method} {path} {status}", "sample": "50%"},
    "listeners": {
        "web": {
            "bind": ["127.0.0.1:0", "unix:/run/web.sock"],
            "trusted": ["10.0.0.0/8", "::1"],
            "max_connections": 1000,
            "routes": [
                {"name": "api", "match": {"host": "*.example.com", "path": "/api/*"}, "pool": "app"},
                {"match": {"path": {"regex": "^/v[0-9]+/"}}, "priority": 1, "pool": "app"},
                {"pool": "named"},
            ],
        },
        "plain": {"bind": ":8080", "pool": "app", "accept_proxy": "optional", "trusted": ["::1"]},
        "sql": {"bind": ":5432", "protocol": "tcp", "pool": "by-address", "accept_proxy": "required"},
        "game": {"bind": ":5432", "protocol": "udp", "pool": "by-address", "udp": {"responses": 1}},
        "tls": {"bind": ":8443", "protocol": "tcp", "sni": {"a.example": "app", "*.b": "told", "*": "app"}},
    },
    "pools": {
        "app": {
            "algorithm": "least_connections",
            "backends": ["10.0.0.1:80", {"address": "unix:/run/app.sock", "name": "near", "weight": 3}],
        },
        "named": {"backends": ["app.internal:80"], "algorithm": {"least_time": {"average": "ewma"}}},
        "hashed": {
            "algorithm": {
                "consistent_hash": {
                    "key": ["client", "header:X-Tenant", "cookie:id", "query:q", "path"],
                    "table": "ring",
                    "bounded_load": 1.25,
                }
            },
            "backends": ["10.0.0.1:80", {"address": "10.0.0.2:80", "zone": "there", "backup": True}],
        },
        "drawn": {
            "algorithm": {"random": {"choices": 3, "by": "least_time"}},
            "backends": ["10.0.0.1:80"],
        },
        "by-address": {"algorithm": "ip_hash", "backends": ["10.0.0.1:80"]},
        "told": {"backends": ["10.0.0.1:80"], "send_proxy": "v2"},
    },
}


def description(configuration: dict[str, Any]) -> str:
    return json.dumps(spec(Configuration.model_validate(configuration), version=1))


def test_description_of_everything_that_can_be_written_is_taken() -> None:
    assert _engine.check(description(WHOLE)) == []


def test_what_only_the_engine_finds_has_the_place_in_the_file() -> None:
    configuration = WHOLE | {
        "listeners": {
            "web": {"bind": ":80", "routes": [{"match": {"path": {"regex": "(a"}}, "pool": "app"}]}
        },
    }
    errors = _engine.check(description(configuration))
    path = ["listeners", "web", "routes", "0", "match", "path"]
    assert errors == [{"path": path, "message": 'regex "(a": unclosed group'}]


def test_what_the_engine_finds_comes_with_the_loaders_errors_of_the_same_object(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("""\
listeners:
  web:
    bind: ":80"
    trusted: [10.0.0.1/8]
    routes:
      - {match: {path: api}, pool: app}
      - {match: {path: {regex: "(a"}}, pool: app}
      - {pool: lost}
pools:
  app:
    drain: 5
    backends: ["127.0.0.1", "127.0.0.1:1"]
    health_check: {expect: {body: {regex: "(b"}}}
  lost:
    backends: ["127.0.0.1"]
access_log: {path: stdout, sample: 200%, format: "{nobody}"}
""")
    with pytest.raises(ConfigurationError) as refused:
        load(str(file))
    found = [str(problem).replace(f"{tmp_path}/", "") for problem in refused.value.problems]
    assert [line[: line.index(": ", line.index(": ") + 1)] for line in found] == [
        "f.yaml:4:15: listeners.web.trusted[0]",
        "f.yaml:6:24: listeners.web.routes[0].match.path",
        "f.yaml:7:18: listeners.web.routes[1].match.path",
        "f.yaml:11:12: pools.app.drain",
        "f.yaml:12:16: pools.app.backends[0]",
        "f.yaml:13:43: pools.app.health_check.expect.body.regex",
        "f.yaml:15:16: pools.lost.backends[0]",
        "f.yaml:16:36: access_log.sample",
        "f.yaml:16:50: access_log.format",
    ]
    assert found[2].endswith('regex "(a": unclosed group')


def test_pool_that_goes_by_what_tcp_has_not_is_refused() -> None:
    configuration = WHOLE | {"listeners": {"sql": {"bind": ":5432", "protocol": "tcp", "pool": "hashed"}}}
    (error,) = _engine.check(description(configuration))
    assert error["path"] == ["pools", "hashed", "algorithm", "consistent_hash", "key"]
    assert error["message"] == 'listener "sql" is tcp, where the client is all there is to go by: key: client'


def test_pool_that_is_what_datagrams_cannot_have_is_refused() -> None:
    configuration = WHOLE | {"listeners": {"game": {"bind": ":53", "protocol": "udp", "pool": "told"}}}
    (error,) = _engine.check(description(configuration))
    assert error["path"] == ["pools", "told", "send_proxy"]
    assert error["message"] == 'listener "game" is udp: PROXY is for http and tcp'


def test_text_that_is_no_description_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="missing field"):
        _engine.check("{}")


def test_route_is_explained_step_by_step() -> None:
    explained = json.loads(_engine.route(description(WHOLE), "web", "A.Example.com:80", "/api/./x?y=1"))
    assert explained["path"] == "/api/x"
    assert explained["route"] == 0
    verdicts = [(step["route"], step["verdict"], step["by"]) for step in explained["steps"]]
    assert verdicts == [(0, "won", None), (2, "outranked", "host"), (1, "other_path", None)]
    assert [step["pool"] for step in explained["steps"]] == ["app", "named", "app"]


def test_path_that_is_refused_is_explained_by_its_refusal() -> None:
    explained = json.loads(_engine.route(description(WHOLE), "web", "a.example.com", "/%00"))
    assert explained["refused"]["status"] == 400


def test_unknown_listener_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no listener"):
        _engine.route(description(WHOLE), "wbe", "", "/")
