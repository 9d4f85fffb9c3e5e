"""What a progress display says, and where it does."""

from __future__ import annotations

import os
import re

import pytest

from pyconntrack.cli import console, progress
from pyconntrack.cli.progress import Progress


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(progress, "monotonic", moved)
    return moved


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written to a terminal of 40 columns."""
    written: list[str] = []
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((40, 24)))
    monkeypatch.setattr(console.Status, "_write", staticmethod(written.append))
    monkeypatch.setattr(console, "status", console.Status())
    monkeypatch.setattr(progress, "status", console.status)
    return written


def written_to(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_: int, data: bytes) -> int:
        shown.append(bytes(data).decode())
        return len(data)

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize(
    ("seconds", "rest"),
    [(0.1, "1 s"), (7.4, "7 s"), (41, "40 s"), (93, "95 s"), (151, "3 min"), (9000, "2 h")],
)
def test_the_rest_is_an_estimate_and_no_more_precise(seconds: float, rest: str) -> None:
    assert progress._rounded(seconds) == rest


@pytest.mark.parametrize("total", [0, 100, 400])
def test_the_rest_is_said_where_it_is_known(
    total: int, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    display = Progress(True, "things", total)
    clock.now += 2
    display.add(100)
    said = capfd.readouterr().err
    assert said == "100 things, 50/s" + (", about 6 s left" if total == 400 else "") + "\n"


def test_a_line_fits_the_terminal_and_is_erased(clock: Clock, shown: list[str]) -> None:
    display = Progress(False, "entries read", 10**9)
    clock.now += 0.9
    display.add(10**6)
    assert shown == []  # short work shows nothing
    for _ in range(3):
        clock.now += 0.3
        display.add(10**6)
    assert len(shown) == 3
    assert all(len(line.strip("\r")) <= 39 for line in shown)
    display.close()
    assert re.fullmatch(r"\r +\r", shown[-1])
    display.add(10**6)
    clock.now += 9
    display.add(10**6)
    assert len(shown) == 4


def test_a_message_is_not_written_into_the_line(
    clock: Clock, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written_to(shown, monkeypatch)
    display = Progress(False)
    clock.now += 2
    display.add(5)
    console.say("line 5: wrong\n")
    assert shown[0].startswith("\r5 entries read, ")
    assert re.fullmatch(r"\r +\r", shown[1])
    assert shown[2] == "line 5: wrong\n"


def test_output_on_a_terminal_goes_above_the_line(
    clock: Clock, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written_to(shown, monkeypatch)
    out = console.Output()
    display = Progress(False)
    clock.now += 2
    display.add(5)
    out.write(b"an entry\n")
    out.flush()
    assert [text.strip("\r ") for text in shown[1:]] == ["", "an entry\n"]


def test_nothing_is_drawn_in_the_background(
    clock: Clock, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    display = Progress(False)
    clock.now += 2
    display.add(5)
    assert shown == []
