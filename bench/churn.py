"""Changes under churn: how many hit an entry that had been created again and no longer matched.

While a tool deletes or updates all entries that one server answers, another process deletes
entries at random and creates them again, answered by another server: the same original tuples,
and often the same ids, but no longer selected. The event of a change reports who requested it and
what the entry was. The events wait in a buffer that holds all of them, and are read at the end, so
that their reader takes no processor time from the tools.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import child, measure, netlink
from .jobs import Row, Runner
from .measure import NotAvailable, Sample
from .special import Take, turns

BUFFER = 1 << 29  # bytes; the kernel doubles it, and an event takes 1,280
MILLION = 1_000_000
MATCH = f"-r {socket.inet_ntoa(netlink.SERVER)}"


@dataclass(frozen=True)
class Change:
    """A command line that changes the matching entries, and the churn meanwhile."""

    name: str
    args: str
    entries: int
    rate: int  # entries created again in a second
    bound: float  # most wrong changes of a million


CHANGES = (
    Change("-D under churn: wrong", f"-D {MATCH}", 200_000, 3_500, 10 / 200_000 * MILLION),
    # -f, as 1.4.7 sends updates without a family else, which newer kernels refuse
    Change("-U under churn: wrong", f"-U -f ipv4 {MATCH} -m 7", 60_000, 9_200, 0.0025 * MILLION),
)


@dataclass
class Tally:
    """The totals of a tool in all rounds."""

    changed: int = 0
    wrong: int = 0
    reused: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        rate = self.reused / self.seconds if self.seconds else 0
        return f"{self.wrong:,} of {self.changed:,} wrong, under {rate:,.0f} reuses a second"


def churn(runner: Runner) -> Iterator[Row]:
    """Measure wrong deletes, then wrong updates, per million, from the event of each change."""
    for change in CHANGES:
        entries = min(change.entries, runner.size)
        bound = change.bound if entries == change.entries else None  # too few to judge
        row = Row(change.name, "churn", bound=bound, unit="ppm")
        tallies = {name: Tally() for name in runner.tools}
        takes: dict[str, Take] = {
            name: partial(_take, runner, tool, change, entries, tallies[name])
            for name, tool in runner.tools.items()
        }
        got = turns(takes, runner.rounds, row)
        for name, sample in got.items():
            tally = tallies[name]
            sample = sample._replace(wall=tally.wrong / tally.changed * MILLION)
            row.notes.append(f"{name}: {tally}")
            if name == "C":
                row.theirs = sample
            else:
                row.ours = sample
        yield row
    runner.table.empty()


def _take(runner: Runner, tool: list[str], change: Change, entries: int, tally: Tally) -> Sample:
    runner.table.empty()
    with (
        netlink.listen(BUFFER) as events,
        tempfile.NamedTemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        netlink.populate(entries)
        argv = measure.child_argv("churn", str(entries), str(change.rate))
        churner = measure.spawn(argv, out.name, err.fileno())
        try:
            if not select.select([events], [], [], 10)[0]:
                raise NotAvailable("no entry came anew")
            sample = measure.run([*tool, *change.args.split()], orphans=False)
        finally:
            os.kill(churner, signal.SIGTERM)
            code, _, _ = measure.reap(churner, orphans=False)
        if code:
            raise NotAvailable("the churner failed")
        changed, wrong = heard(events)
        reused, seconds = Path(out.name).read_text(encoding="ascii").split()
    if not changed:
        raise NotAvailable("it changed nothing")
    tally.changed += changed
    tally.wrong += wrong
    tally.reused += int(reused)
    tally.seconds += float(seconds)
    return sample


def heard(events: socket.socket) -> tuple[int, int]:
    """Count the entries changed by others than the churner, and those of them that did not match.

    Raises NotAvailable if an event was lost: the numbers would be too low.
    """
    if drops := sum(drops for _, drops in netlink.listeners()):
        raise NotAvailable(f"{drops:,} events were lost")
    changed = wrong = 0
    events.setblocking(False)
    while True:
        try:
            event = events.recv(4096)
        except BlockingIOError:
            return changed, wrong
        (port,) = struct.unpack_from("=I", event, 12)
        if port not in (0, child.CHURNER):  # 0: the kernel's own doing
            changed += 1
            wrong += event[netlink.REPLY_SOURCE] != netlink.SERVER
