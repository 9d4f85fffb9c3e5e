"""What -D and -U say and change: ``--dry-run``, ``--progress``, and large tables as columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.ctool import ours
from support.entries import NAT, count, fill, last_words, shown, without_timeout

pytestmark = pytest.mark.usefixtures("netns")

#: enough for columns
MANY = 30_000


def test_a_dry_run_says_what_the_real_one_does() -> None:
    fill(200)
    dry = ours("-D", "-p", "udp", "-o", "save", "--dry-run")
    assert dry.rc == 0
    assert last_words(dry) == "80 flow entries would be deleted (nothing was changed)."
    assert count() == 200
    real = ours("-D", "-p", "udp", "-o", "save")
    assert without_timeout(real.out) == without_timeout(dry.out)
    assert ours("-D", "-p", "udp", "--dry-run").rc == ours("-D", "-p", "udp").rc == 1
    dry = ours("-U", "-p", "tcp", "-m", "77", "--dry-run")
    assert last_words(dry) == "100 flow entries would be updated (nothing was changed)."
    assert dry.out.count("mark=77 ") == 100
    assert "mark=77" not in ours("-L").out
    assert ours("-F", "--dry-run").rc == 0
    assert count() == 120


def test_a_large_table(tmp_path: Path) -> None:
    """The way of columns does what the way of single messages does."""
    fill(MANY, *NAT)
    before = shown()
    undo = str(tmp_path / "undo")
    dry = ours("-D", "-p", "udp", "--dry-run", "-o", "save")
    done = ours("-D", "-p", "udp", "--undo", undo, "-o", "save")
    assert last_words(done) == f"{MANY * 2 // 5 + 1} flow entries have been deleted."
    assert without_timeout(done.out) == without_timeout(dry.out)
    assert count() == MANY + 5 - MANY * 2 // 5 - 1
    assert ours("-R", undo).rc == 0
    assert shown() == before

    undo = str(tmp_path / "another")
    done = ours("-U", "-m", "0x40/0xf0", "--undo", undo)
    assert done.rc == 0
    changed = sum(1 for flow in before if flow["mark"] != (int(str(flow["mark"])) & ~0xF0 ^ 0x40))
    assert last_words(done) == f"{changed} flow entries have been updated."
    assert done.out.count("\n") == changed
    marks = {flow["mark"] for flow in shown()}
    assert marks == {64 + n for n in range(9)}
    assert ours("-R", undo).rc == 0
    assert shown() == before

    file = tmp_path / "filters"
    file.write_text("".join(f"-s 10.0.{n >> 8}.{n & 255} -p tcp\n" for n in range(10_000)))
    done = ours("-D", "--from-file", str(file), "--progress")
    expected = sum(1 for n in range(10_000) if n % 5 in (2, 3))
    assert f"{expected} flow entries have been deleted." in done.err
    assert done.err.count(": 1 deleted\n") == expected
    assert "entries read" in done.err
    assert count() == MANY + 5 - expected


def test_no_progress_in_a_pipe_unasked() -> None:
    fill(10)
    assert "read" not in ours("-D").err
