"""Network namespaces for a test.

A socket always belongs to the namespace of the thread that made it, so one thread
can play both ends of a connection: make the server's socket inside
``with peer.entered():``, the client's outside, and use them side by side.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
OWN_NAMESPACE = "/proc/thread-self/ns/net"

# Loaded once; a name lookup of None is the running process's own libc.
_libc = ctypes.CDLL(None, use_errno=True)


def in_ci() -> bool:
    """Return whether a missing requirement is an error instead of a reason to skip."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def unavailable(reason: str) -> NoReturn:
    """Skip the running test with this reason; in CI, fail it instead."""
    if in_ci():
        pytest.fail(f"must not be skipped in CI: {reason}", pytrace=False)
    pytest.skip(reason)


class NetnsError(OSError):
    """The kernel refused a namespace."""


def _call(name: str, *args: int) -> None:
    if getattr(_libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise NetnsError(code, f"{name}: {os.strerror(code)}")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


class Namespace:
    """A network namespace, held by a file descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def current(cls) -> Namespace:
        """Return the namespace of the calling thread."""
        return cls(os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC))

    @property
    def inode(self) -> int:
        """Return the inode number that identifies the namespace."""
        return os.fstat(self.fd).st_ino

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Work inside: sockets and processes made here belong to this namespace."""
        before = Namespace.current()
        try:
            _call("setns", self.fd, CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", before.fd, CLONE_NEWNET)
        finally:
            before.close()

    def close(self) -> None:
        """Close it; the kernel ends the namespace when nothing else holds it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@contextmanager
def fresh_netns() -> Iterator[Namespace]:
    """Put the calling thread in a new, empty namespace with ``lo`` up, and back afterwards.

    Processes started inside inherit it.  Nesting is allowed.
    """
    before = Namespace.current()
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            _loopback_up()
            inside = Namespace.current()
            try:
                yield inside
            finally:
                inside.close()
        finally:
            _call("setns", before.fd, CLONE_NEWNET)
    finally:
        before.close()


def new_peer() -> Namespace:
    """Return another new namespace with ``lo`` up; the calling thread stays in its own."""
    with fresh_netns() as inside:
        return Namespace(os.dup(inside.fd))


def why_not() -> str | None:
    """Return why no namespace can be made here, or None if one can."""
    try:
        with fresh_netns():
            return None
    except NetnsError as error:
        who = "root" if os.geteuid() == 0 else "an ordinary user"
        return f"{who} may not make a network namespace here ({error.strerror})"


def sysctl(name: str, value: int | str | None = None) -> str:
    """Read, or write and read back, a setting of the calling thread's namespace.

    ``name`` is relative to net/netfilter, for example ``nf_conntrack_timestamp``,
    or starts with ``net.``.  A read-only /proc/sys skips the test.
    """
    dotted = name if name.startswith("net.") else f"net.netfilter.{name}"
    # /proc/sys/net shows the namespace of whoever opens the file.
    path = Path("/proc/sys", *dotted.split("."))
    if value is not None:
        try:
            path.write_text(f"{value}\n", encoding="ascii")
        except OSError as error:
            if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
                unavailable(f"{path} cannot be written ({error.strerror})")
            raise
    return path.read_text(encoding="ascii").strip()
