"""One measured process: wall time, CPU and peak memory, including its descendants."""

from __future__ import annotations

import ctypes
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 900.0  # seconds after which a measured process is killed
PR_SET_CHILD_SUBREAPER = 36


class NotAvailable(Exception):
    """Something cannot be measured here; the text states the reason."""


class Sample(NamedTuple):
    """The cost of one run."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, with all descendants
    peak: float  # MB of the largest process


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure."""
    walls, cpus, peaks = zip(*samples, strict=True)
    return Sample(statistics.median(walls), statistics.median(cpus), statistics.median(peaks))


def environment() -> dict[str, str]:
    """Return the environment for all: no locale, UTC, no settings that change Python's start."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def python() -> str:
    """Return the interpreter of the environment that the command is installed in."""
    path = ROOT / ".venv/bin/python"
    return str(path) if path.exists() else sys.executable


def ours() -> list[str]:
    """Return our command: the installed script if there is one."""
    script = ROOT / ".venv/bin/conntrack"
    return [str(script)] if os.access(script, os.X_OK) else [python(), "-m", "pyconntrack"]


def adopt_orphans() -> None:
    """Become the parent of the orphans of a measured process, so that their CPU counts."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def own_peak() -> float:
    """Return our own peak in MB: a child's figure cannot be lower, as it starts as our copy."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def spawn(argv: Sequence[str], out: str, err: int, stdin: str = "/dev/null") -> int:
    """Start a process; return its id.  Raises NotAvailable where there is no such program."""
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, err, 2),
    ]
    try:
        return os.posix_spawn(argv[0], list(argv), environment(), file_actions=actions)
    except OSError as error:
        raise NotAvailable(f"{argv[0]}: {error.strerror}") from None


def reap(pid: int, orphans: bool = True) -> tuple[int, float, float]:
    """Wait for a process and its orphans; return exit code, CPU seconds and peak MB."""
    _, status, usage = os.wait4(pid, 0)
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    while orphans:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)
    return os.waitstatus_to_exitcode(status), cpu, peak / 1024


def until(ready: Callable[[], bool], seconds: float) -> None:
    """Wait until ``ready()`` is true, for at most ``seconds``."""
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.01)


def run(argv: Sequence[str], out: str = "/dev/null", orphans: bool = True) -> Sample:
    """Run a command to its end; raise NotAvailable with its message if it fails."""
    if not os.access(argv[0], os.X_OK):
        raise NotAvailable(f"{argv[0]} cannot be run")
    with tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        pid = spawn(argv, out, err.fileno())
        timer = threading.Timer(LIMIT, os.kill, (pid, signal.SIGKILL))
        timer.start()
        try:
            code, cpu, peak = reap(pid, orphans)
        finally:
            timer.cancel()
        wall = time.perf_counter() - began
        if code != 0:
            raise NotAvailable(_reason(err.fileno(), code))
    return Sample(wall, cpu, peak)


def child_argv(task: str, *args: str) -> list[str]:
    """Return the command line of a task of ``bench.child``."""
    return [python(), "-P", str(ROOT / "bench/child.py"), task, *args]


def run_child(task: str, *args: str) -> tuple[Sample, int]:
    """Run a task of ``bench.child``; the wall time is the task's own, without its start."""
    with tempfile.NamedTemporaryFile() as out:
        sample = run(child_argv(task, *args), out.name)
        count, seconds = Path(out.name).read_text(encoding="ascii").split()
    return sample._replace(wall=float(seconds)), int(count)


def _reason(err: int, code: int) -> str:
    size = os.fstat(err).st_size
    said = os.pread(err, 4096, max(0, size - 4096)).decode(errors="replace").strip()
    last = said.splitlines()[-1] if said else "nothing said"
    return f"exit code {code}: {last}"[:150]
