"""Ctrl-C and SIGTERM in a change of a large table: what is said was done, and nothing else."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from support.ctool import environment, ours, ours_argv, run
from support.entries import plain_lines
from support.terminal import Terminal
from support.traffic import eventually

pytestmark = pytest.mark.usefixtures("netns")

MANY = 30_000


def count() -> int:
    return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A file of many entries, which are not loaded."""
    path = tmp_path / "flows"
    path.write_text("\n".join(plain_lines(MANY)) + "\n", encoding="ascii")
    return path


def said(text: str) -> int:
    """The number in the message of an interrupt."""
    found = re.findall(r"interrupted: ([\d,]+) flow entries", text)
    assert len(found) == 1, text[-2000:]
    return int(found[0].replace(",", ""))


def broken_off(argv: list[str], after: int, *, rising: bool = False) -> tuple[int, str]:
    """Type Ctrl-C when ``after`` entries more or less are in the table; the code, and all said."""
    before = count()
    with Terminal(argv) as terminal:
        while terminal.process.poll() is None:
            if (count() - before if rising else before - count()) >= after:
                terminal.send("\x03")
                break
            terminal._read(0)
        return terminal.end(), terminal.text


def test_a_delete_says_what_is_gone_and_the_undo_file_brings_it_back(tmp_path: Path) -> None:
    many = 100_000
    assert ours("-R", "-", stdin="\n".join(plain_lines(many))).rc == 0
    chance = random.Random(16)
    for number in range(3):
        undo, out = tmp_path / f"way back {number}", tmp_path / f"out {number}"
        code, text = broken_off(
            ["sh", "-c", 'exec "$@" > "$0"', str(out), *ours_argv(), "-D", "--undo", str(undo)],
            chance.randrange(1, 20_000),
        )
        gone = many - count()
        assert 0 < gone < many
        assert code == -signal.SIGINT  # a loop of a shell ends, too
        assert said(text) == gone == len(undo.read_text().splitlines())
        assert out.read_text().count("\n") == gone
        words = re.search(r"conntrack -R '.*(?= brings)", text)
        assert words is not None
        assert shlex.split(words[0])[2] == str(undo)
        assert ours("-R", str(undo)).rc == 0
        assert count() == many


def test_a_load_says_where_it_stopped_and_how_it_goes_on(lines: Path) -> None:
    code, text = broken_off([*ours_argv(), "-R", str(lines)], 5_000, rising=True)
    loaded = count()
    assert 5_000 <= loaded < MANY
    assert code == -signal.SIGINT
    assert said(text) == loaded
    assert f"line {loaded + 1:,} is the first that was not" in text
    way = re.search(r"sed -n '(.*)' (\S+) \|", text)
    assert way is not None
    rest = run(["sed", "-n", way[1], way[2]]).out
    assert ours("-R", "-", stdin=rest.replace("-A ", "-I ")).rc == 0  # none of them was loaded
    assert count() == MANY


def test_a_child_that_waits_for_its_master_is_named_among_the_rest(
    lines: Path, tmp_path: Path
) -> None:
    child = (
        '{"family":"ipv4","orig":{"src":"172.16.0.1","dst":"172.16.0.2","proto":"tcp","sport":1,'
        '"dport":2},"timeout":300,"tcp_state":"ESTABLISHED","master":{"src":"172.16.1.1",'
        '"dst":"172.16.1.2","proto":"tcp","sport":1,"dport":21}}'
    )
    master = "-A -p tcp -s 172.16.1.1 -d 172.16.1.2 --sport 1 --dport 21 --state ESTABLISHED -t 300"
    lines.write_text(f"{child}\n{lines.read_text()}{master}\n")
    _, text = broken_off([*ours_argv(), "-R", str(lines)], 5_000, rising=True)
    loaded = count()
    assert said(text) == loaded < MANY
    assert "1 before it wait for their masters" in text
    way = re.search(r"sed -n '(1p;\d+,\$p)' (\S+) \|", text)
    assert way is not None
    rest = run(["sed", "-n", way[1], way[2]]).out
    assert ours("-R", "-", stdin=rest).rc == 0
    assert count() == MANY + 2
    assert "172.16.1.1" in ours("-L", "-s", "172.16.0.1", "-o", "ndjson").out


def test_nothing_is_loaded_where_the_file_was_still_read(tmp_path: Path) -> None:
    with Terminal([*ours_argv(), "-R", "-"]) as terminal:
        terminal.send("-A -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 60\n")
        terminal.until("60\n")
        eventually(lambda: _catches(terminal.process.pid, signal.SIGTERM), "the handler")
        terminal.send("\x03")
        assert terminal.end() == -signal.SIGINT
        assert "interrupted: nothing was loaded" in terminal.text
    assert count() == 0


def _catches(pid: int, number: int) -> bool:
    """Whether a program handles a signal: its bit among those that are caught."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = re.search(r"SigCgt:\s*(\S+)", status)
    return caught is not None and bool(int(caught[1], 16) >> number - 1 & 1)


@pytest.mark.parametrize("undo", [False, True])
def test_an_update_says_how_many_are_changed(lines: Path, tmp_path: Path, undo: bool) -> None:
    assert ours("-R", str(lines)).rc == 0
    path = tmp_path / "way-back"
    argv = [*ours_argv(), "-U", "-m", "777777", *(["--undo", str(path)] if undo else [])]
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        if undo:
            eventually(lambda: path.exists() and path.stat().st_size)
        else:
            eventually(lambda: _catches(process.pid, signal.SIGTERM), "the handler")
        process.send_signal(signal.SIGTERM)
        text = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    changed = ours("-L", "-m", "777777").out.count("\n")
    assert process.returncode == -signal.SIGTERM
    assert said(text) == changed < MANY
    if undo:
        assert changed > 0
        assert f"conntrack -R {path} brings them back" in text.replace("__main__.py", "conntrack")
        assert ours("-R", str(path)).rc == 0
        assert ours("-L", "-m", "777777").out == ""
    else:
        assert "the same command goes on" in text


def test_a_second_interrupt_ends_it_at_once(lines: Path) -> None:
    assert ours("-R", str(lines)).rc == 0
    awake, wake = os.pipe()  # nobody reads what is printed: it waits in the middle of a step
    process = subprocess.Popen([*ours_argv(), "-D"], stdout=wake, env=environment())
    try:
        eventually(lambda: count() < MANY and _waits(process.pid), "a full pipe")
        process.send_signal(signal.SIGINT)
        eventually(lambda: not _catches(process.pid, signal.SIGINT), "the first signal")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
    finally:
        process.kill()
        process.wait()
        os.close(awake)
        os.close(wake)


def _waits(pid: int) -> bool:
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text()


def test_a_signal_that_is_ignored_remains_so(lines: Path) -> None:
    assert ours("-R", str(lines)).rc == 0
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *ours_argv(), "-D"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        eventually(lambda: count() < MANY)
        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert (process.returncode, count()) == (0, 0)
    assert f"{MANY} flow entries have been deleted." in text
