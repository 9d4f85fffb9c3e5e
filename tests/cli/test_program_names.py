"""The two names of the program, and the version that goes with each."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pyconntrack.cli import console
from pyconntrack.version import CONNTRACK_TOOLS, VERSION
from support.ctool import Result, run

BIN = Path(sys.executable).parent


def called(name: str, *words: str) -> Result:
    return run([str(BIN / name), *words])


def test_conntrack_names_the_version_whose_behaviour_it_keeps() -> None:
    for option in ("-V", "--version"):
        assert called("conntrack", option) == Result(
            0, f"conntrack v1.4.9 (conntrack-tools) [pyconntrack {VERSION}]\n", ""
        )
    assert CONNTRACK_TOOLS == "1.4.9"


def test_pyconntrack_names_its_own() -> None:
    assert called("pyconntrack", "-V") == Result(0, f"pyconntrack {VERSION}\n", "")


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("conntrack", "conntrack v1.4.9 (conntrack-tools): "), ("pyconntrack", "pyconntrack: ")],
)
def test_messages_begin_with_the_name(name: str, prefix: str) -> None:
    result = called(name, "-L", "-o", "nonsense")
    assert result.rc == 2
    assert result.err.startswith(f"{prefix}Bad parameter `nonsense'")
    assert f"Try `{name} -h'" in result.err


@pytest.mark.parametrize(("name", "version"), [("conntrack", "1.4.9"), ("pyconntrack", VERSION)])
def test_the_help_begins_with_name_and_version(name: str, version: str) -> None:
    text = called(name, "-h").out
    assert re.match(rf".*Version {re.escape(version)}\nUsage: {name} ", text)


def test_a_link_by_another_name_is_a_conntrack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/sbin/ct"])
    assert console.version_line() == f"ct v1.4.9 (conntrack-tools) [pyconntrack {VERSION}]"
