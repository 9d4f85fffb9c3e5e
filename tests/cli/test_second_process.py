"""A large file of -R is checked by two processes: to the same steps, errors and warnings."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyconntrack import thresholds
from pyconntrack.cli.restore_file import BadLine, CheckedFile
from pyconntrack.cli.second_process import check
from support.ctool import normalise, ours
from support.entries import plain_lines
from support.netns import fresh_netns
from test_load import Steps, kept


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "HALVED_BYTES", 1)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "flows"
    # no process is left behind
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def in_halves(path: Path, parts: int = 2) -> Steps:
    out: Steps = []
    with path.open("rb") as file:
        found = check(file)
    assert len(found) == parts
    for base, checked in found:
        with checked:
            for number, what in kept(checked):
                if isinstance(what, bytes):  # a message's number is that of its line in its half
                    line = int.from_bytes(what[8:12], "little") + base
                    what = what[:8] + line.to_bytes(4, "little") + what[12:]
                out.append((base + number, what))
    return out


def whole(path: Path) -> Steps:
    with path.open("rb") as file, CheckedFile() as checked:
        checked.read(file)
        return kept(checked)


@pytest.mark.parametrize("count", [2, 3, 50, 20_000])
@pytest.mark.parametrize("end", ["", "\n", "\n\n# the end"])
def test_the_same_steps(file: Path, count: int, end: str) -> None:
    lines = plain_lines(count)
    lines.insert(count // 3, "-D -p tcp -s 10.9.9.9")
    lines.insert(count // 2, "# half")
    lines.insert(count - 1, "-F")
    file.write_text("\n".join(lines) + end)
    assert in_halves(file) == whole(file)


def test_one_line_has_no_half(file: Path) -> None:
    file.write_text(plain_lines(1)[0])
    assert len(in_halves(file, parts=1)) == 1


def test_no_second_process_is_to_be_had(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EAGAIN, "a limit")

    monkeypatch.setattr(os, "fork", refuse)
    file.write_text("\n".join(plain_lines(300)))
    assert in_halves(file) == whole(file)


@pytest.mark.parametrize("bad", [[7], [290], [7, 290], [150], [299]])
def test_the_first_wrong_line_is_told(file: Path, bad: list[int]) -> None:
    lines = plain_lines(300)
    for number in bad:
        lines[number] = f"-A -s wrong{number}"
    file.write_text("\n".join(lines) + "\n")
    with file.open("rb") as opened, pytest.raises(BadLine) as caught:
        check(opened)
    assert caught.value.number == bad[0] + 1
    assert f"wrong{bad[0]}" in caught.value.error.message
    assert caught.value.error.code == 2


def test_warnings_come_once(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [line + " -u SRC_NAT" for line in plain_lines(100)]
    lines[80] += ",DST_NAT"
    file.write_text("\n".join(lines))
    in_halves(file)
    assert capfd.readouterr().err.splitlines() == [
        "WARNING: ignoring SRC_NAT, use --src-nat instead",
        "WARNING: ignoring DST_NAT, use --dst-nat instead",
    ]


@pytest.mark.parametrize("end", ["dies", "has no room", "has too much to report"])
def test_what_the_second_process_does_not_end_the_first_one_does(
    file: Path, monkeypatch: pytest.MonkeyPatch, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    read, parent = CheckedFile.read, os.getpid()

    def fail(checked: CheckedFile, part: Any) -> int:
        if os.getpid() == parent:
            return read(checked, part)
        if end == "dies":
            os._exit(3)
        if end == "has no room":
            raise OSError(errno.ENOSPC, "full")
        checked.warn([f"{number:>99}" for number in range(1000)])
        return read(checked, part)

    lines = plain_lines(100)
    lines[10] += " -u SRC_NAT"
    lines[90] += " -u SRC_NAT,DST_NAT"
    file.write_text("\n".join(lines))
    expected = whole(file)
    warned = capfd.readouterr().err
    monkeypatch.setattr(CheckedFile, "read", fail)
    assert in_halves(file) == expected
    assert capfd.readouterr().err == warned
    assert warned.count("\n") == 2


def test_one_core_and_pipes_read_in_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("\n".join(plain_lines(100)))
    out, into = os.pipe()
    with open(into, "wb") as pipe:
        pipe.write(file.read_bytes())
    with open(out, "rb") as pipe:
        ((_, checked),) = check(pipe)
    checked.spool.close()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert in_halves(file, parts=1) == whole(file)


def test_a_large_file_is_loaded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command does it: refused lines of both halves by number, the table as from a pipe."""
    monkeypatch.undo()
    lines = plain_lines(30_000)
    lines[14_000] = lines[13_999].replace("-A", "-I", 1)
    lines[29_000] = lines[28_999].replace("-A", "-I", 1)
    padding = "#" + " " * (thresholds.HALVED_BYTES // len(lines)) + "\n"
    file.write_text(padding.join(line + "\n" for line in lines))
    tables = []
    for more, stdin in ((str(file), ""), ("-", file.read_text())):
        with fresh_netns():
            done = ours("-R", more, stdin=stdin)
            assert done.rc == 1
            refused = [line.split("): ")[1].split(":")[0] for line in done.err.splitlines()]
            assert refused == ["line 28001", "line 58001"]
            tables.append(normalise(ours("-L").out))
    assert tables[0] == tables[1]
    assert tables[0].count("\n") == 30_000 - 2
