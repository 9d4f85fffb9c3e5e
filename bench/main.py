"""The run: options, a namespace of its own, the jobs in turn, the results."""

from __future__ import annotations

import argparse
import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import measure, report, special
from .churn import churn
from .events import events
from .jobs import JOBS, Row, Runner
from .measure import ROOT, NotAvailable
from .svg import picture
from .table import Table

INSIDE = "PYCONNTRACK_BENCH_INSIDE"
MAX = "/proc/sys/net/netfilter/nf_conntrack_max"
BYTES_EACH = 2500  # an entry in the kernel (320), and in the C tool's -R (1,600)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--max", type=int, default=1_000_000, help="entries of the largest table")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--only", default="", metavar="REGEX", help="jobs whose name has this")
    parser.add_argument("--svg", type=Path, help="where the picture goes also (docs/bench.svg)")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/out", help="for the results")
    parser.add_argument("--c-tool", default="/usr/sbin/conntrack", help="Debian's conntrack")
    options = parser.parse_args(argv)
    options.c_tool = shutil.which(options.c_tool) or options.c_tool
    if options.max < 1000 or options.rounds < 1:
        parser.error("--max is at least 1000, --rounds at least 1")
    try:
        re.compile(options.only)
    except re.error as error:
        parser.error(f"--only: {error}")
    return options


def _enter(argv: list[str]) -> int:
    """Run this again in a namespace of its own, so that no real connection is touched."""
    if os.geteuid() != 0:
        print("the measurements need root (for a network namespace of their own)", file=sys.stderr)
        return 1
    unshare = shutil.which("unshare")
    if unshare is None:
        print("the measurements need unshare (package util-linux)", file=sys.stderr)
        return 1
    limit = Path(MAX)
    if not limit.exists():  # the module may not be loaded yet; a listing loads it
        subprocess.run(
            [shutil.which("conntrack") or "true", "-C"], capture_output=True, check=False
        )
    most = limit.read_text(encoding="ascii").strip() if limit.exists() else "0"
    sys.stdout.flush()
    start = f"import runpy, sys; sys.path[0] = {str(ROOT)!r}"
    start += "; runpy.run_module('bench', run_name='__main__', alter_sys=True)"
    command = [unshare, "-n", sys.executable, "-c", start, *argv]
    return subprocess.run(command, env={**os.environ, INSIDE: most}, check=False).returncode


def _largest(wanted: int, limit: int) -> tuple[int, str]:
    """Return how many entries are possible, and the reason if that is less than ``wanted``."""
    available = 0
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    size, reason = wanted, ""
    if limit and size > limit * 95 // 100:
        size, reason = limit * 95 // 100, f"nf_conntrack_max is {limit:,}"
    if available and size > available // BYTES_EACH:
        size, reason = available // BYTES_EACH, f"{available >> 20:,} MB of memory are available"
    return size, reason


def _sizes(largest: int) -> list[int]:
    sizes = [10**power for power in range(3, 7) if 10**power < largest]
    return [*sizes, largest]


def _plan(runner: Runner, sizes: list[int]) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    """Yield each measurement: a name for --only, and a function that yields its rows."""
    seconds = 2.0 if runner.size >= 100_000 else 0.3
    yield "growth", lambda: special.growth(runner, sizes)
    for job in JOBS:
        yield job.name, lambda job=job: iter([runner.run(job)])  # type: ignore[misc]
    yield "-L --count-by", lambda: special.counted(runner)
    yield "load -R ndjson", lambda: special.formats(runner)
    yield "library dump table", lambda: special.library(runner)
    yield "start-up", lambda: special.startup(runner)
    yield "doctor", lambda: special.doctor(runner)
    yield "events -E", lambda: events(runner, seconds)
    yield "churn -D -U", lambda: churn(runner)


def _header(about: dict[str, object], options: argparse.Namespace, size: int) -> Iterator[str]:
    yield (
        f"{about['cores']} cores ({about['processor']}), {about['memory_mb']} MB, "
        f"Linux {about['kernel']}, Python {about['python']}"
    )
    yield f"C: {about['c_tool']}; ours: {about['ours']}"
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    yield f"load of the machine before: {load} (others at work make figures worse than they are)"
    yield (
        f"{size:,} entries, medians of {options.rounds} round(s), output to /dev/null; "
        f"targets: of 1,000,000 entries; "
        f"peak memory below {measure.own_peak():.0f} MB cannot be told from the runner's own"
    )


def _version(c_tool: str) -> str:
    if not os.access(c_tool, os.X_OK):
        return f"{c_tool}: not installed"
    done = subprocess.run([c_tool, "--version"], capture_output=True, text=True, check=False)
    return f"{c_tool}, {done.stdout.strip()}"


def main(argv: list[str] | None = None) -> int:
    """Run the measurements; return 0 if they completed, whatever the figures are."""
    arguments = sys.argv[1:] if argv is None else argv
    options = _options(arguments)
    if INSIDE not in os.environ:
        return _enter(arguments)
    limit = int(os.environ[INSIDE])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the files are removed
    measure.adopt_orphans()
    for folder in ("src", "bench"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    size, reason = _largest(options.max, limit)
    about = {
        **report.machine(),
        "c_tool": _version(options.c_tool),
        "ours": " ".join(measure.ours()),
        "entries": size,
        "rounds": options.rounds,
    }
    print("\n".join(_header(about, options, size)))
    if reason:
        print(f"not {options.max:,} entries: {reason}")
    if size < 1000:
        print("too few entries are possible here", file=sys.stderr)
        return 1
    print("\n" + report.heading(), flush=True)
    rows, sizes = _measure(options, size)
    _finish(options, about, rows, sizes)
    return 0


def _measure(options: argparse.Namespace, size: int) -> tuple[list[Row], list[int]]:
    sizes = _sizes(size)
    table = Table(options.c_tool)
    runner = Runner(table, size, options.rounds, options.c_tool)
    rows: list[Row] = []
    began = time.monotonic()
    try:
        for name, produce in _plan(runner, sizes):
            if not re.search(options.only, name):
                continue
            try:
                for row in produce():
                    rows.append(row)
                    print(report.text(row, size), flush=True)
            except NotAvailable as error:
                print(f"{name}: not available: {error}", flush=True)
    finally:
        table.close()
    for said in sorted(table.said):
        print(said)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return rows, sizes


def _finish(
    options: argparse.Namespace, about: dict[str, object], rows: list[Row], sizes: list[int]
) -> None:
    report.save(options.out / "results.json", about, rows)
    caption = (
        f"{about['entries']:,} entries, {about['cores']} cores, Linux {about['kernel']}, "
        f"Python {about['python']}, medians of {about['rounds']}; C tool: {about['c_tool']}"
    )
    drawn = picture(rows, sizes, caption)
    for path in filter(None, [options.out / "bench.svg", options.svg]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
    print(f"results: {options.out}/results.json, bench.svg")
