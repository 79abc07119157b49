"""The table in Redis that nodes share: a key for each client, which expires by itself.

Imported only where it is wanted, since the client library is an extra.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from fairlead.control.messages import Change, Entries

PREFIX = "fairlead:affinity:"
CHANNEL = "fairlead:affinity"
_CLIENT = "^[0-9a-f]{16}$"
_NAME = re.compile(rf"{PREFIX}(?P<pool>[^:]+):(?P<client>[0-9a-f]{{16}})")
_STEP = 1_000
"""Keys that are looked at in one step of reading everything; Redis serves others between two."""

_TIMEOUT_SECONDS = 3.0
_LISTEN_SECONDS = 1.0

_WRITE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and held ~= ARGV[2] then return held end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return held == ARGV[2] and 0 or 1
"""
"""Client, whom it belonged to as far as the node knew, whom it belongs to now, and for how long.

What another node has written since stands, and is returned; else 1 if this is news, and 0 if it was so
before.
"""

_NEWS = 1


class StoreError(FairleadError):
    """The store can't be reached, or doesn't do what it is asked."""


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[SharedTable]:
    """The table at this address, while it is there.

    Raises:
        StoreError: as soon as it isn't, also in what is done with it inside.
    """
    client: Any = None
    try:
        client = redis.Redis.from_url(
            address,
            decode_responses=True,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
            # Who comes back may have forgotten everything, so coming back is nothing to be hidden.
            retry=Retry(NoBackoff(), 0),
        )
        await client.ping()
        async with client.pubsub(ignore_subscribe_messages=True) as heard:
            yield SharedTable(client, heard)
    except (RedisError, OSError, ValueError) as error:
        raise StoreError(str(error) or type(error).__name__) from error
    finally:
        if client is not None:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()


class SharedTable:
    """What all nodes know."""

    def __init__(self, client: Any, heard: Any) -> None:  # noqa: ANN401  (the library's own types say little)
        self._client = client
        self._heard = heard
        self._node = secrets.token_hex(8)
        self._script = client.register_script(_WRITE)

    async def ping(self) -> None:
        """Fails if it doesn't answer."""
        await self._client.ping()

    async def subscribe(self) -> None:
        """Hear what others write from now on."""
        await self._heard.subscribe(CHANNEL)

    async def everything(self, pools: Collection[str]) -> AsyncIterator[Entries]:
        """Who belongs to whom in these pools, in parts."""
        cursor = 0
        while True:
            cursor, keys = await self._client.scan(cursor, match=f"{PREFIX}*", count=_STEP)
            named = ((_NAME.fullmatch(key), key) for key in keys)
            ours = [
                (name["pool"], name["client"], key) for name, key in named if name and name["pool"] in pools
            ]
            if ours:
                backends = await self._client.mget([key for _, _, key in ours])
                found: Entries = {}
                for (pool, client, _), backend in zip(ours, backends, strict=True):
                    if backend is not None:
                        found.setdefault(pool, []).append((client, backend))
                yield found
            if cursor == 0:
                return

    async def write(self, changes: Sequence[Change], ttls: Mapping[str, int]) -> Entries:
        """Write changes; returns those clients that another node has bound otherwise meanwhile."""
        if not changes:
            return {}
        async with self._client.pipeline(transaction=False) as pipe:
            for change in changes:
                key = f"{PREFIX}{change.pool}:{change.client}"
                arguments = [change.before or "", change.now, ttls[change.pool]]
                await self._script(keys=[key], args=arguments, client=pipe)
            answers = await pipe.execute()
        theirs: Entries = {}
        news: Entries = {}
        for change, answer in zip(changes, answers, strict=True):
            if isinstance(answer, str):
                theirs.setdefault(change.pool, []).append((change.client, answer))
            elif answer == _NEWS:
                news.setdefault(change.pool, []).append((change.client, change.now))
        if news:
            message = _Message(node=self._node, pools=news)
            await self._client.publish(CHANNEL, message.model_dump_json())
        return theirs

    async def heard(self) -> AsyncIterator[Entries]:
        """What others write, until the connection ends."""
        while True:
            message = await self._heard.get_message(timeout=_LISTEN_SECONDS)
            if message is None:
                continue
            try:
                said = _Message.model_validate_json(message["data"])
            except ValueError:
                continue  # of something else than Fairlead
            if said.node != self._node:
                yield said.pools


class _Message(BaseModel):
    """What nodes tell each other."""

    node: str
    pools: dict[str, list[tuple[Annotated[str, Field(pattern=_CLIENT)], str]]]
