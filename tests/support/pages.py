"""What the pages show: their Python programs, and their shell sessions.

A ``console`` block is a session: a line after the prompt ``#`` is a command, after ``>`` its next
line, and the rest is its output, in which ``...`` stands for anything.  A session in an HTML
comment (``<!-- console``) runs as well, unseen.  All sessions of a page are one session.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from . import ROOT
from .ctool import environment, normalise
from .traffic import TIMEOUT

PROGRAMS = ROOT / "docs/programs"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^(?:```|<!-- )(python|console|json)\n(.*?)^(?:```|-->)$", re.M | re.S)
_SNIPPET = "--8<--"


def page_id(path: Path) -> str:
    """Return the name of a page below the project's directory."""
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[tuple[int, str]]:
    """Return (line number, text) of each block in a language."""
    page = path.read_text(encoding="utf-8")
    return [
        (page.count("\n", 0, block.start(2)) + 1, block[2])
        for block in _BLOCK.finditer(page)
        if block[1] == language and _SNIPPET not in block[2]
    ]


class Step(NamedTuple):
    """A command of a session and what it prints."""

    line: int
    command: str
    output: list[str]


def session(path: Path) -> list[Step]:
    """Return the commands of a page, in order."""
    steps: list[Step] = []
    for start, text in blocks(path, "console"):
        for number, line in enumerate(text.splitlines(), start):
            if line.startswith("# "):
                steps.append(Step(number, line[2:], []))
            elif line.startswith("> "):
                steps[-1] = steps[-1]._replace(command=f"{steps[-1].command}\n{line[2:]}")
            else:
                steps[-1].output.append(line)
    return steps


_VARYING = [
    (re.compile(r"^\[\d+\.\d+\s*\]\s*"), "[TIME] "),
    (re.compile(r"(?<=^\[TIME\] )(\[[A-Z]+\] \S+\s+\d+ )\d+"), r"\1T"),
    (re.compile(r"\b(packets|bytes|found|insert|expect_\w+|seq|portid)=\d+"), r"\1=N"),
    (re.compile(r'"(id|bytes|packets|time|timestamp_\w+)":\d+'), r'"\1":N'),
    (re.compile(r"\b\d+(\.\d+)? ms\b"), "N ms"),
    (re.compile(r"time=\S+|mdev = \S+"), "T"),
    (re.compile(r"(?<=type=[08] code=0 )id=\d+"), "id=N"),
    (re.compile(r" progname=\S+"), ""),  # only while the program still runs
    (re.compile(r"\b43[12]\d{3}\b"), "T"),  # the timeout of an established TCP connection
    (re.compile(r"(?<=^-A )-t \d+"), "-t N"),
    (re.compile(r"[ \t]+"), " "),
]


def shape(line: str) -> str:
    """Return a line of output without what differs from run to run."""
    line = normalise(line)
    for pattern, replacement in _VARYING:
        line = pattern.sub(replacement, line)
    return line.strip()


def fits(expected: list[str], printed: list[str]) -> bool:
    """Return whether what was printed has the shape of ``expected``; a table has no order."""
    patterns = [
        re.compile(".*".join(re.escape(part) for part in shape(line).split("...")), re.S)
        for line in expected
        if line.strip() not in {"...", ""}
    ]
    left = [shape(line) for line in printed if line.strip()]
    for pattern in patterns:
        found = next((line for line in left if pattern.fullmatch(line)), None)
        if found is None:
            return False
        left.remove(found)
    return not left or "..." in (line.strip() for line in expected)


class Shell:
    """A shell, in which ``conntrack`` is ours, in the namespace of the calling thread."""

    _END = "__end_of_a_command__"

    def __init__(self, directory: Path) -> None:
        bin_ = directory / "bin"
        bin_.mkdir()
        program = bin_ / "conntrack"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pyconntrack "$@"\n')
        program.chmod(0o755)
        (bin_ / "python3").symlink_to(sys.executable)
        work = directory / "work"
        work.mkdir()
        env = environment()
        env["PATH"] = f"{bin_}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
        env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        env["PROGRAMS"] = str(PROGRAMS)
        # `ip netns add' is to be seen by nobody else.
        start = "mount -t tmpfs none /run && mkdir /run/netns && exec bash"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=work,
            env=env,
            start_new_session=True,
        )

    def __enter__(self) -> Shell:
        return self

    def run(self, command: str) -> list[str]:
        """Run a command; return what it and those in the background printed meanwhile."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{command}\nrc=$?; printf '\\n{self._END}\\n'; (exit $rc)\n".encode())
        stdin.flush()
        printed = b""
        end = f"\n{self._END}\n".encode()
        deadline = time.monotonic() + TIMEOUT
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while end not in printed:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"{command!r} does not end; so far {printed!r}")
                data = os.read(stdout.fileno(), 65536)
                if not data:
                    raise AssertionError(f"the shell ended: {printed!r}")
                printed += data
        return printed.replace(end, b"").decode().splitlines()

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
