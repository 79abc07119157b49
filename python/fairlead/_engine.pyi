"""The native module: the compiled configuration and the engine that executes it.

Descriptions travel as JSON, because the engine process gets them as JSON too; their shape is that of
`fairlead.compile`. Every function releases the interpreter while it works.
"""

from collections.abc import Callable
from typing import TypedDict, final, type_check_only

__all__ = [
    "Balancer",
    "Engine",
    "EngineError",
    "__version__",
    "certificates",
    "check",
    "route",
    "serve",
    "simulate",
]

__version__: str

@type_check_only
class SpecError(TypedDict):
    """One thing that is wrong with a description.

    `path` is the place in the terms of the configuration file, list indices as text from 0:
    `["listeners", "web", "routes", "0", "match", "path"]`. The only element of a list that may be written
    without brackets (`bind`, `host`, `path`) is named by the list. A path may go on where the file has
    nothing.
    """

    path: list[str]
    message: str

def certificates(secrets_json: str) -> str:
    """What certificates say of themselves, or what is wrong with them or their keys. Pure, as `check` is.

    `secrets_json` is `{"certificates": {name: {"cert": PEM, "key": PEM}}, "pools": {name: {"ca": PEM}},
    "system": {"ca": PEM} or null}`.

    Returns JSON: name → `{"good": {"names", "not_before", "not_after", "algorithm"}}`, times in seconds since
    1970, or `{"bad": {"path", "message"}}`, the path as that of a `SpecError`.

    Raises:
        ValueError: the text isn't a description of secrets at all.
    """

def check(spec_json: str) -> list[SpecError]:
    """Everything that is wrong with a description; an empty list: an engine would take it.

    Pure: no file is opened, no address bound.

    Raises:
        ValueError: the text isn't a description at all: no JSON, a key missing, unknown or of the wrong type.
    """

def route(spec_json: str, listener: str, host: str, path: str) -> str:
    """Which route a request takes, and why, by the router that the engine uses.

    `host` is the request's authority (any case, a port is ignored), `path` its target with its query.

    Returns JSON: `{"path": normalised, "route": index or null, "steps": [{"route": index, "id", "pool",
    "verdict", "by"}]}`. Steps come best first; those that don't match come last, in file order. `verdict` is
    `won`, `outranked`, `other_host` or `other_path`; `by` is, for `outranked`, the first criterion in which
    the winner is better: `priority`, `host`, `path` or `order`, else null. A path that would be answered 400:
    `{"refused": {"status", "reason", "clause"}}`.

    Raises:
        ValueError: the description is bad, or it has no such listener.
    """

def simulate(
    spec_json: str,
    pool: str,
    scenario_json: str,
    seed: int,
    progress: Callable[[float], object] | None,
) -> str:
    """What would happen to a pool of a description, by the deciders of the engine, in made-up time.

    `scenario_json` has the shape of `fairlead_simulate::scenario::Scenario`, with a server for each backend.
    Requests take the first route that leads to the pool. The same arguments give the same result.
    `progress` is called now and then with how much is done, of 1; what it raises ends the work.

    Returns JSON with the shape of `fairlead_simulate::Report`.

    Raises:
        ValueError: the description or the scenario is bad, or there is no such pool.
    """

@final
class Balancer:
    """The backends of a description's first pool, to pick from by the engine's own picker.

    Methods may be called from any thread. `seed` makes its randomness repeatable.

        Raises: ValueError: the description is bad, or has no pool.
    """

    def __new__(cls, spec_json: str, seed: int | None) -> Balancer: ...
    def pick(self, key: bytes | None, avoid: list[int]) -> tuple[int | None, str]:
        """Take a place at a backend that is not to be avoided: its index, or `None` and why.

        Raises:
            ValueError: more than 32 are to be avoided.
        """

    def pick_address(self, address: str, avoid: list[int]) -> tuple[int | None, str]:
        """Do the same with a client's address as the key.

        Raises:
            ValueError: it is no address, or more than 32 are to be avoided.
        """

    def end(self, backend: int, seconds: float | None) -> None:
        """Give a place back, with the time the work took if that says how fast the backend is.

        Raises:
            IndexError: there is no such backend.
        """

    def failed(self, backend: int) -> None:
        """Say that work with a backend failed before there was an answer. Gives no place back."""

    def backends(self) -> list[tuple[str, str]]:
        """Give the id and the address of each backend, in the order of their indices."""

    def in_flight(self) -> list[int]:
        """Give how many places are taken at each backend now."""

    def times(self) -> list[float | None]:
        """Give the average time of each backend's answers in seconds, where the algorithm goes by it."""

    def digest(self) -> int:
        """Stand for what backends are picked by: equal where a key goes to the same one."""

class EngineError(Exception):
    """A call changed nothing; what was served before is served on.

    The text is JSON: `{"kind": "refused" | "restart_needed" | "internal", "errors": [{"path", "message"}]}`
    with at least one error, each as in `SpecError`; `path` is empty for what is no place in the
    configuration.
    """

@final
class Engine:
    """An engine within this program: threads of its own, which need the interpreter for nothing.

    Accepts no connection before its first `apply`. Methods may be called from any thread; those that wait
    let other Python threads run. Dropping the last reference stops it at once.

    `settings_json`: `{"directory": path or null, "workers": from 1, "admin_binds": [bind address], "user":
    null, "ready_fd": null, "log_level": "debug" | "info" | "warning" | "error"}`. With a directory it has
    the sockets `engine.sock` and `admin.sock` there, like an engine process.

        Raises: ValueError: the settings are no such JSON. RuntimeError: it can't start, for the reason
        given: another engine has the directory, an address is taken.
    """

    def __new__(cls, settings_json: str) -> Engine: ...
    def apply(self, spec_json: str) -> str:
        """Serve by this description from now on; returns when every worker does.

        Returns JSON: `{"version": …, "bound": {listener: {bind as written: address}}}`. Calls run one at a
        time.

            Raises: EngineError: it is refused whole, with everything that is wrong; the description before
            is served on. ValueError: the text is no description.
        """

    def secrets(self, secrets_json: str) -> None:
        """Take the certificates and keys that listeners ask for; the shape is that of `certificates`.

        Handshakes that begin from now on are made with them. What the configuration that is served needs and
        the list lacks is kept.

        Raises:
            EngineError: one of them is no good, and nothing has changed.
            ValueError: the text is no description of secrets.
        """

    def members(self, members_json: str) -> None:
        """Replace who is in a pool with `resolved`: `{"pool", "generation", "backends": [backend]}`.

        A list for a pool that isn't there, and one with a generation below the last, are ignored and counted.

        Raises:
            EngineError: the list is bad.
            ValueError: the text is no list of members.
        """

    def restore(self, verdicts_json: str) -> None:
        """Tell what checks said before, in another engine: `{pool: {backend: is up}}`.

        It stands until the first results here. To be told before the first description.

        Raises:
            ValueError: the text is no such thing.
        """

    def checked(self, result_json: str) -> bool:
        """Take what a check found that was made elsewhere; whether more results are wanted soon.

        `{"pool", "backend", "good", "reason", "duration_ms"}`. One of a backend that isn't checked so is
        ignored.

        Raises:
            ValueError: the text is no result.
        """

    def affinity(self, said_json: str) -> None:
        """Take what other nodes say of pools' clients, and of the store in which they say it.

        `{"pools": [{"pool", "entries": [[key, backend], …]}], "store": {"connected", "reason"} or null}`;
        keys are 64 bits in hexadecimal.

        Raises:
            ValueError: the text is none of this.
        """

    def affinity_changes(self) -> str:
        """Give what other nodes are to know of pools' clients since this was asked last, as JSON.

        `[{"pool", "changes": [[key, backend before or null, backend now], …]}]`.
        """

    def set(self, setting_json: str) -> None:
        """Do what an operator wants of a backend; one that isn't there is ignored and counted.

        Raises:
            EngineError: the weight is too high.
            ValueError: the text isn't a setting.
        """

    def connections(self, wanted_json: str) -> str:
        """Give the open connections of clients, the longest open first.

        `wanted_json`: `{"limit": up to 1000, "listener": name or null, "client": IP address or null}`.
        Returns JSON: `{"open": all there are, "connections": [{"listener", "client", "state", "age_seconds",
        "requests", "pool", "backend"}]}`.

        Raises:
            EngineError: a worker has died.
            ValueError: the text is no such JSON.
        """

    def command(self, command_json: str) -> None:
        """Do something that is no configuration: `{"reopen_logs": {}}` or `{"stop": {"deadline_ms": …}}`."""

    def stats(self, routes: bool) -> str:
        """Give what goes on now as JSON; counts are since the start. With `routes`, also of each route."""

    def next_event(self, timeout: float) -> str | None:
        """Give the next event as JSON, `{"kind", "at_ms", …}`, waiting up to `timeout` seconds for it.

        While nobody asks, the oldest are dropped and counted.
        """

    def stop(self, deadline_seconds: float) -> None:
        """Accept no more, let open requests finish, cut what is left after so many seconds.

        Return when all is over.
        """

def serve(settings_json: str) -> int:
    """Be an engine process: serve until told to stop by `engine.sock` or SIGTERM, then return the exit code.

    SIGTERM drains for as long as the configuration says; a second one ends at once. SIGINT and SIGHUP are
    ignored. `settings_json` is that of `Engine`, with a directory; `user` is who to become after the first
    addresses are bound, `ready_fd` a descriptor to which `ready` is written when `engine.sock` answers.

    Raises:
        ValueError: the settings are no such JSON.
    """
