"""Start-up is a feature: what the short commands import."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.ctool import environment
from support.traffic import track

SLOW = {"numpy", "asyncio", "typing", "re", "enum", "dataclasses", "argparse", "ipaddress",
        "socket", "json", "subprocess", "ctypes", "signal", "collections", "functools",
        "inspect", "logging", "tempfile"}  # fmt: skip


def modules(code: str) -> set[str]:
    # measured without the modules that `make coverage` brings in
    bare = {key: text for key, text in environment().items() if not key.startswith("COVERAGE")}
    tail = "\nimport sys, os\nos.write(2, '\\n'.join(sorted(sys.modules)).encode())\n"
    done = subprocess.run(
        [sys.executable, "-c", code + tail],
        capture_output=True, text=True, check=True, env=bare,
    )  # fmt: skip
    return set(done.stderr.split())


def added(*words: str) -> set[str]:
    ours = modules(f"from pyconntrack.cli.main import main; main({list(words)!r})")
    return ours - modules("")


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    "words",
    [("-C",), ("-L",), ("-L", "-p", "tcp", "--dport", "80"), ("-L", "-o", "extended,id"),
     ("-L", "-o", "xml"), ("-L", "-o", "save"), ("-V",), ("-S",), ("-D",), ("-R", "/dev/null"),
     tuple(shlex.split("-L --count-by proto,src/24,state --sum bytes")),
     tuple(shlex.split("-I -p udp -s 1.1.1.1 -d 1.1.1.2 --sport 1 --dport 2 -t 9"))],
    ids=" ".join,
)  # fmt: skip
def test_nothing_slow_is_imported(words: tuple[str, ...]) -> None:
    track()
    found = added(*words)
    assert "pyconntrack.cli.main" in found
    assert not found & SLOW
    # a subcommand is imported for itself alone
    assert not [name for name in found if name.startswith("pyconntrack.doctor")]


@pytest.mark.usefixtures("netns")
def test_what_counting_imports() -> None:
    ours = {name for name in added("-C") if name.startswith("pyconntrack.")}
    packages = {name.rpartition(".")[0] for name in ours}  # of a docstring each
    assert len(ours - packages) <= 22, sorted(ours - packages)
    assert (
        not {"pyconntrack.client.blocking", "pyconntrack.client.asynchronous", "pyconntrack.model"}
        & ours
    )
    outside = {name for name in added("-C") if not name.startswith("pyconntrack")}
    # C modules, and what a bare interpreter imports or not with its site
    assert outside <= {"_socket", "_signal", "_struct", "struct", "errno", "select", "operator",
                       "_operator", "__future__", "_bisect", "bisect"}, sorted(outside)  # fmt: skip


#: runs a command line, and writes the names of our modules whose functions run
ENTERED = """
import os, sys
import pyconntrack.cli.main as entry
root, seen = os.path.dirname(entry.__file__).removesuffix("cli"), set()
def enter(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_flags & 1 and code.co_filename.startswith(root):
        seen.add(code.co_filename.removeprefix(root))
sys.setprofile(enter)
entry.main(sys.argv[1:])
sys.setprofile(None)
os.write(2, "\\n".join(sorted(seen)).encode())
"""


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(("words", "most"), [(("-L",), 22), (("-D", "--undo", "FILE"), 26)])
def test_how_many_modules_a_command_enters(
    words: tuple[str, ...], most: int, tmp_path: Path
) -> None:
    """The rooms that a reader walks through; a class body or an import alone is not counted."""
    track()
    file = str(tmp_path / "undo")
    done = subprocess.run(
        [sys.executable, "-c", ENTERED, *(file if word == "FILE" else word for word in words)],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    entered = [line for line in done.stderr.splitlines() if line.endswith(".py")]
    assert "cli/main.py" in entered
    assert len(entered) <= most, entered
