"""Run both tools: ours and Debian's conntrack."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .netns import unavailable
from .traffic import TIMEOUT, eventually

NETLINK_NETFILTER = 12


class Result(NamedTuple):
    """The result of a command."""

    rc: int
    out: str
    err: str


def c_tool() -> str:
    """Return the path of Debian's conntrack; skip the test if it is missing."""
    path = shutil.which("conntrack", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        unavailable("Debian's conntrack is not installed (package conntrack)")
    return path


def ours_argv() -> list[str]:
    """Return the command that starts our conntrack."""
    return [sys.executable, "-m", "pyconntrack"]


def environment() -> dict[str, str]:
    """Return the environment of both tools: no locale, UTC."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run(argv: Sequence[str], stdin: str = "") -> Result:
    """Run a command in the calling thread's namespace."""
    done = subprocess.run(
        list(argv),
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def ours(*args: str, stdin: str = "") -> Result:
    """Run our conntrack."""
    return run([*ours_argv(), *args], stdin)


def theirs(*args: str, stdin: str = "") -> Result:
    """Run Debian's conntrack."""
    return run([c_tool(), *args], stdin)


def subscriptions() -> int:
    """Return the number of netfilter event sockets in the calling thread's namespace."""
    text = Path("/proc/thread-self/net/netlink").read_text(encoding="ascii")
    rows = [line.split() for line in text.splitlines()[1:]]
    return sum(int(row[1]) == NETLINK_NETFILTER and int(row[3], 16) != 0 for row in rows)


class Stream:
    """A tool that keeps printing (``-E``), ended by its process id.

    Entering waits until the kernel has the subscription, so no event is missed.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)

    def __enter__(self) -> Stream:
        self._before = subscriptions()
        self.process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        self._pending = b""
        try:
            eventually(self._ready, f"the subscription of {self._argv}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"{self._argv} ended with {self.process.returncode}")
        return subscriptions() > self._before

    def line(self, seconds: float = TIMEOUT) -> str:
        """Return the next line, without its newline."""
        stdout = self.process.stdout
        assert stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"no line; so far {self._pending!r}")
                data = os.read(stdout.fileno(), 65536)
                if not data:
                    raise AssertionError(f"the stream ended; so far {self._pending!r}")
                self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def until(self, word: str, seconds: float = TIMEOUT) -> list[str]:
        """Return the lines up to and including the first one with ``word``."""
        lines = [self.line(seconds)]
        while word not in lines[-1]:
            lines.append(self.line(seconds))
        return lines

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


_CHANGING: list[tuple[re.Pattern[str], str]] = [
    # the timeout, after protocol name and number, of a listing, an event or an expectation
    (
        re.compile(
            r"^((?:\[\d+\.\d+\]\s*)?(?:\s*\[[A-Z]+\] )?(?:ipv[46]\s+\d+ )?[a-z]\S*\s+\d+ )\d+ ",
            re.MULTILINE,
        ),
        r"\1T ",
    ),
    (re.compile(r"^(\s*(?:\[[A-Z]+\] )?)\d+( (?:l3proto = \d+ )?proto=)", re.MULTILINE), r"\1T\2"),
    (re.compile(r"\buse=\d+"), "use=N"),
    # the entry's id, not an ICMP identifier
    (re.compile(r"(?<!code=\d )(?<!code=\d\d )(?<!code=\d\d\d )\bid=\d+"), "id=N"),
    (re.compile(r"\bdelta-time=\d+"), "delta-time=N"),
    (re.compile(r"<(timeout|use|delta-time)>\d+</"), r"<\1>N</"),
    # the entry's id alone is followed by the end of its part
    (re.compile(r"<id>\d+</id>(?=</meta>|<)"), "<id>N</id>"),
    (re.compile(r'"(timeout|use)": ?\d+'), r'"\1": N'),
]


def normalise(text: str, *, order: bool = False) -> str:
    """Replace values that differ from run to run: timeouts, use counts, ids.

    With ``order`` false the lines are sorted too: a table has no order.
    """
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return text if order else "".join(sorted(text.splitlines(keepends=True)))
