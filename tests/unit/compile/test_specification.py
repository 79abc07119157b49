"""The description of a Plan, compared with files: ``FAIRLEAD_UPDATE_GOLDEN=1`` writes them anew."""

import json
import os
from pathlib import Path

import pytest

from fairlead import compile as compiled
from fairlead.errors import ConfigurationError
from fairlead.model import Configuration

GOLDEN = Path(__file__).parents[2] / "golden" / "configuration"


def accepting(_spec: str) -> list[dict[str, object]]:
    return []


@pytest.mark.parametrize("name", ["smallest", "full"])
def test_a_file_compiles_to_the_description_that_is_kept(name: str) -> None:
    accepted = compiled.load(str(GOLDEN / f"{name}.yaml"), version=7, environment={}, check=accepting)
    kept = GOLDEN / f"{name}.spec.json"
    if os.environ.get("FAIRLEAD_UPDATE_GOLDEN"):
        kept.write_text(json.dumps(accepted.spec, indent=2) + "\n")
    assert accepted.spec == json.loads(kept.read_text())


def configured(**pool: object) -> Configuration:
    return Configuration.model_validate(
        {"listeners": {"web": {"bind": ":0", "pool": "app"}}, "pools": {"app": {"backends": ["a:1"], **pool}}}
    )


@pytest.mark.parametrize(
    ("listeners", "check", "probe"),
    [
        ({"sql": "tcp"}, {}, "tcp"),
        ({"sql": "tcp"}, {"port": 80}, "tcp"),
        ({"sql": "tcp"}, {"path": "/health"}, "http"),
        ({"sql": "tcp"}, {"type": "http"}, "http"),
        ({"sql": "tcp", "web": "http"}, {}, "http"),
        ({"web": "http"}, {}, "http"),
    ],
)
def test_a_check_that_says_nothing_is_a_connection_where_there_are_no_requests(
    listeners: dict[str, str], check: dict[str, object], probe: str
) -> None:
    configuration = Configuration.model_validate(
        {
            "listeners": {
                name: {"bind": f":{port}", "protocol": protocol, "pool": "app"}
                for port, (name, protocol) in enumerate(listeners.items(), 8000)
            },
            "pools": {"app": {"backends": ["127.0.0.1:1"], "health_check": check}},
        }
    )
    (pool,) = compiled.spec(configuration, version=1)["pools"]
    assert list(pool["health_check"]["probe"]) == [probe]


def test_a_free_port_is_asked_for_again_and_a_given_one_is_not_hinted() -> None:
    configuration = Configuration.model_validate(
        {
            "listeners": {"web": {"bind": [":0", ":8080"], "pool": "app"}},
            "pools": {"app": {"backends": ["127.0.0.1:1"]}},
        }
    )
    description = compiled.spec(configuration, version=1, bound_hints={":0": 40001, ":8080": 8080})
    assert [each["port_hint"] for each in description["listeners"][0]["binds"]] == [40001, None]


def test_a_memory_limit_that_is_not_written_comes_from_the_caller() -> None:
    assert compiled.spec(configured(), version=1, max_memory=5)["max_memory_bytes"] == 5


def test_a_pool_of_names_is_resolved_and_has_no_literal_backend() -> None:
    (pool,) = compiled.spec(configured(), version=1)["pools"]
    assert (pool["resolved"], pool["backends"]) == (True, [])


def test_a_backends_own_limit_wins_over_its_pools() -> None:
    limited = configured(
        max_in_flight=10, backends=["127.0.0.1:1", {"address": "127.0.0.1:2", "max_in_flight": 3}]
    )
    (pool,) = compiled.spec(limited, version=1)["pools"]
    assert [each["max_in_flight"] for each in pool["backends"]] == [10, 3]


def test_names_of_tls_are_routes_by_host(tmp_path: Path) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text(
        "listeners:\n"
        "  tls:\n"
        '    {bind: ":0", protocol: tcp, sni: {a.example: app, "*": app}}\n'
        "pools: {app: {backends: ['127.0.0.1:1']}}\n"
    )

    def refusing(spec: str) -> list[dict[str, object]]:
        (listener,) = json.loads(spec)["listeners"]
        assert listener["protocol"] == {"tcp": {"sni": True}}
        named = [(route["name"], route["match"]["hosts"]) for route in listener["routes"]]
        assert named == [("a.example", ["a.example"]), ("*", [])]
        return [{"path": ["listeners", "tls", "routes", "1", "pool"], "message": "no"}]

    with pytest.raises(ConfigurationError) as error:
        compiled.load(str(file), environment={}, check=refusing)
    (problem,) = error.value.problems
    assert str(problem).endswith("fairlead.yaml:3:60: listeners.tls.sni.*: no")


def test_what_the_engine_refuses_is_shown_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text(
        "listeners:\n"
        "  web:\n"
        '    bind: ":0"\n'
        "    routes:\n"
        "      - {match: {path: {regex: '['}}, pool: app}\n"
        "      - {match: {path: {regex: ']'}}, pool: app, tls: {}}\n"
        "      - {match: {path: {regex: '('}}, pool: app}\n"
        "pools: {app: {backends: ['127.0.0.1:1']}}\n"
    )

    def regexes(spec: str) -> list[dict[str, object]]:
        routes = json.loads(spec)["listeners"][0]["routes"]
        assert [route["match"]["paths"] for route in routes] == [[{"regex": "["}], [{"regex": "("}]]
        path = ["listeners", "web", "routes", "1", "match", "path", "regex"]
        return [{"path": path, "message": "the group is not closed"}]

    with pytest.raises(ConfigurationError) as error:
        compiled.load(str(file), environment={}, check=regexes)
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in error.value.problems] == [
        'fairlead.yaml:6:50: listeners.web.routes[1].tls: unknown key "tls"',
        "fairlead.yaml:7:32: listeners.web.routes[2].match.path.regex: the group is not closed",
    ]


def test_a_configuration_without_a_file_is_judged_too() -> None:
    def refusing(_spec: str) -> list[dict[str, object]]:
        return [{"path": ["pools", "app"], "message": "no"}]

    with pytest.raises(ConfigurationError, match=r"^pools\.app: no$"):
        compiled.accept(configured(), check=refusing)


def test_a_backend_that_the_engine_refuses_is_counted_as_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text(
        "listeners: {web: {bind: ':0', pool: app}}\n"
        "pools:\n"
        "  app:\n"
        "    backends:\n"
        "      - app.internal:1\n"
        "      - 127.0.0.1:1\n"
    )

    def refusing(_spec: str) -> list[dict[str, object]]:
        return [{"path": ["pools", "app", "backends", "0", "address"], "message": "no"}]

    with pytest.raises(ConfigurationError) as error:
        compiled.load(str(file), environment={}, check=refusing)
    (problem,) = error.value.problems
    assert str(problem).endswith("fairlead.yaml:6:9: pools.app.backends[1]: no")


@pytest.mark.parametrize(
    ("listeners", "check", "probe"),
    [
        ({"web": {"bind": ":1", "pool": "app"}}, {}, "http"),
        ({"raw": {"bind": ":1", "protocol": "tcp", "pool": "app"}}, {}, "tcp"),
        ({"raw": {"bind": ":1", "protocol": "tcp", "pool": "app"}}, {"path": "/health", "port": 81}, "http"),
        ({"raw": {"bind": ":1", "protocol": "tcp", "pool": "app"}}, {"type": "http"}, "http"),
        (
            {
                "raw": {"bind": ":1", "protocol": "tcp", "pool": "app"},
                "web": {"bind": ":2", "pool": "app"},
            },
            {},
            "http",
        ),
    ],
)
def test_a_check_without_a_type_is_by_what_the_pool_is_for(
    listeners: dict[str, object], check: dict[str, object], probe: str
) -> None:
    pools = {"app": {"backends": ["10.0.0.1:1"], "health_check": check}}
    configuration = Configuration.model_validate({"listeners": listeners, "pools": pools})
    (pool,) = compiled.spec(configuration, version=1)["pools"]
    assert list(pool["health_check"]["probe"]) == [probe]
