"""Statistics of connection tracking, of the table and of each CPU."""

from __future__ import annotations

from ..ctnetlink.schema import STATS_CPU, STATS_EXP_CPU
from ..errors import no_such
from .fields import Value, attach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .declarations import CpuAttributes
else:
    CpuAttributes = object


class CpuStats(Value, CpuAttributes):
    """The counters of one CPU since the namespace was created.

    Counters that the running kernel lacks are None.  Source: CTA_STATS_*, CTA_STATS_EXP_*.
    """

    __slots__ = ()

    @property
    def cpu(self) -> int:
        """Return the number of the CPU."""
        return int.from_bytes(self._message[18:20])

    def to_dict(self) -> dict[str, int]:
        """Return the counters by name, with ``cpu`` first."""
        return {"cpu": self.cpu, **self._values()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CpuStats):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.to_dict().items()))

    def __repr__(self) -> str:
        return f"CpuStats({', '.join(f'{k}={v}' for k, v in self.to_dict().items())})"


attach(CpuStats, STATS_CPU)
attach(CpuStats, STATS_EXP_CPU)


class Stats:
    """The number of entries, its limit, and the counters of each CPU."""

    __slots__ = ("_cpus", "_entries", "_expect_cpus", "_max")

    def __init__(
        self,
        entries: int,
        max_entries: int | None,
        cpus: Iterable[CpuStats] = (),
        expect_cpus: Iterable[CpuStats] = (),
    ) -> None:
        self._entries, self._max = entries, max_entries
        self._cpus, self._expect_cpus = tuple(cpus), tuple(expect_cpus)

    @property
    def entries(self) -> int:
        """Return the number of flows in the table."""
        return self._entries

    @property
    def max_entries(self) -> int | None:
        """Return the limit (nf_conntrack_max), None if the kernel does not report it."""
        return self._max

    @property
    def cpus(self) -> tuple[CpuStats, ...]:
        """Return the counters of each CPU."""
        return self._cpus

    @property
    def expect_cpus(self) -> tuple[CpuStats, ...]:
        """Return the counters of expectations of each CPU."""
        return self._expect_cpus

    def total(self, name: str) -> int:
        """Return the sum of a counter over all CPUs; raise RequestError for an unknown name."""
        names = [row.name for row in STATS_CPU.values()]
        if name not in names:
            raise no_such("counter", name, names)
        return sum(getattr(cpu, name) or 0 for cpu in self._cpus)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "entries": self._entries,
            "max_entries": self._max,
            "cpus": [cpu.to_dict() for cpu in self._cpus],
            "expect_cpus": [cpu.to_dict() for cpu in self._expect_cpus],
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stats):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self._entries, self._max, self._cpus, self._expect_cpus))

    def __repr__(self) -> str:
        return (
            f"Stats(entries={self._entries}, max_entries={self._max}, "
            f"cpus={self._cpus!r}, expect_cpus={self._expect_cpus!r})"
        )
