"""A client that keeps the cookies it is given and sends them back, as browsers do."""

import contextlib
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

import aiohttp


@dataclass(frozen=True)
class Page:
    """An answer."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Browser:
    """One user's. Each request has a connection of its own, so that it may meet any worker."""

    cookies: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    """Sent with each request."""

    source: str | None = None
    """The address it comes from, if that matters."""

    async def ask(self, address: str, path: str = "/") -> Page:
        """Send a request and keep what cookies the answer sets."""
        fields = dict(self.fields)
        if self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        source = (self.source, 0) if self.source else None
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(local_addr=source), cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(f"http://{address}{path}", headers=fields) as got,
        ):
            page = Page(got.status, await got.text(), tuple(got.headers.items()))
        for value in page.values("Set-Cookie"):
            for name, morsel in SimpleCookie(value).items():
                self.cookies[name] = morsel.value
        return page

    async def text(self, address: str, path: str = "/") -> str:
        """What a good answer says."""
        page = await self.ask(address, path)
        assert page.status == 200, page
        return page.text

    async def settled(self, address: str) -> str:
        """Asks until it is answered, as a user does while an engine comes back."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                return await self.text(address)
