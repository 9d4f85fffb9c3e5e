"""The man page: it renders without a warning, and tells every option there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import pyconntrack
from pyconntrack.cli import options as grammar
from support import ROOT
from support.netns import unavailable

PAGE = ROOT / "share/man/man8/conntrack.8"
PAGES = [PAGE, PAGE.with_name("conntrack-doctor.8")]
#: spelt on the command line, but nothing to tell
UNTOLD = {"--nat-range"}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        unavailable(f"the tool {name} is not installed")
    return path


def source() -> str:
    """The page with its escaped hyphens and fonts made plain."""
    text = PAGE.read_text(encoding="utf-8")
    return re.sub(r"\\f[BIRP]", "", text.replace("\\-", "-").replace("\\(aq", "'"))


def long_options() -> list[str]:
    protocols = [option for proto in grammar.PROTOCOLS for option in proto.options]
    options = [*grammar.OPTIONS, *grammar.EXTENSIONS, *protocols]
    names = [name for option in options for name in option.long]
    names += [verb.long[0] for verb in grammar.VERBS]
    return sorted({"--completions", *(f"--{name}" for name in names)} - UNTOLD)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_has_nothing_to_complain_of(page: Path) -> None:
    done = subprocess.run(
        [tool("groff"), "-man", "-ww", "-Tutf8", "-z", str(page)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_names_the_version(page: Path) -> None:
    assert f'"pyconntrack {pyconntrack.__version__}"' in page.read_text(encoding="utf-8")


def test_man_renders_it() -> None:
    done = subprocess.run(
        [tool("man"), "--warnings", "-l", str(PAGE)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"},
    )  # fmt: skip
    assert done.stderr == ""
    assert "CONNTRACK(8)" in done.stdout
    assert "DIFFERENCES FROM CONNTRACK-TOOLS" in done.stdout


@pytest.mark.parametrize("option", long_options())
def test_every_option_is_told(option: str) -> None:
    assert re.search(re.escape(option) + r"(?![\w-])", source())


def test_no_option_is_told_that_does_not_exist() -> None:
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", source()))
    assert told - set(long_options()) == set()


@pytest.mark.parametrize("word", [*grammar.OUTPUT, *grammar.STATUS, *grammar.EVENTS])
def test_every_word_is_told(word: str) -> None:
    assert re.search(rf"\b{word}\b", source())


@pytest.mark.parametrize("word", [*grammar.TCP_STATES, *grammar.SCTP_STATES, *grammar.DCCP_STATES])
def test_every_state_is_told(word: str) -> None:
    assert re.search(rf"\b{word}\b", source())
