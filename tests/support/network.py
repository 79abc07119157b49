"""Networks of the test's own: namespaces with a wire between each two, and sockets in them."""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.program import installed

_SETNS = ctypes.CDLL(None, use_errno=True).setns


@dataclass(frozen=True)
class Machine:
    """A namespace with addresses and routes of its own."""

    name: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with to be run there."""
        return ("ip", "netns", "exec", self.name)

    def ip(self, words: str) -> None:
        """Configure it: `ip` with these words."""
        _ip("-n", self.name, *words.split())

    def set(self, key: str, value: str) -> None:
        """Set a value of the kernel's, as `net/ipv4/tcp_fastopen`."""
        subprocess.run([*self.inside, "sh", "-c", f"echo {value} > /proc/sys/{key}"], check=True)

    def socket(self, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A socket that is there, whoever uses it."""
        made: list[socket.socket] = []

        def make() -> None:
            # Namespaces belong to threads.
            with Path(f"/run/netns/{self.name}").open() as namespace:
                if _SETNS(namespace.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.socket(family))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        (found,) = made
        found.setblocking(False)  # noqa: FBT003 - its name says it
        return found


def _ip(*words: str) -> None:
    command = ("ip", *words)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@contextlib.contextmanager
def machines(*names: str) -> Iterator[list[Machine]]:
    """Some of them, each with nothing but its own loopback. Needs root; else the test is skipped."""
    installed("ip", "iproute2", "sbin")
    found = [Machine(f"fairlead-{os.getpid()}-{name}") for name in names]
    with contextlib.ExitStack() as stack:
        for machine in found:
            command = ["ip", "netns", "add", machine.name]
            made = subprocess.run(command, check=False, capture_output=True, text=True)
            if made.returncode != 0:
                pytest.skip(f"no network namespaces here (they need root): {made.stderr.strip()}")
            stack.callback(_ip, "netns", "del", machine.name)
            machine.ip("link set lo up")
        yield found


def wire(one: Machine, other: Machine, name: str, network: int) -> None:
    """An interface `name` in both: 10.77.N.1 and fd77:N::1 in one, 10.77.N.2 and fd77:N::2 in the other."""
    one.ip(f"link add {name} type veth peer name {name} netns {other.name}")
    for place, machine in enumerate((one, other), 1):
        machine.ip(f"link set {name} up")
        machine.ip(f"addr add 10.77.{network}.{place}/24 dev {name}")
        machine.ip(f"addr add fd77:{network}::{place}/64 dev {name} nodad")
