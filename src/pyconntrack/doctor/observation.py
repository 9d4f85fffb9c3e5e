"""``Snapshot``: what was read in one look, as plain data.

Tests and other programs can make one by hand: every field has a default, which stands for a healthy
and empty namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..columnar.flow_table import FlowTable

#: a counter of a CPU is an unsigned number of so many bits, and wraps
_COUNTER_BITS = 32


class Listener(NamedTuple):
    """A socket that listens to events of connection tracking.

    ``pid``: the process that holds it, 0 if it was not found, and ``name`` its name; ``groups``:
    what it listens to ("new", "update", "destroy", "exp_new"...); ``drops``: how many messages it
    had lost before and after the sampling time, since it was opened; ``rmem``: bytes that wait in
    its receive buffer.
    """

    pid: int
    name: str
    groups: tuple[str, ...]
    drops: tuple[int, int]
    rmem: int = 0


class NatRange(NamedTuple):
    """Source addresses and ports that a rule translates to.

    ``address``: a network ("203.0.113.7/32"), None for those of the outgoing interface
    (masquerade) and where the rule does not show them; ``protocol``: "tcp", or None for any;
    ``ports``: first and last, None for the kernel's classes; ``source``: "nft" (snat),
    "masquerade", or "xt" (a rule of iptables-nft, of which only its presence shows); ``family``:
    "ipv4", "ipv6", or None for both.
    """

    address: str | None = None
    protocol: str | None = None
    ports: tuple[int, int] | None = None
    source: str = "nft"
    family: str | None = None


class Snapshot(NamedTuple):
    """What the kernel knew of connection tracking in one namespace, over ``seconds``.

    ``host``, ``kernel`` (release), ``netns`` (name): where it was taken; ``taken_at``: when, in
    nanoseconds since 1970.

    ``seconds``: the time between the two readings, 0 if there was only one; pairs are (before,
    after).  ``counters``: for each reading the counters of each CPU, by the names of
    :class:`~pyconntrack.CpuStats`, with the number of the CPU under "cpu"; ``counts``: the number
    of flows, including expired ones that were not yet removed.  All counts are read before
    ``flows``: a dump evicts expired entries, so counts around it would show a change that it made.

    ``sysctls``: net.netfilter.* by name ("nf_conntrack_acct"); ``maximum`` and ``buckets``: sizes
    of the table; ``expectations``: number of expectations by helper ("" for none);
    ``expect_maximum``: their limit.  ``listeners``: the sockets that receive events; ``flows``: the
    table, None if it could not be read; ``dump_seconds``: the time that reading it took.
    ``nat``: what the rules translate sources to; ``needed_by``: what has rules that need tracking
    ("nft"), or may have ("iptables": the rules of legacy tables do not show); ``modules``: kernel
    modules of netfilter.

    ``unknown``: field -> reason, for what could not be read; the field then has its default.
    """

    host: str = ""
    kernel: str = ""
    netns: str = ""
    taken_at: int = 0
    seconds: float = 0.0
    sysctls: Mapping[str, int] = {}
    counters: tuple[tuple[Mapping[str, int], ...], tuple[Mapping[str, int], ...]] = ((), ())
    counts: tuple[int, int] = (0, 0)
    maximum: int = 0
    buckets: int = 0
    expectations: Mapping[str, int] = {}
    expect_maximum: int = 0
    listeners: tuple[Listener, ...] = ()
    flows: FlowTable | None = None
    dump_seconds: float = 0.0
    nat: tuple[NatRange, ...] = ()
    needed_by: tuple[str, ...] = ("nft",)
    modules: tuple[str, ...] = ()
    unknown: Mapping[str, str] = {}

    def change(self, name: str) -> int | None:
        """Return by how much counter ``name`` grew, the sum of all CPUs; None if it is unknown.

        It is unknown without a second reading, and where the kernel has no such counter.  Each
        CPU's counter may have wrapped once.
        """
        if not self.seconds:
            return None
        before = {cpu["cpu"]: cpu for cpu in self.counters[0]}
        changes = [
            (cpu[name] - before.get(cpu["cpu"], {}).get(name, 0)) % (1 << _COUNTER_BITS)
            for cpu in self.counters[1]
            if name in cpu
        ]
        return sum(changes) if changes else None

    def rate(self, name: str) -> float | None:
        """Return the same for each second."""
        change = self.change(name)
        return None if change is None else change / self.seconds

    def total(self, name: str) -> int | None:
        """Return counter ``name`` since the namespace was made, None if it is unknown."""
        values = [cpu[name] for cpu in self.counters[1] if name in cpu]
        return sum(values) if values else None

    @property
    def growth(self) -> float | None:
        """Return by how many entries the table grew each second, None if that is unknown."""
        if not self.seconds or "counts" in self.unknown:
            return None
        return (self.counts[1] - self.counts[0]) / self.seconds
