"""Network namespaces: hold one, so that later sockets open in it; read its settings."""

from __future__ import annotations

import os

from ..errors import RequestError, kernel_error


def path_of(netns: str | int | os.PathLike[str]) -> str:
    """Return the path of a namespace given by name (as in ``ip netns``), process id or path."""
    if isinstance(netns, int):
        return f"/proc/{netns}/ns/net"
    text = os.fspath(netns)
    return text if "/" in text else f"/run/netns/{text}"


class Held:
    """A namespace held by a descriptor until ``close``, as names are reused and processes end.

    ``netns``: None (the thread's own), a name (as in ``ip netns``), a process id or a path.
    """

    __slots__ = ("_fd",)

    def __init__(self, netns: str | int | os.PathLike[str] | None) -> None:
        self._fd = -1
        if netns is None:
            return
        if isinstance(netns, bool) or not isinstance(netns, (str, int, os.PathLike)):
            raise RequestError(f"netns: a name, a process id or a path is wanted, not {netns!r}")
        path = path_of(netns)
        if "\0" in path:
            raise RequestError(f"netns: {netns!r} is no name of a network namespace")
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise kernel_error(error.errno or 0, f"opening network namespace {netns}") from None

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
