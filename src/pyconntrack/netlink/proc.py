"""What /proc shows of netfilter's netlink sockets and of connection tracking, in a namespace."""

from __future__ import annotations

import os

from .constants import NETLINK_NETFILTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

#: the thread's namespace: /proc/net is that of the process
NET = "/proc/thread-self/net"


class Row:
    """A socket: its port id, the groups it listens to (the bits of the first 32), the bytes
    that wait in it, the messages that it lost, and its inode.
    """

    __slots__ = ("drops", "groups", "inode", "portid", "rmem")

    portid: int
    groups: int
    rmem: int
    drops: int
    inode: int

    def __init__(self, cells: list[str]) -> None:
        self.portid, self.groups = int(cells[2]), int(cells[3], 16)
        self.rmem, self.drops, self.inode = int(cells[4]), int(cells[8]), int(cells[9])


def sockets() -> list[Row]:
    """Return the sockets of NETLINK_NETFILTER; raise OSError if they cannot be read."""
    with open(f"{NET}/netlink") as file:
        rows = [line.split() for line in file]
    return [Row(cells) for cells in rows if len(cells) >= 10 and cells[1] == f"{NETLINK_NETFILTER}"]


def holders(rows: Collection[Row]) -> dict[int, tuple[int, bytes]]:
    """Return for each inode of ``rows`` the id and the name of a process that holds the socket.

    Those are left out whose process has ended or belongs to another user.
    """
    wanted = {f"socket:[{row.inode}]": row.inode for row in rows}
    found: dict[int, tuple[int, bytes]] = {}
    # a process's first socket has its process id
    likely = [str(row.portid) for row in rows if row.portid > 0]
    try:
        pids = [*likely, *filter(str.isdecimal, os.listdir("/proc"))] if wanted else []
    except OSError:
        return found
    for pid in pids:
        if len(found) == len(wanted):
            break
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                inode = wanted.get(os.readlink(f"/proc/{pid}/fd/{fd}"))
                if inode is not None and inode not in found:
                    with open(f"/proc/{pid}/comm", "rb") as file:
                        found[inode] = int(pid), file.read().rstrip(b"\n")
        except OSError:
            continue  # it ended, or belongs to another user
    return found


def counters() -> list[dict[str, int]]:
    """Return the counters of each CPU, by the names of /proc; raise OSError or ValueError.

    Anyone may read them; those that the kernel reports by netlink are for root only.
    """
    with open(f"{NET}/stat/nf_conntrack") as file:
        names = file.readline().split()
        lines = [line.split() for line in file]
    return [
        {name: int(cell, 16) for name, cell in zip(names, cells, strict=False)} for cells in lines
    ]
