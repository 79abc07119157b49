"""What the operator sees: the list of errors, at their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fairlead.config import Reading, read

if TYPE_CHECKING:
    from pathlib import Path

    from fairlead.model import Pool

POOL = "pools: {app: {backends: ['127.0.0.1:1']}}\n"
VALID = "listeners: {web: {bind: ':0', pool: app}}\n" + POOL


class Directory:
    """A directory with configuration files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, text: str, name: str = "f.yaml", **environment: str) -> Reading:
        (self.path / name).write_text(text)
        return read(str(self.path / name), environment)

    def errors(self, text: str, name: str = "f.yaml", **environment: str) -> list[str]:
        problems = self.read(text, name, **environment).problems
        return [str(problem).replace(f"{self.path}/", "") for problem in problems]

    def pool(self, keys: str, **environment: str) -> Pool:
        """The pool with these further keys, which must be valid."""
        reading = self.read(VALID.replace("{backends", "{" + keys + ", backends"), **environment)
        assert reading.problems == ()
        assert reading.model is not None
        return reading.model.pools["app"]


@pytest.fixture
def files(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_every_error_of_a_file_comes_in_one_list_sorted_by_place(files: Directory) -> None:
    assert files.errors(
        "listeners:\n"
        "  web: {bind: 8080, pool: ap, http: {max_headers: 0}}\n"
        "  two: {bind: ':443', tls: {}, routes: [{match: {path: api}, pool: app}, {pool: app, split: {}}]}\n"
        "pools:\n"
        "  app:\n"
        "    algorithm: leastconn\n"
        "    backends: ['127.0.0.1:1', '127.0.0.1:1', {address: 'a:1', weight: 70000}]\n"
        "    timeouts: {connect: 10, conect: 1s}\n"
        "    health_check: {type: grpc}\n"
        "    max_in_flight: '3'\n"
        "acess_log: {}\n"
    ) == [
        'f.yaml:2:15: listeners.web.bind: an address to listen on is text: write ":8080"',
        'f.yaml:2:27: listeners.web.pool: unknown pool "ap" (did you mean "app"?)',
        "f.yaml:2:51: listeners.web.http.max_headers: 0 is out of range: 1 to 65535",
        "f.yaml:3:23: listeners.two.tls.certificates: is missing",
        'f.yaml:3:56: listeners.two.routes[0].match.path: "api": a path starts with "/"',
        "f.yaml:3:86: listeners.two.routes[1].split: not supported in this version",
        'f.yaml:6:16: pools.app.algorithm: unknown algorithm "leastconn" (did you mean "least_connections"?)',
        'f.yaml:7:31: pools.app.backends[1]: "127.0.0.1:1" is in this pool twice; a name would tell them apart',  # noqa: E501  (a line of output)
        "f.yaml:7:71: pools.app.backends[2].weight: 70000 is out of range: 0 to 65535",
        "f.yaml:8:25: pools.app.timeouts.connect: a duration needs a unit: write 10s",
        'f.yaml:8:29: pools.app.timeouts.conect: unknown key "conect" (did you mean "connect"?)',
        'f.yaml:9:26: pools.app.health_check.type: "grpc" is not supported in this version',
        'f.yaml:10:20: pools.app.max_in_flight: a whole number or "adaptive" is expected, not text: write 3',
        'f.yaml:11:1: acess_log: unknown key "acess_log" (did you mean "access_log"?)',
    ]


@pytest.mark.parametrize(
    ("listener", "error"),
    [
        ("{bind: ':0'}", "f.yaml:1:13: listeners.web: needs exactly one of pool, routes or sni"),
        (
            "{bind: ':0', pool: app, routes: []}",
            "f.yaml:1:42: listeners.web.routes: stands beside pool, and only one of them may",
        ),
        (
            "{bind: ':0', sni: {a.example: app}}",
            "f.yaml:1:31: listeners.web.sni: distributes TLS that is passed through: write protocol: tcp beside it",  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', protocol: tcp, sni: {a.example: ap}}",
            'f.yaml:1:63: listeners.web.sni.a.example: unknown pool "ap" (did you mean "app"?)',
        ),
        (
            "{bind: ':0', protocol: tcp, sni: {'a.*': app}}",
            'f.yaml:1:59: listeners.web.sni.a.*: "a.*": a wildcard is the whole first label, as in *.example.com',  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', protocol: tcp, pool: app, sni: {a: app}}",
            "f.yaml:1:57: listeners.web.sni: stands beside pool, and only one of them may",
        ),
        (
            "{bind: ':0', protocol: tcp, routes: [{pool: app}]}",
            "f.yaml:1:46: listeners.web.routes: a tcp listener reads no requests to route: write pool, or sni",  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', protocol: tcp, pool: app, http: {via: edge}}",
            "f.yaml:1:57: listeners.web.http: a tcp listener reads no HTTP",
        ),
        (
            "{bind: ':0', protocol: tcp, pool: app, timeouts: {idle: 5s}}",
            "f.yaml:1:68: listeners.web.timeouts.idle: waits for a part of HTTP: in TCP the pool's timeouts.tunnel is the longest gap",  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', protocol: tcp, pool: app, accept_proxy: optional, trusted: [10.0.0.1]}",
            "f.yaml:1:71: listeners.web.accept_proxy: optional is for http: what a tcp client sends first could be taken for a header",  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', protocol: udp, pool: app, timeouts: {idle: 5s}}",
            "f.yaml:1:57: listeners.web.timeouts: are about connections: of udp write udp.session_timeout",
        ),
        (
            "{bind: ':0', protocol: udp, pool: app, max_connections: 5}",
            "f.yaml:1:57: listeners.web.max_connections: a udp listener has sessions: write udp.max_sessions",
        ),
        (
            "{bind: 'unix:/a', protocol: udp, pool: app}",
            "f.yaml:1:25: listeners.web.bind: a udp listener needs an IP address and a port",
        ),
        (
            "{bind: ':0', protocol: udp, pool: app, accept_proxy: required}",
            "f.yaml:1:57: listeners.web.accept_proxy: is for http and tcp: nothing comes before a datagram",
        ),
        (
            "{bind: ':0', pool: app, udp: {responses: 1}}",
            "f.yaml:1:42: listeners.web.udp: is about datagrams: write protocol: udp beside it",
        ),
        (
            "{bind: [':0', 'unix:/a'], pool: app, accept_proxy: required}",
            "f.yaml:1:69: listeners.web.accept_proxy: required needs trusted: the proxies whose word is believed",  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', pool: app, socket: {transparent: true}}",
            "f.yaml:1:51: listeners.web.socket.transparent: is for tcp: a connection to a backend serves the requests of many clients",  # noqa: E501  (a line of output)
        ),
        ("{bind: ':0', routes: [{}]}", "f.yaml:1:40: listeners.web.routes[0]: needs pool"),
        ("{bind: [], pool: app}", "f.yaml:1:19: listeners.web.bind: is an empty list"),
        ("{pool: app}", "f.yaml:1:13: listeners.web.bind: is missing"),
        (
            "{bind: ':0', protocol: dns, pool: app}",
            'f.yaml:1:41: listeners.web.protocol: "dns" is not supported in this version',
        ),
        (
            "{bind: ':0', http: {versions: [http3]}, pool: app}",
            'f.yaml:1:49: listeners.web.http.versions[0]: "http3" is not supported in this version',
        ),
        (
            "{bind: [':0', ':0'], pool: app}",
            'f.yaml:1:32: listeners.web.bind[1]: ":0" is bound twice, first by listeners.web',
        ),
        (
            "{bind: ['0.0.0.0:80', ':80'], pool: app}",
            'f.yaml:1:40: listeners.web.bind[1]: ":80" is bound twice, first by listeners.web as "0.0.0.0:80"',  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', trusted: [10.0.0.1/8], pool: app}",
            'f.yaml:1:41: listeners.web.trusted[0]: "10.0.0.1/8" has bits set after its prefix: write 10.0.0.0/8',  # noqa: E501  (a line of output)
        ),
        (
            "{bind: ':0', routes: [{name: a, pool: app}, {name: a, pool: app}]}",
            'f.yaml:1:69: listeners.web.routes[1].name: "a" is also the name of routes[0] of this listener',
        ),
        ("5", "f.yaml:1:18: listeners.web: a mapping is expected, not a number"),
    ],
)
def test_a_faulty_listener_is_refused_at_the_value_that_is_wrong(
    files: Directory, listener: str, error: str
) -> None:
    assert files.errors(f"listeners: {{web: {listener}}}\n{POOL}") == [error]


@pytest.mark.parametrize(
    ("check", "error"),
    [
        ("{type: htp}", '36: pools.app.health_check.type: unknown type "htp" (did you mean "http"?)'),
        ("{type: udp}", '36: pools.app.health_check.type: "udp" is not supported in this version'),
        ("{type: tcp, path: /x}", "41: pools.app.health_check.path: belongs to type http"),
        ("{command: [x]}", "30: pools.app.health_check.command: belongs to type exec"),
        ("{type: exec}", "15: pools.app.health_check.command: is missing"),
        (
            '{type: exec, command: [/bin/true, "a\\0b"]}',
            "63: pools.app.health_check.command[1]: holds a NUL character",
        ),
        ("{path: x}", '36: pools.app.health_check.path: "x": a path starts with "/"'),
        ("{interval: 10}", "40: pools.app.health_check.interval: a duration needs a unit: write 10s"),
        ("{interval: 1ms}", "40: pools.app.health_check.interval: 1ms is out of range: 10ms to 24h"),
        (
            "{healthy_threshold: 0}",
            "49: pools.app.health_check.healthy_threshold: 0 is out of range: 1 to 1000",
        ),
        (
            "{expect: {status: 200-}}",
            '47: pools.app.health_check.expect.status: "200-" is neither a status nor a range of them: 100 to 599, such as 200-399',  # noqa: E501  (a line of output)
        ),
        (
            "{expect: {boby: x}}",
            '39: pools.app.health_check.expect.boby: unknown key "boby" (did you mean "body"?)',
        ),
    ],
)
def test_a_faulty_check_is_refused_at_the_value_that_is_wrong(
    files: Directory, check: str, error: str
) -> None:
    text = VALID.replace("{backends", f"{{health_check: {check}, backends")
    assert files.errors(text) == [f"f.yaml:2:{error}"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "f.yaml:1:1: is empty"),
        ("# nothing\n", "f.yaml:1:1: is empty"),
        ("listeners:\n\tweb: {}\n", "f.yaml:2:1: a tab: YAML is indented by spaces"),
        (
            "a: b: c\n",
            'f.yaml:1:5: a second ":" in one line: put the value in quotes, or the key in a line of its own',
        ),
        ("a: @b\n", 'f.yaml:1:4: "@" cannot begin a value: put the value in quotes'),
        ("a: 1\n---\nb: 1\n", "f.yaml:2:1: a second document (---): a file has one"),
        ("a: [1,\n", "f.yaml:2:1: is no YAML: while parsing a flow node: did not find expected node content"),
        (
            "a: {b: 1,\n\nc\nd: 1",
            "f.yaml:4:2: is no YAML: while parsing a flow mapping that begins in line 1: did not find expected ',' or '}'",  # noqa: E501
        ),
        ("- a\n", "f.yaml:1:1: a mapping is expected, such as `listeners: …` and `pools: …`"),
        ("a: *b\n", "f.yaml:1:4: is no YAML: found undefined alias"),
        ("a: " + "[" * 100_000, "f.yaml:1:103: nested deeper than 100 levels"),
        (
            "a: " + "- " * 100_000,
            "f.yaml:1:4: is no YAML: block sequence entries are not allowed in this context",
        ),
        ("\n" + "- " * 100_000, "f.yaml:2:201: nested deeper than 100 levels"),
        ("a: \x01\n", "f.yaml:1:4: a control character, which YAML does not allow"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_at_its_place(files: Directory, text: str, error: str) -> None:
    assert files.errors(text) == [error]


def test_a_key_that_is_written_twice_names_both_places(files: Directory) -> None:
    assert files.errors(VALID + "runtime:\n  workers: 1\n  workers: 2\n") == [
        'f.yaml:5:3: runtime.workers: the key "workers" is written twice, first in line 4, column 3'
    ]


def test_a_key_without_a_value_is_refused(files: Directory) -> None:
    assert files.errors(VALID + "runtime:\n  workers:\n") == [
        "f.yaml:4:11: runtime.workers: is empty: write a value, or remove the key"
    ]


def test_an_alias_is_its_value_and_a_bomb_of_aliases_is_refused(files: Directory) -> None:
    reading = files.read(VALID + "runtime: {drain_timeout: &t 5s}\nresolver: {min_ttl: *t}\n")
    assert reading.model is not None
    assert str(reading.model.resolver.min_ttl) == "5s"
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    message = "its aliases never end, or stand for more than 2,000,000 values"
    assert files.errors(bomb) == [f"f.yaml:1:1: {message}"]
    assert files.errors("a: &a {b: *a, c: *a}\n") == [f"f.yaml:1:1: {message}"]


def test_scalars_are_those_of_yaml_1_2(files: Directory) -> None:
    text = "listeners: {NO: {bind: ':0', pool: on}}\npools: {on: {backends: [yes:1], max_in_flight: 0o17}}\n"
    reading = files.read(text)
    assert reading.problems == ()
    assert reading.model is not None
    assert reading.model.pools["on"].max_in_flight == 15
    assert files.errors(VALID + "runtime: {workers: 1:30, user: NO}\n") == [
        'f.yaml:3:20: runtime.workers: a whole number or "auto" is expected, not text'
    ]


def test_text_from_the_environment_becomes_what_its_field_is(files: Directory) -> None:
    pool = files.pool("max_in_flight: '${N}', drain: '${D:-5s}', algorithm: '${A:-first}'", N="12", A="")
    assert (pool.max_in_flight, str(pool.drain), pool.algorithm) == (12, "5s", "first")
    assert files.pool("idle_connections: {max_uses: '${N}'}", N="unlimited").idle_connections.max_uses is None


def test_an_unset_variable_is_an_error_at_its_line_and_an_escape_is_none(files: Directory) -> None:
    assert files.errors(VALID + "runtime: {user: '${WHO}'}\n") == [
        "f.yaml:3:17: runtime.user: the environment has no WHO; ${WHO:-default} would give a default"
    ]
    reading = files.read(VALID + "runtime: {user: 'a$${WHO}'}\n")
    assert reading.model is not None
    assert reading.model.runtime.user == "a${WHO}"


def test_a_secret_may_be_in_a_file_beside_the_configuration(files: Directory) -> None:
    (files.path / "ops.token").write_text("0123456789abcdef\n")
    reading = files.read(VALID + "admin: {tokens: {ops: {role: viewer, token_file: ops.token}}}\n")
    assert reading.problems == ()
    assert reading.model is not None
    token = reading.model.admin.tokens["ops"].token
    assert (token.get_secret_value(), "0123456789abcdef" in str(reading.model)) == ("0123456789abcdef", False)


def test_a_secret_that_cannot_be_read_is_one_error(files: Directory) -> None:
    assert files.errors(VALID + "admin: {tokens: {ops: {role: viewer, token_file: lost}}}\n") == [
        "f.yaml:3:50: admin.tokens.ops.token_file: cannot read lost: No such file or directory"
    ]
    assert files.errors(VALID + "admin: {tokens: {ops: {role: viewer}}}\n") == [
        "f.yaml:3:18: admin.tokens.ops.token: is missing, or token_file"
    ]


def test_a_file_that_is_not_there_is_said(files: Directory) -> None:
    problems = read(str(files.path / "lost.yaml"), {}).problems
    assert [str(problem) for problem in problems] == [
        f"cannot read {files.path}/lost.yaml: No such file or directory"
    ]


def test_what_is_valid_of_a_faulty_file_is_left_to_try(files: Directory) -> None:
    reading = files.read(
        "listeners:\n"
        "  good: {bind: ':0', pool: app, x: 1, trusted: [10.0.0.1/8]}\n"
        "  bad: {bind: 1, pool: app}\n"
        "  lost: {bind: ':2', pool: faulty}\n"
        "  part: {bind: ':3', routes: [{pool: faulty}, {pool: app, y: 1}, {pool: app}]}\n"
        "  names: {bind: ':4', protocol: tcp, sni: {a.example: faulty, 'a.*': app, b.example: app}}\n"
        "pools:\n"
        "  app: {backends: [5, '127.0.0.1:1'], drain: 5, health_check: {path: /health}}\n"
        "  faulty: {backends: ['127.0.0.1']}\n"
        "access_log: {path: stdout, sample: 200%, format: combined}\n"
    )
    assert len(reading.problems) == 9
    assert reading.model is not None
    assert list(reading.model.listeners) == ["good", "part", "names"]
    assert reading.model.listeners["names"].pools == {"app"}
    assert list(reading.model.pools) == ["app"]
    assert reading.model.pools["app"].health_check is not None
    assert reading.model.access_log is not None
    located = reading.locate(
        [(("listeners", "part", "routes", "0", "pool"), "x"), (("pools", "app", "backends", "0"), "x")]
    )
    assert [(each.path, each.place and (each.place.line, each.place.column)) for each in located] == [
        (("listeners", "part", "routes", 2, "pool"), (5, 73)),
        (("pools", "app", "backends", 1), (8, 23)),
    ]


def test_an_object_goes_whole_where_what_is_left_of_it_contradicts_itself(files: Directory) -> None:
    reading = files.read(VALID + "resolver: {min_ttl: 10m, max_ttl: 5}\n")
    assert len(reading.problems) == 1
    assert reading.model is not None
    assert str(reading.model.resolver.min_ttl) == "1s"
