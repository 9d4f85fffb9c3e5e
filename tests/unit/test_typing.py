"""What a user's type checker sees: programs, and whether what is public has a type.

The programs in tests/typing are never run.  ``assert_type`` in them says what a user gets, and
an ignored error what a user must not do; an ignore that is not needed is an error as well.
Those of the documentation, files and blocks of pages, are checked with them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pyconntrack
from pyconntrack import AsyncConntrack, Conntrack
from support import ROOT, pages
from support.netns import unavailable

PROGRAMS = ROOT / "tests/typing"
#: what makes no promise of types: modules that serve the command, or that others wrap
INTERNAL = {
    "cli", "formats", "where", "netlink.mmsg", "columnar.digits", "columnar.events",
    "columnar.lanes", "columnar.lookup", "columnar.render", "columnar.restore",
    "columnar.selection",
}  # fmt: skip


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies all programs into one directory; a block is named after its page and line."""
    directory = tmp_path_factory.mktemp("programs")
    shutil.copytree(PROGRAMS, directory, dirs_exist_ok=True)
    shutil.copytree(pages.PROGRAMS, directory, dirs_exist_ok=True)
    for page in pages.PAGES:
        for line, code in pages.blocks(page, "python"):
            (directory / f"{page.stem}_{line}.py".replace("-", "_")).write_text(code)
    return directory


def checked(tool: str, where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The run of a type checker over the programs, as a user has it: the package installed."""
    if find_spec(tool) is None:
        unavailable(f"{tool} is not installed")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYRIGHT_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"  # it would ask the network for a newer version
    return subprocess.run(
        [sys.executable, "-m", tool, *words], cwd=where, env=env, capture_output=True, text=True
    )


def test_mypy(programs: Path) -> None:
    cache = ROOT / ".mypy_cache/users"
    done = checked("mypy", programs, "--config-file=", "--strict", f"--cache-dir={cache}", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright(programs: Path) -> None:
    done = checked("pyright", programs, "--pythonpath", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_that_is_public_has_a_type() -> None:
    done = checked(
        "pyright", PROGRAMS, "--verifytypes", "pyconntrack", "--ignoreexternal", "--outputjson"
    )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    assert len(symbols) > 1000, done.stdout
    untyped = [
        (symbol["name"], found["message"])
        for symbol in symbols
        if not {symbol["name"].split(".")[1], ".".join(symbol["name"].split(".")[1:3])} & INTERNAL
        and "._" not in symbol["name"]
        for found in symbol["diagnostics"]
        # what is partially unknown has its cause elsewhere, and is told there
        if found["severity"] != "information" and "partially unknown" not in found["message"]
    ]
    assert untyped == []


@pytest.mark.parametrize(
    ("verbs", "program"), [(Conntrack, "user_sync.py"), (AsyncConntrack, "user_async.py")]
)
def test_every_verb_is_in_the_programs(verbs: type, program: str) -> None:
    text = (PROGRAMS / program).read_text(encoding="utf-8")
    names = [name for name in vars(verbs) if not name.startswith("_")]
    assert len(names) > 15
    assert [name for name in names if f"ct.{name}(" not in text] == []


def test_every_public_name_is_in_the_programs() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PROGRAMS.glob("user_*.py"))
    assert [name for name in pyconntrack.__all__ if f"{name}" not in text] == []
