"""``make demo`` and the picture of it in the README."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scripts import picture

from support.netns import unavailable

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def demo() -> str:
    """What the demo shows on a terminal."""
    conntrack = Path(sys.executable).parent / "conntrack"
    if not conntrack.exists():
        unavailable("the command is not installed beside this Python")
    argv = ["env", f"CONNTRACK={conntrack}", "bash", str(ROOT / "scripts/demo.sh")]
    try:
        return picture.shown(argv)
    except subprocess.CalledProcessError as error:
        unavailable(f"the demo: {error.output.decode()[-300:]}")


@pytest.mark.usefixtures("netns")
def test_the_demo_runs_through(demo: str) -> None:
    assert "All packets are real" in demo
    assert demo.index("transfer stands still") < demo.index("transfer goes on, as if")
    assert "[DESTROY]" in demo
    assert "That was it." in demo
    for wrong in ("unknown option", "Bad parameter", "Operation failed", "Try `"):
        assert wrong not in demo


@pytest.mark.usefixtures("netns")
def test_the_picture_holds_the_sections_that_it_is_made_of(demo: str) -> None:
    for title in picture.SECTIONS:
        assert f"== {title}" in demo
    drawn = picture.svg(picture.sections(demo))
    text = "".join(ElementTree.fromstring(drawn).itertext())
    assert "$ conntrack -R way-back" in text
    assert "\x1b" not in drawn


def test_the_picture_of_the_readme_is_well_formed_and_has_its_text_as_text() -> None:
    assert f"({picture.PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text("utf-8")
    root = ElementTree.parse(picture.PICTURE).getroot()
    assert root.tag.endswith("svg")
    text = "".join(root.itertext())
    assert "$ conntrack -R way-back" in text
    assert "flow entries have been deleted." in text
    assert picture.PICTURE.stat().st_size < 20_000


def test_a_terminal_breaks_a_long_line_and_colours_stay() -> None:
    line = "\x1b[1;31m" + "x" * (picture.COLUMNS + 5) + "\x1b[0m & <end>"
    first, second = picture.wrapped(line)
    assert [len(text) for _, text in first] == [picture.COLUMNS]
    assert [text for _, text in second] == ["xxxxx", " & <end>"]
    assert first[0][0] == second[0][0] == ' fill="#f07178" font-weight="bold"'
    assert second[1][0] == ""
    ElementTree.fromstring(picture.svg([line]))
