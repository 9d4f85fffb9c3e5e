"""The kernel's table of a measurement: its entries, filled by our own ``-R``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import measure, netlink
from .measure import NotAvailable

RARE_PORT, RARE_MARK = 8883, 99
TCP_PORTS, UDP_PORTS = (443, 80, 22, 993), (53, 123, 443, 5060)


def address(i: int) -> str:
    """The source of entry `i`: no two entries have the same."""
    return f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"


def line(i: int) -> str:
    """Entry `i` as -R reads it: 60 % TCP; one of a thousand has a rare port or mark."""
    mark = RARE_MARK if i % 1000 == 1 else i % 7
    tuple_ = f"-s {address(i)} -d 192.168.{i % 50}.{i % 200}"
    sport = 1024 + i % 60000
    if i % 5 < 3:
        port = RARE_PORT if i % 1000 == 0 else TCP_PORTS[i % 4]
        rest = f"-p tcp --sport {sport} --dport {port} --state ESTABLISHED -u SEEN_REPLY,ASSURED"
    else:
        rest = f"-p udp --sport {sport} --dport {UDP_PORTS[i % 4]} -u SEEN_REPLY"
    return f"-A {tuple_} {rest} -t 86400 -m {mark}\n"


class Table:
    """Tables of this namespace, of any size."""

    def __init__(self, c_tool: str) -> None:
        self._c_tool = c_tool
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)
        self.size = 0
        self.said: set[str] = set()

    def close(self) -> None:
        """Removes the files and the entries."""
        netlink.flush()
        self._folder.cleanup()

    def lines(self, size: int) -> str:
        """The path of a file with the lines of a table."""
        path = self.folder / f"{size}.lines"
        if not path.exists():
            with path.open("w", encoding="ascii") as file:
                file.writelines(map(line, range(size)))
        return str(path)

    def fill(self, size: int) -> None:
        """Makes the table hold exactly its `size` entries; nothing to do where it does."""
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
        """Empties the table."""
        netlink.flush()
        self.size = 0
