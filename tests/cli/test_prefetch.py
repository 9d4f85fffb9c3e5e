"""What is asked for before the command line is parsed: less to wait for, the same result."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyconntrack.cli import main
from pyconntrack.netlink.driver import Receiver
from pyconntrack.thresholds import SMALL
from support.ctool import ours
from support.entries import plain_lines

pytestmark = pytest.mark.usefixtures("netns")


def fill(count: int) -> None:
    assert ours("-R", "-", stdin="\n".join(plain_lines(count))).rc == 0


@pytest.mark.parametrize(
    "words", ["-L", "--dump -o xml", "-D -s 1.1.1.1", "-U -m 1", "-L --nonsense"]
)
def test_a_small_table_is_asked_for(words: str) -> None:
    fill(3)
    asked = main.asked(words.split())
    assert asked is not None
    assert sum(part.end for part in asked) > 300
    asked.close()


@pytest.mark.parametrize(
    "words", ["", "-C", "-L expect", "-L dying -o id", "-E", "-Lz", "-I -s 1.1.1.1"]
)
def test_other_commands_ask_for_themselves(words: str) -> None:
    assert main.asked(words.split()) is None


def test_a_larger_table_is_left_to_the_command() -> None:
    fill(SMALL)
    assert main.asked(["-L"]) is None


def test_a_listing_walks_through_the_table_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(3)
    sent = []
    real = Receiver.send

    def send(self: Receiver, data: bytes) -> None:
        sent.append(data)
        real(self, data)

    monkeypatch.setattr(Receiver, "send", send)
    for words in ("-L -p tcp", "-L --sort src", "-D -s 9.9.9.9"):
        sent.clear()
        main.main(words.split())
        assert len(sent) == 1, words


@pytest.mark.parametrize("words", ["-L -z", "-L -zo id"])
def test_counters_are_cleared_by_the_dump_that_is_shown(words: str) -> None:
    Path("/proc/sys/net/netfilter/nf_conntrack_acct").write_text("1")
    fill(3)
    assert ours(*words.split()).out.count("packets=") == 6


def test_an_early_interrupt_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "asked", interrupted)
    assert main.main(["-L"]) == 130
    assert capfd.readouterr() == ("", "")
