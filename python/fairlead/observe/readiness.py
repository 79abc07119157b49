"""Says to whoever started us what we are: systemd's protocol (sd_notify(3)) and a line to a descriptor."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from fairlead.errors import UsageError


class Readiness:
    """Tells each listener once per change; without any it says nothing."""

    def __init__(self, ready_fd: int | None = None) -> None:
        if ready_fd is not None:
            try:
                os.fstat(ready_fd)
            except OSError as error:
                message = f"--ready-fd {ready_fd}: {error.strerror}"
                raise UsageError(message) from error
            # The engine process must not hold it open: its end is a message too.
            os.set_inheritable(ready_fd, False)  # noqa: FBT003 - the call has it so
        self._ready_fd = ready_fd
        self._said = False
        self._address = os.environ.pop("NOTIFY_SOCKET", None)

    def ready(self) -> None:
        """All listeners accept and health is known."""
        self._said = True
        self._notify(f"READY=1\nSTATUS=serving\nMAINPID={os.getpid()}")
        if self._ready_fd is not None:
            descriptor, self._ready_fd = self._ready_fd, None
            # Whoever asked for the line may be gone, which is no reason to stop serving.
            with contextlib.suppress(BrokenPipeError):
                os.write(descriptor, b"ready\n")
            os.close(descriptor)

    def reloading(self) -> None:
        """A reload began."""
        if self._said:
            self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """A reload ended, with whatever outcome; what is not ready yet becomes so by `ready` alone."""
        if self._said:
            self._notify("READY=1\nSTATUS=serving")

    def stopping(self) -> None:
        """The drain began."""
        self._notify("STOPPING=1\nSTATUS=draining")

    def _notify(self, text: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # an abstract socket
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to, contextlib.suppress(OSError):
            to.connect(address)
            to.send(text.encode())
