"""From how many entries, rows or bytes a way pays, each with the measurement that set it.

All were measured on two cores, as medians of runs in turn.
"""

from __future__ import annotations


class Use:
    """What a dump is for, as sizes: ``ahead``, the datagrams (of 32 KiB) that may wait for the
    caller, and ``window``, the bytes that are handled at once."""

    __slots__ = ("ahead", "window")

    ahead: int
    window: int

    def __init__(self, ahead: int, window: int) -> None:
        self.ahead, self.window = ahead, window


#: the kernel works on while a window is formatted; windows are large enough for columns (half as
#: much costs a fifth more of our own time) and small enough for caches
LISTING = Use(64, 1 << 20)
#: only a short time between seeing and changing an entry protects one that changed meanwhile:
#: of 197,000 deleted under 3,500 reuses a second 84 were wrong with 16 MiB ahead and windows of
#: 1 MiB, 2 with these sizes.  Four whole datagrams are a window, and more than a window may wait
CHANGE = Use(6, 120 << 10)
#: few entries, which are worked on line by line, at ten times the cost: each datagram is listed
#: while others arrive, or changed before the next but one is made
FEW_LISTED, FEW_CHANGED = Use(64, 64 << 10), Use(1, 16 << 10)

#: entries below which a table is asked for before the command line is parsed: the kernel's walk
#: (9 ms for 262,144 buckets) then overlaps with parsing and imports
SMALL = 1_000
#: entries from which a listing's text is worth numpy's import (60 to 100 ms, at 2.5 us saved an
#: entry), and a second walk through the kernel's hash table worth what it narrows
MANY = 40_000
#: entries from which the requests of a change are worth that import
MANY_CHANGED = 10_000
#: the same where it is not known how many come, in bytes that have arrived (some 200 an entry)
MANY_BYTES, CHANGED_BYTES = 12_000_000, 1 << 20
#: entries from which the kernel's walk through a table takes longer than that import, which then
#: costs nothing beside it (540 ms for 1,000,000 entries, of which one matches)
HIDDEN = 400_000
#: entries that are printed, sorted or aligned together: columns cost by the call
PRINTED = 4096
#: updated entries of a large table that GETs show again; a second dump is quicker for more
GETS = 8192
#: events that wait at once from which columns are quicker than reading them one by one
BURST = 256

#: rows of a length or a shape below which numpy's calls cost more than a loop over them
FEW = 12
#: lengths in a batch from which they are told apart by sorting
MANY_LENGTHS = 12
#: layouts of one length that are proven as matrices before the rest is found one by one
MANY_SHAPES = 32
