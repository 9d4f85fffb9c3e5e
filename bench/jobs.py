"""The jobs that both tools run with the same command line, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from . import measure, netlink
from .measure import NotAvailable, Sample, median
from .table import RARE_MARK, RARE_PORT, Table, address

_numbers = count(1000)
NEAR = 1.15  # times the floor; anything within it cannot get much faster


@dataclass
class Row:
    """A row of the results."""

    job: str
    group: str
    reference: str = "C"  # what ours is compared with
    theirs: Sample | None = None
    ours: Sample | None = None
    floor: Sample | None = None  # the kernel's part: no program can be faster
    target: float | None = None  # of the ratio
    peak_target: float | None = None  # MB
    bound: float | None = None  # of our own figure, independent of the reference
    unit: str = "s"
    more_is_better: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Return ours / theirs of the first figure."""
        if self.ours is None or self.theirs is None or not self.theirs.wall:
            return None
        return self.ours.wall / self.theirs.wall

    @property
    def met(self) -> bool | None:
        """Return whether the targets are met; None without targets or figures."""
        if self.target is not None and self.ratio is None:
            return None
        verdicts = []
        if self.target is not None and self.ratio is not None:
            verdicts.append(self._within(self.ratio, self.target))
        if self.bound is not None and self.ours is not None:
            verdicts.append(self._within(self.ours.wall, self.bound))
        if self.peak_target is not None and self.ours is not None:
            verdicts.append(self.ours.peak <= self.peak_target)
        return all(verdicts) if verdicts else None

    def _within(self, figure: float, target: float) -> bool:
        return figure >= target if self.more_is_better else figure <= target

    @property
    def at_floor(self) -> bool:
        """Return whether ours is so near the floor that a missed target cannot be met here."""
        if self.ours is None or self.floor is None:
            return False
        ours, floor = self.ours.wall, self.floor.wall
        return ours * NEAR >= floor if self.more_is_better else ours <= NEAR * floor

    @property
    def verdict(self) -> str:
        """Return "ok", "MISS" or "floor" (:attr:`at_floor`) for the targets, "" without any."""
        if self.met is None:
            return ""
        return "ok" if self.met else "floor" if self.at_floor else "MISS"


@dataclass(frozen=True)
class Job:
    """A command line that both tools accept."""

    name: str
    group: str
    args: str  # {k}, {address}: new in each run; {lines}: the file of the table
    target: float | None
    c_args: str | None = None  # for the C tool, if different
    peak: float | None = 120.0
    changes: bool = False  # it changes the table
    floor: str = ""  # the task of bench.child that measures the kernel's part alone
    marker: bytes = b"src="  # an output line with this is an entry


LOAD = "load -R"
JOBS = (
    Job("-L", "list", "-L", 0.45, floor="floor"),
    Job("-L -o extended", "list", "-L -o extended", 0.45, floor="floor"),
    Job("-L -o id", "list", "-L -o id", 0.45, floor="floor"),
    Job("-L -o xml", "list", "-L -o xml", 0.45, floor="floor", marker=b"<flow"),
    Job("-L -o save", "list", "-L -o save", 0.45, floor="floor", marker=b"-A "),
    Job(
        "-L -o json (C: text)",
        "list",
        "-L -o json",
        0.60,
        c_args="-L",
        floor="floor",
        marker=b"src",
    ),
    Job("-L -s ADDRESS", "filter", "-L -s {address}", 0.15),
    Job("-L -f ipv4 --dport PORT", "filter", f"-L -f ipv4 -p tcp --dport {RARE_PORT}", 0.15),
    # no target: the kernel compares ports only if the family is given, and walks twice
    Job("-L --dport PORT", "filter", f"-L -p tcp --dport {RARE_PORT}", None),
    Job("-L -s CIDR", "filter", "-L -s 10.0.1.0/24", 0.60, floor="floor"),
    # no target: the C tool lets the kernel select marks as well
    Job("-L -m MARK", "filter", f"-L -m {RARE_MARK}", None),
    Job("-L, nothing matches", "filter", "-L -s 203.0.113.1", 0.15),
    Job("-D one", "change", "-D -s {address}", 0.15, changes=True),
    Job("-D -p udp (40 %)", "change", "-D -p udp", 0.27, changes=True),
    # -f, as 1.4.7 sends updates without a family else, which newer kernels refuse
    Job("-U -m MARK, all", "change", "-U -f ipv4 -m {k}", 0.30, changes=True, floor="twice"),
    Job(LOAD, "change", "-R {lines}", 0.30, peak=120.0, changes=True, marker=b"", floor="create"),
)


class Runner:
    """Run jobs on a table of one size."""

    def __init__(self, table: Table, size: int, rounds: int, c_tool: str) -> None:
        self.table, self.size, self.rounds = table, size, rounds
        self.tools = {"C": [c_tool], "ours": measure.ours()}

    def _once(self, job: Job, tool: str, out: str = "/dev/null") -> Sample:
        if job.name == LOAD:
            lines = self.table.lines(self.size)
            self.table.empty()
        else:
            self.table.fill(self.size)
            lines = ""
        if tool == "floor":
            arguments = [str(self.size)] if job.name == LOAD else []
            sample, _ = measure.run_child(job.floor, *arguments)
        else:
            args = job.c_args if tool == "C" and job.c_args is not None else job.args
            k = next(_numbers)
            command = args.format(k=k, address=address(k % self.size), lines=lines).split()
            sample = measure.run([*self.tools[tool], *command], out)
        if job.name == LOAD and netlink.count() != self.size:
            raise NotAvailable(f"loaded {netlink.count()} of {self.size} entries")
        return sample

    def _check(self, job: Job, row: Row) -> set[str]:
        """Run each tool once into a file; return those that work, and note if they differ."""
        path = self.table.folder / "out"
        seen = {}
        for tool in self.tools:
            try:
                self._once(job, tool, str(path))
            except NotAvailable as error:
                row.notes.append(f"{tool} not available: {error}")
                continue
            seen[tool] = entries(path, job.marker)
            path.unlink()
        if len(set(seen.values())) > 1:
            told = ", ".join(f"{tool} {number}" for tool, number in seen.items())
            row.notes.append(f"DIFFERENT numbers of entries: {told}; not measured")
            return set()
        return set(seen)

    def run(self, job: Job) -> Row:
        """Run a job in several rounds, both tools in turn."""
        row = Row(job.name, job.group, target=job.target, peak_target=job.peak)
        works = self._check(job, row)
        samples: dict[str, list[Sample]] = {tool: [] for tool in self.tools if tool in works}
        if job.floor:
            samples["floor"] = []
        for number in range(self.rounds):
            for tool in alternating(list(samples), number):
                try:
                    samples[tool].append(self._once(job, tool))
                except NotAvailable as error:
                    row.notes.append(f"{tool}, round {number + 1}: {error}")
        medians = {tool: median(got) for tool, got in samples.items() if got}
        row.theirs, row.ours, row.floor = (medians.get(name) for name in ("C", "ours", "floor"))
        if job.changes:
            self.table.empty()
        return row


def alternating(tools: list[str], number: int) -> Iterator[str]:
    """Yield the tools ``number`` times, each time starting with another."""
    start = number % len(tools) if tools else 0
    yield from tools[start:] + tools[:start]


def entries(path: Path, marker: bytes) -> int:
    """Return the number of output lines that show an entry."""
    if not marker:
        return 0
    with path.open("rb") as file:
        return sum(marker in line for line in file)
