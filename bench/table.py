"""The kernel's table of a measurement: its entries, filled by our own ``-R``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from . import measure, netlink
from .measure import NotAvailable

RARE_PORT, RARE_MARK = 8883, 99
TCP_PORTS, UDP_PORTS = (443, 80, 22, 993), (53, 123, 443, 5060)


def address(i: int) -> str:
    """Return the source of entry ``i``, which is unique."""
    return f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"


class Entry(NamedTuple):
    """An entry of the table."""

    src: str
    dst: str
    tcp: bool
    sport: int
    dport: int
    mark: int


def entry(i: int) -> Entry:
    """Return entry ``i``: 60 % are TCP; one of a thousand has a rare port or mark."""
    tcp = i % 5 < 3
    port = (RARE_PORT if i % 1000 == 0 else TCP_PORTS[i % 4]) if tcp else UDP_PORTS[i % 4]
    mark = RARE_MARK if i % 1000 == 1 else i % 7
    dst = f"192.168.{i % 50}.{i % 200}"
    return Entry(address(i), dst, tcp, 1024 + i % 60000, port, mark)


def line(i: int) -> str:
    """Return entry ``i`` as a line for -R."""
    one = entry(i)
    more = "--state ESTABLISHED -u SEEN_REPLY,ASSURED" if one.tcp else "-u SEEN_REPLY"
    return (
        f"-A -s {one.src} -d {one.dst} -p {'tcp' if one.tcp else 'udp'} --sport {one.sport} "
        f"--dport {one.dport} {more} -t 86400 -m {one.mark}\n"
    )


class Table:
    """Tables of this namespace, of any size."""

    def __init__(self, c_tool: str) -> None:
        self._c_tool = c_tool
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)
        self.size = 0
        self.said: set[str] = set()

    def close(self) -> None:
        """Remove the files and the entries."""
        netlink.flush()
        self._folder.cleanup()

    def lines(self, size: int) -> str:
        """Return the path of a file with the lines of a table."""
        path = self.folder / f"{size}.lines"
        if not path.exists():
            with path.open("w", encoding="ascii") as file:
                file.writelines(map(line, range(size)))
        return str(path)

    def fill(self, size: int) -> None:
        """Fill the table with exactly its ``size`` entries, unless it holds them already."""
        if self.size == size and netlink.count() == size:
            return
        netlink.flush()
        self.size = size
        reason = ""
        for argv in (measure.ours(), [self._c_tool]):
            try:
                measure.run([*argv, "-R", self.lines(size)])
            except NotAvailable as error:
                reason = str(error)
            if netlink.count() == size:
                return
            self.said.add(f"a table could not be loaded by {argv[0]}: {reason}")
            netlink.flush()
        raise NotAvailable(f"a table of {size} entries could not be loaded ({reason})")

    def empty(self) -> None:
        """Empty the table."""
        netlink.flush()
        self.size = 0
