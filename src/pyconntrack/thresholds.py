"""Thresholds above which a faster path pays off, each with the measurement that set it.

All were measured on two cores, as medians of alternating runs.
"""

from __future__ import annotations


class Use:
    """The sizes for one use of a dump.

    ``ahead``: datagrams (of 32 KiB) that may wait for the caller; ``window``: bytes of a window.
    """

    __slots__ = ("ahead", "window")

    ahead: int
    window: int

    def __init__(self, ahead: int, window: int) -> None:
        self.ahead, self.window = ahead, window


#: the kernel continues while a window is formatted; windows are large enough for columns (half the
#: size costs a fifth more of our own time) and small enough for caches
LISTING = Use(64, 1 << 20)
#: only a short time between seeing and changing an entry protects one that changed meanwhile:
#: of 197,000 deleted under 3,500 reuses a second 84 were wrong with 16 MiB ahead and windows of
#: 1 MiB, 2 with these sizes.  A window is four whole datagrams, and more than one window may wait
CHANGE = Use(6, 120 << 10)
#: few entries, handled one by one at ten times the cost: each datagram is listed while others
#: arrive, or changed before the next but one is made
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
#: entries that are printed, sorted or aligned together, as columns cost by the call
PRINTED = 4096
#: entries that are counted together
GROUPED = 16_384
#: updated entries of a large table that are shown again by GETs; for more a dump is faster
GETS = 8192
#: waiting events from which columns are faster than reading one by one
BURST = 256

#: rows of a length or a shape below which numpy's calls cost more than a loop over them
FEW = 12
#: lengths in a batch from which they are told apart by sorting
MANY_LENGTHS = 12
#: layouts of one length that are proven as matrices before the rest is found one by one
MANY_SHAPES = 32

#: bytes of a file for -R that are read at once; a file of a whole block is encoded as columns.
#: With numpy's import they take 0.23, 0.25 and 0.31 s for 1, 2 and 4 MiB of the save format (6,044
#: to 24,203 lines), and one by one the lines take 0.12, 0.19 and 0.31 s; of NDJSON 0.26, 0.21 and
#: 0.29 s, and 0.10, 0.15 and 0.29 s.  It is decided below where both are equal, as the length of a
#: pipe is not known and each line of a longer one costs 7 us more by itself
RESTORED_BLOCK = 1 << 20
#: bytes of such a file that are encoded line by line first, which gives the shapes of the rest:
#: about as many lines as trials for a few shapes read
RESTORED_FIRST = 32 << 10
#: lines with one number of pieces, or of one shape, below which columns of a block do not pay: they
#: cost some 30 calls of numpy, and a line by itself 10 us
ENCODED = 24
#: bytes of a file for -R from which a second process pays where a core is free: a tenth of a
#: second's work.  Of 1,000,000 lines of the save format, whose creation takes 4.9 s, one process
#: checks all in 2.6 s, two in 1.8; of NDJSON in 6.8 and 4.3 s.  Where no core is free they are as
#: fast as one
HALVED_BYTES = 8 << 20
#: lines of a known shape with new constants before trials pay, which read a few lines a value
TRIED = 4
