"""Network namespaces: work in one, hold one for later sockets, and read its settings."""

from __future__ import annotations

import os

from ..errors import RequestError, kernel_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")
    #: a name (as in ``ip netns``), a process id or a path
    Netns = str | int | os.PathLike[str]

_CLONE_NEWNET = 0x40000000
#: where ``ip netns`` keeps namespaces by their names
NAMED = "/run/netns"
_OWN = "/proc/thread-self/ns/net"


def _opened(netns: Netns) -> int:
    """Return a descriptor of a namespace; raise RequestError or KernelError."""
    if isinstance(netns, bool) or not isinstance(netns, (str, int, os.PathLike)):
        raise RequestError(f"netns: a name, a process id or a path is wanted, not {netns!r}")
    path = f"/proc/{netns}/ns/net" if isinstance(netns, int) else os.fspath(netns)
    if "\0" in path:
        raise RequestError(f"netns: {netns!r} is no name of a network namespace")
    if "/" not in path:
        path = f"{NAMED}/{path}"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise kernel_error(error.errno or 0, f"opening network namespace {netns}") from None


def enter(netns: Netns) -> None:
    """Move the calling thread, and those that it starts, into a namespace for good.

    Raises RequestError or KernelError.
    """
    there = _opened(netns)
    try:
        _set(there, f"entering network namespace {netns}")
    finally:
        os.close(there)


def _set(fd: int, doing: str) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWNET):
        raise kernel_error(ctypes.get_errno(), doing)


def inside(netns: Netns, action: Callable[[], T]) -> T:
    """Return the result of ``action``, called in a namespace; the calling thread returns to its
    own."""
    here = _opened(_OWN)
    try:
        enter(netns)
        try:
            return action()
        finally:
            _set(here, "returning from a network namespace")
    finally:
        os.close(here)


class Held:
    """A namespace held by a descriptor until ``close``, as names are reused and processes end.

    ``netns``: None for the thread's own.
    """

    __slots__ = ("_fd",)

    def __init__(self, netns: Netns | None) -> None:
        self._fd = -1 if netns is None else _opened(netns)

    @property
    def path(self) -> str | None:
        """Return the ``netns`` argument of :class:`~pyconntrack.netlink.socket.Transport`."""
        return None if self._fd < 0 else f"/proc/self/fd/{self._fd}"

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sysctl(name: str, otherwise: int) -> int:
    """Return net.netfilter.``name`` of the caller's namespace, ``otherwise`` if unreadable."""
    try:
        with open(f"/proc/sys/net/netfilter/{name}", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return otherwise
