"""A fresh network namespace for a test, and the pytest fixture of it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from typing import Any


class NetnsUnavailable(OSError):
    """This process cannot create a network namespace (CAP_SYS_ADMIN is needed)."""


def fresh_netns() -> AbstractContextManager[str]:
    """Return a context manager: a new network namespace for the calling thread, left at its end.

    It yields the namespace's path, for ``Conntrack(netns=path)`` in other threads.  ``lo`` is up.
    Raises :class:`NetnsUnavailable` without CAP_SYS_ADMIN.  As a pytest fixture::

        @pytest.fixture
        def netns():
            with pyconntrack.testing.fresh_netns() as path:
                yield path
    """
    from contextlib import contextmanager

    return contextmanager(_fresh_netns)()


def _fresh_netns() -> Iterator[str]:
    import ctypes
    import fcntl
    import socket
    import struct

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *args: int) -> None:
        if getattr(libc, name)(*args):
            code = ctypes.get_errno()
            raise NetnsUnavailable(code, f"{name}: {os.strerror(code)}")

    new_net = 0x40000000
    own = "/proc/thread-self/ns/net"
    before = os.open(own, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("unshare", new_net)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                request = struct.pack("16sH14x", b"lo", 0)
                (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, 0x8913, request), 16)
                fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))
            inside = os.open(own, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield f"/proc/{os.getpid()}/fd/{inside}"
            finally:
                os.close(inside)
        finally:
            call("setns", before, new_net)
    finally:
        os.close(before)


def netns_fixture() -> Callable[[], Generator[str, None, None]]:
    """Return a pytest fixture of :func:`fresh_netns` that skips the test without CAP_SYS_ADMIN.

    ``netns = pyconntrack.testing.netns_fixture()``
    """
    from contextlib import ExitStack

    import pytest

    @pytest.fixture
    def netns() -> Generator[str, None, None]:
        with ExitStack() as stack:
            try:
                path = stack.enter_context(fresh_netns())
            except NetnsUnavailable as error:
                pytest.skip(str(error))
            yield path

    found: Any = netns
    return found  # type: ignore[no-any-return]
