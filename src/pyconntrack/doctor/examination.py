"""``Examination``: a snapshot, and what several checks conclude from it, each once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from .ports import port_pressure

if TYPE_CHECKING:
    from .observation import Snapshot
    from .ports import Pressure

#: ports of a range from which searches begin to fail before all are held; smaller ones are
#: searched whole (measured on Linux 6.18)
SEARCHED_WHOLE = 128
#: percent of the ports of a range from which it is looked at
PRESSED = 80.0
#: percent from which searches fail: in 64,512 ports 2 % of them at 93, 24 % at 98; ranges that are
#: searched whole fail when nothing is left
FAILING, FAILING_WHOLE = 90.0, 100.0
#: percent of a range that may be all that one of several rules for its address allows
_QUARTER = 25.0
#: percent of its maximum from which a table counts as full while packets are dropped
FULL = 95.0


#: the columns of a table of flows that the checks look at
NEEDED = (
    "orig_proto", "orig_src", "orig_dst", "orig_dport", "reply_src", "reply_dst", "reply_sport",
    "reply_dport", "status", "tcp_state", "timeout", "helper", "zone", "orig_zone", "reply_zone",
)  # fmt: skip


class Failures(NamedTuple):
    """What became of packets between the two readings, told apart by the counters' differences.

    Used-up ports move ``insert_failed`` and ``drop`` by the same number; too long chains
    ``chain_toolong`` and ``insert_failed``; a full table ``drop`` alone, and ``early_drop`` for
    each entry that gave way.
    """

    ports: int
    chains: int
    full: int
    evicted: int


class Examination:
    """A snapshot under examination."""

    def __init__(self, snapshot: Snapshot) -> None:
        lacking = (
            set() if snapshot.flows is None else set(NEEDED).difference(snapshot.flows.columns)
        )
        if lacking:
            reason = f"the table was read without the column {min(lacking)}"
            unknown = {"flows": reason, **snapshot.unknown}
            snapshot = snapshot._replace(flows=None, unknown=unknown)
        self.snapshot = snapshot

    @cached_property
    def failures(self) -> Failures | None:
        """Return the causes of failures, None if there are not two readings of the counters."""
        change = self.snapshot.change
        failed, dropped = change("insert_failed"), change("drop")
        if failed is None or dropped is None:
            return None
        chains = change("chain_toolong") or 0
        ports = max(0, failed - chains)
        return Failures(ports, chains, max(0, dropped - ports), change("early_drop") or 0)

    @cached_property
    def pressed(self) -> list[Pressure]:
        """Return the ranges of ports that are nearly used up, if only by flows that end."""
        return self._ranges(PRESSED)

    def fullest(self) -> Pressure | None:
        """Return the range of ports that is held most, None if none of them is by a quarter."""
        return next(iter(self._ranges(_QUARTER)), None)

    def _ranges(self, share: float) -> list[Pressure]:
        snapshot = self.snapshot
        if snapshot.flows is None:
            return []
        return port_pressure(snapshot.flows, snapshot.nat, share=share, kernel=snapshot.kernel)

    @cached_property
    def exhausted(self) -> list[Pressure]:
        """Return the ranges in which searches fail.

        Where they did and no range is that full, all that are nearly used up.  Where they did not,
        none whose fill alone is no alarm.
        """
        failed = self.failures is not None and self.failures.ports > 0
        full = [each for each in self.pressed if _fails(each) and (failed or each.alarming)]
        return full or [each for each in self.pressed if failed and each.share >= PRESSED]

    @property
    def is_full(self) -> bool:
        """Return whether the table was full at one of the readings."""
        most = self.snapshot.maximum
        return bool(most) and 100 * max(self.snapshot.counts) >= FULL * most

    @property
    def expired(self) -> tuple[int, int | None] | None:
        """Return the number of entries that expired and were not yet removed, and by how much it
        may be wrong, None if that is unknown; None if the number is.

        They count, but a dump does not show them.  What came or went during the dump is taken for
        them.
        """
        snapshot = self.snapshot
        if snapshot.flows is None or "counts" in snapshot.unknown:
            return None
        number = max(0, snapshot.counts[1] - len(snapshot.flows))
        if snapshot.growth is None:
            return number, None
        doubt = abs(snapshot.growth) * snapshot.dump_seconds
        return number, round(min(doubt, max(snapshot.counts)))

    def sizes(self, **settings: int) -> str:
        """Return the command that sets sizes which are one for all namespaces."""
        words = [f"net.netfilter.{name}={value}" for name, value in settings.items()]
        elsewhere = self.snapshot.netns not in ("", "init")
        where = " in the initial namespace" if elsewhere else ""
        return f"sysctl -w {' '.join(words)}{where}"

    @property
    def during(self) -> str:
        """Return "in 5.0 s"."""
        return f"in {self.snapshot.seconds:.1f} s"


def _fails(pressure: Pressure) -> bool:
    small = pressure.capacity <= SEARCHED_WHOLE
    return pressure.share >= (FAILING_WHOLE if small else FAILING)
