from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model import AnyAddress, BackendAddress, Bind, HostPort, IpPort, NameServer, UnixPath


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8080", AnyAddress(8080)),
        ("*:80", AnyAddress(80)),
        (":0", AnyAddress(0)),
        ("0.0.0.0:443", IpPort(ip_address("0.0.0.0"), 443)),
        ("[::]:443", IpPort(ip_address("::"), 443)),
        ("unix:/run/web.sock", UnixPath("/run/web.sock")),
    ],
)
def test_a_bind_is_a_port_an_address_or_a_socket(text: str, address: object) -> None:
    assert Bind.parse(text) == Bind(text, address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8080", "write it as :8080"),
        ("127.0.0.1", "write it as 127.0.0.1:8080"),
        ("::1", r"write it as \[::1\]:8080"),
        ("[::1]", r"write it as \[::1\]:8080"),
        ("localhost:80", "an IP address, not a name"),
        (":65536", "0 to 65535"),
        (":http", "0 to 65535"),
        ("unix:run/x", "absolute"),
        ("unix:/" + "x" * 107, "107 bytes"),
        ("[127.0.0.1]:80", "an IP address, not a name"),
    ],
)
def test_a_bind_that_is_none_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bind.parse(text)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("10.0.0.1:80", IpPort(ip_address("10.0.0.1"), 80)),
        ("[2001:db8::1]:80", IpPort(ip_address("2001:db8::1"), 80)),
        ("app.internal:80", HostPort("app.internal", 80)),
        ("my_app-1:80", HostPort("my_app-1", 80)),
        ("unix:/run/app.sock", UnixPath("/run/app.sock")),
    ],
)
def test_a_backend_is_an_address_a_name_or_a_socket(text: str, target: object) -> None:
    assert BackendAddress.parse(text).target == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://app:80", "is a URL"),
        ("10.0.0.256:80", "neither an IP address nor a name"),
        ("-app:80", "neither an IP address nor a name"),
        ("app:0", "1 to 65535"),
        ("app", "write it as app:8080"),
        ("0.0.0.0:80", "no backend can be at"),
        ("[fe80::1%eth0]:80", "neither an IP address nor a name"),
    ],
)
def test_a_backend_that_is_none_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BackendAddress.parse(text)


def test_a_name_server_has_port_53_unless_it_says_another() -> None:
    assert NameServer.parse("127.0.0.53") == NameServer(ip_address("127.0.0.53"), 53)
    assert NameServer.parse("2001:db8::53") == NameServer(ip_address("2001:db8::53"), 53)
    assert NameServer.parse("[2001:db8::53]:5353") == NameServer(ip_address("2001:db8::53"), 5353)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_prints_as_it_may_be_written(ip: object, port: int) -> None:
    written = str(IpPort(ip, port))  # type: ignore[arg-type]
    assert Bind.parse(written).address == IpPort(ip, port)  # type: ignore[arg-type]


@given(st.text(max_size=30))
def test_no_text_is_more_than_refused(text: str) -> None:
    for kind in (Bind, BackendAddress, NameServer):
        try:
            kind.parse(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017  (most texts are refused, some are not)
