"""The results as a table, and as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from .jobs import Row
from .measure import Sample

HEAD = ("job", "ref", "ours", "floor", "ratio", "target", "", "CPU ref", "ours", "MB ref", "ours")
JUDGED = 500_000  # entries; the targets are those of a million
WIDTHS = (33, 9, 9, 9, 7, 7, 5, 9, 9, 7, 7)


def machine() -> dict[str, object]:
    """Return a description of the machine."""
    import os

    model = "unknown processor"
    memory = 0
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) // 1024
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model,
        "memory_mb": memory,
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def _seconds(value: float) -> str:
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def _figure(sample: Sample | None, unit: str) -> str:
    if sample is None:
        return "-"
    return _seconds(sample.wall) if unit == "s" else f"{sample.wall:.2f} {unit}"


def _line(cells: Iterable[str]) -> str:
    padded = [
        cell.ljust(width) if at == 0 else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return " ".join(padded).rstrip()


def heading() -> str:
    """Return the first two lines of the table."""
    return _line(HEAD) + "\n" + _line("-" * width for width in WIDTHS)


def text(row: Row, size: int) -> str:
    """Return a row of the table and its notes; small tables are not judged by their targets."""
    judged = size >= JUDGED or row.group in {"start-up", "events", "churn"}
    cpu = [_seconds(s.cpu) if s else "-" for s in (row.theirs, row.ours)]
    peak = [f"{s.peak:.0f}" if s else "-" for s in (row.theirs, row.ours)]
    sign = ">=" if row.more_is_better else "<="
    target = "-" if row.target is None else f"{sign}{row.target:.2f}"
    if row.bound is not None:
        target = f"{sign}{row.bound:g}"
    figures = [_figure(sample, row.unit) for sample in (row.theirs, row.ours, row.floor)]
    line = _line(
        [
            row.job,
            *figures,
            "-" if row.ratio is None else f"{row.ratio:.3f}",
            target,
            row.verdict if judged else "",
            *cpu,
            *peak,
        ]
    )
    notes = [f"{row.reference} is the reference"] if row.reference != "C" else []
    if (
        judged
        and row.peak_target is not None
        and row.ours is not None
        and row.ours.peak > row.peak_target
    ):
        notes.append(f"peak memory above {row.peak_target:.0f} MB")
    if judged and row.verdict == "floor" and row.floor and row.theirs and row.ours:
        notes.append(
            f"the floor alone is {row.floor.wall / row.theirs.wall:.2f} of the reference here; "
            f"ours is {row.ours.wall / row.floor.wall:.2f} of the floor"
        )
    return "\n".join([line, *(f"    {note}" for note in notes + row.notes)])


def save(path: Path, about: dict[str, object], rows: list[Row]) -> None:
    """Write results.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = []
    for row in rows:
        fields = asdict(row)
        for name in ("theirs", "ours", "floor"):
            sample: Sample | None = getattr(row, name)
            fields[name] = None if sample is None else sample._asdict()
        listed.append({**fields, "ratio": row.ratio, "met": row.met, "verdict": row.verdict})
    path.write_text(json.dumps({**about, "rows": listed}, indent=1) + "\n", encoding="utf-8")
