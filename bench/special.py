"""Measurements that do not compare single command lines: growth, start-up, the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import measure, netlink
from .child import MADE
from .jobs import Row, Runner, alternating
from .measure import NotAvailable, Sample, median

PYROUTE2_MOST = 100_000  # entries; it needs minutes for a million

Take = Callable[[], Sample]


def turns(takes: dict[str, Take], rounds: int, row: Row) -> dict[str, Sample]:
    """Run each in turn for ``rounds`` rounds; return the medians of those that worked."""
    samples: dict[str, list[Sample]] = {name: [] for name in takes}
    failed: set[str] = set()
    for number in range(rounds):
        for name in alternating(list(takes), number):
            if name in failed:
                continue
            try:
                samples[name].append(takes[name]())
            except NotAvailable as error:
                row.notes.append(f"{name} not available: {error}")
                failed.add(name)
    return {name: median(got) for name, got in samples.items() if got and name not in failed}


def growth(runner: Runner, sizes: list[int]) -> Iterator[Row]:
    """Measure -L of each size: C, ours, and the bare dump."""
    for size in sizes:
        row = Row(f"-L, {size:,} entries", "growth")
        try:
            runner.table.fill(size)
        except NotAvailable as error:
            row.notes.append(str(error))
            yield row
            continue
        takes: dict[str, Take] = {
            name: lambda tool=tool: measure.run([*tool, "-L"])  # type: ignore[misc]
            for name, tool in runner.tools.items()
        }
        takes["floor"] = lambda: measure.run_child("floor")[0]
        got = turns(takes, runner.rounds * (1 if size > 100_000 else 3), row)
        row.theirs, row.ours, row.floor = got.get("C"), got.get("ours"), got.get("floor")
        yield row


def formats(runner: Runner) -> Iterator[Row]:
    """Compare -R of NDJSON with -R of the save format, each as ours writes it."""
    row = Row("-R ndjson", "change", "save", target=2.5, peak_target=120.0)
    try:
        runner.table.fill(runner.size)
    except NotAvailable as error:
        row.notes.append(str(error))
        yield row
        return
    takes: dict[str, Take] = {}
    for name in ("save", "ndjson"):
        path = str(runner.table.folder / name)
        measure.run([*runner.tools["ours"], "-L", "-o", name], path)
        takes[name] = lambda path=path: _restored(runner, path)  # type: ignore[misc]
    got = turns(takes, runner.rounds, row)
    row.theirs, row.ours = got.get("save"), got.get("ndjson")
    runner.table.empty()
    yield row


def counted(runner: Runner) -> Iterator[Row]:
    """Compare -L --count-by, of few groups and of as many as entries, with the bare dump."""
    runner.table.fill(runner.size)
    for fields, more in (("proto,state", []), ("src", ["--limit", "10"])):
        row = Row(f"-L --count-by {fields}", "list", "bare dump", target=1.3)
        argv = [*runner.tools["ours"], "-L", "--count-by", fields]
        path = runner.table.folder / "groups"
        measure.run(argv, str(path))
        entries = sum(int(line.split()[0]) for line in path.read_text().splitlines())
        path.unlink()
        if entries != runner.size:
            row.notes.append(f"{entries} entries were counted, not {runner.size}; not measured")
            yield row
            continue
        takes: dict[str, Take] = {
            "ours": lambda argv=[*argv, *more]: measure.run(argv),  # type: ignore[misc]
            "floor": lambda: measure.run_child("floor")[0],
        }
        got = turns(takes, runner.rounds, row)
        row.theirs, row.ours = got.get("floor"), got.get("ours")
        yield row


def _restored(runner: Runner, path: str) -> Sample:
    runner.table.empty()
    sample = measure.run([*runner.tools["ours"], "-R", path])
    if netlink.count() != runner.size:
        raise NotAvailable(f"loaded {netlink.count()} of {runner.size} entries")
    return sample


def startup(runner: Runner) -> Iterator[Row]:
    """Compare -C, and -L of ten entries, with a Python that does nothing."""
    bare = [measure.python(), "-c", "pass"]
    runner.table.fill(10)
    for option in ("-C", "-L"):
        row = Row(f"start-up: {option}, 10 entries", "start-up", "python -c pass", target=1.6)
        tools = runner.tools
        takes: dict[str, Take] = {
            "ours": lambda argv=[*tools["ours"], option]: measure.run(argv),  # type: ignore[misc]
            "python": lambda: measure.run(bare),
            "C": lambda argv=[*tools["C"], option]: measure.run(argv),  # type: ignore[misc]
        }
        if option == "-L":
            takes["walk"] = lambda: measure.run_child("floor")[0]
        got = turns(takes, max(9, runner.rounds * 7), row)
        row.theirs, row.ours, walk = got.get("python"), got.get("ours"), got.get("walk")
        if row.theirs and row.ours and walk:
            # Python starts first, then the kernel walks over all its buckets, however few entries
            row.floor = walk._replace(wall=row.theirs.wall + walk.wall)
            rest = (row.ours.wall - walk.wall) / row.theirs.wall
            row.notes.append(f"without the kernel's walk over all buckets, the ratio is {rest:.2f}")
        if "C" in got:
            row.notes.append(f"the C tool: {got['C'].wall * 1e3:.1f} ms")
        yield row


def library(runner: Runner) -> Iterator[Row]:
    """Compare dump() and load() with pyroute2, table() with the bare dump, without imports."""

    def task(name: str, expected: int) -> Take:
        def take() -> Sample:
            sample, seen = measure.run_child(name)
            if expected and seen != expected:
                raise NotAvailable(f"{seen} of {expected} entries came")
            return sample

        return take

    size = min(runner.size, PYROUTE2_MOST)
    row = Row(f"library: dump() of Flow, {size:,}", "library", "pyroute2", target=1 / 20)
    runner.table.fill(size)
    takes = {"ours": task("dump", size), "pyroute2": task("pyroute2", size)}
    got = turns(takes, runner.rounds, row)
    row.theirs, row.ours = got.get("pyroute2"), got.get("ours")
    yield row
    row = Row(f"library: {MADE:,} flows made and created", "library", "pyroute2", target=1 / 20)
    runner.table.empty()
    got = turns({"ours": task("load", MADE), "pyroute2": task("pyroute2_load", MADE)},
                runner.rounds, row)  # fmt: skip
    row.theirs, row.ours = got.get("pyroute2"), got.get("ours")
    yield row
    size = runner.size
    row = Row(f"library: table(), {size:,}", "library", "bare dump", target=1.3)
    runner.table.fill(size)
    got = turns({"ours": task("table", size), "floor": task("floor", 0)}, runner.rounds, row)
    row.theirs, row.ours = got.get("floor"), got.get("ours")
    yield row


def doctor(runner: Runner) -> Iterator[Row]:
    """Measure conntrack doctor: of a large table beside the bare dump, and of an empty one."""
    command = [*runner.tools["ours"], "doctor", "--for"]
    row = Row("doctor, one look", "doctor", "bare dump", target=1.4, peak_target=250.0)
    runner.table.fill(runner.size)
    takes: dict[str, Take] = {
        "ours": lambda: measure.run([*command, "0"]),
        "floor": lambda: measure.run_child("floor")[0],
    }
    got = turns(takes, runner.rounds, row)
    row.theirs, row.ours = got.get("floor"), got.get("ours")
    yield row
    row = Row("doctor, an empty table, beside the second of sampling", "doctor", bound=0.15)
    runner.table.empty()
    got = turns({"ours": lambda: measure.run([*command, "1"])}, runner.rounds, row)
    if "ours" in got:
        row.ours = got["ours"]._replace(wall=got["ours"].wall - 1)
    yield row
