"""Network namespaces: holding one, so that every later socket opens in it; its settings.

Entering a namespace is :mod:`pyconntrack.transport`'s.
"""

from __future__ import annotations

import os

from .errors import RequestError, kernel_error


class Held:
    """A namespace named once and held until `close`.

    `netns`: None (the thread's own), a name as ``ip netns`` has it, a process id, or a path.
    Names can be reused and processes end; the descriptor stays what it was.
    """

    __slots__ = ("_fd",)

    def __init__(self, netns: str | int | os.PathLike[str] | None) -> None:
        self._fd = -1
        if netns is None:
            return
        if isinstance(netns, bool) or not isinstance(netns, (str, int, os.PathLike)):
            raise RequestError(f"netns: a name, a process id or a path is wanted, not {netns!r}")
        if isinstance(netns, int):
            path = f"/proc/{netns}/ns/net"
        else:
            text = os.fspath(netns)
            path = text if "/" in text else f"/run/netns/{text}"
        if "\0" in path:
            raise RequestError(f"netns: {netns!r} is no name of a network namespace")
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            words = f"opening network namespace {netns}"
            raise kernel_error(error.errno or 0, words) from None

    @property
    def path(self) -> str | None:
        """What :class:`~pyconntrack.transport.Transport` takes as its `netns`."""
        return None if self._fd < 0 else f"/proc/self/fd/{self._fd}"

    def close(self) -> None:
        """Lets go; twice is no error."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sysctl(name: str, otherwise: int) -> int:
    """Return net.netfilter.``name`` of the caller's namespace; ``otherwise`` if unreadable."""
    try:
        with open(f"/proc/sys/net/netfilter/{name}", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return otherwise
