"""The shell sessions of the pages run, and print what the pages show."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import ROOT
from support.pages import PAGES, Shell, fits, page_id, session
from support.traffic import Flows, tool

WITH_SESSIONS = [path for path in PAGES if session(path)]


def test_the_pages_with_sessions_are_found() -> None:
    names = {page_id(path) for path in WITH_SESSIONS}
    assert names >= {"docs/tutorial.md"}


def test_every_command_is_shown() -> None:
    commands = [step.command for step in session(ROOT / "docs/cli.md")]
    for letter in "LGDUIAEFCSR":
        assert any(command.startswith(f"conntrack -{letter} ") for command in commands), letter


def test_an_output_of_another_shape_does_not_fit() -> None:
    shown = "udp      17 29 src=192.0.2.1 dst=192.0.2.2 sport=5000 dport=53 use=1"
    assert fits([shown], [shown.replace("17 29", "17 3").replace("use=1", "use=2")])
    assert fits(["udp ... use=1"], [shown])
    assert fits(["...", shown], ["other", shown])
    assert not fits([shown], [shown.replace("sport=5000", "sport=5001")])
    assert not fits([shown], [])
    assert not fits([], [shown])
    assert not fits([shown], [shown, shown])


@pytest.mark.parametrize("path", WITH_SESSIONS, ids=page_id)
def test_a_page_shows_what_its_commands_print(path: Path, flows: Flows, tmp_path: Path) -> None:
    for name in ("ip", "nft", "ping", "socat", "ss"):
        tool(name)  # or skip
    with Shell(tmp_path) as shell:
        for step in session(path):
            printed = shell.run(step.command)
            assert fits(step.output, printed), (
                f"{path.relative_to(ROOT)}:{step.line}: {step.command}\n"
                + "\n".join(["-- shown", *step.output, "-- printed", *printed])
            )
