"""``--undo``: what stands in the file before anything changes, and what it never touches."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from pathlib import Path

import pytest

from support import entries
from support.ctool import environment, ours, ours_argv
from support.entries import plain_lines
from support.netns import sysctl
from support.traffic import Flows

CHANGES = [("-D",), ("-F",), ("-U", "-m", "9")]
every_change = pytest.mark.parametrize("change", CHANGES, ids=" ".join)


def fill(count: int) -> None:
    assert ours("-R", "-", stdin="\n".join(plain_lines(count))).rc == 0


def table() -> list[str]:
    """The entries without what changes by itself."""
    rows = (json.loads(line) for line in ours("-L", "-o", "ndjson").out.splitlines())
    return sorted(repr((row["orig"], row["mark"], row.get("status"))) for row in rows)


def refused(*words: str) -> str:
    """What a command says that must change nothing."""
    before = table()
    done = ours(*words)
    assert (done.rc, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert "(nothing was changed)" in done.err
    assert table() == before
    return done.err


@every_change
@pytest.mark.usefixtures("netns")
def test_a_file_that_exists_is_never_replaced(change: tuple[str, ...], tmp_path: Path) -> None:
    fill(5)
    path = tmp_path / "way-back"
    assert ours(*change, "-s", "10.1.0.0/31", "--undo", str(path)).rc == 0 or change == ("-F",)
    path.write_text("precious\n")
    assert "it exists" in refused(*change, "--undo", str(path))
    assert path.read_text() == "precious\n"


@pytest.mark.usefixtures("netns")
def test_the_second_of_two_equal_commands_leaves_the_way_back_of_the_first(tmp_path: Path) -> None:
    fill(5)
    path = tmp_path / "way-back"
    before = table()
    assert ours("-D", "-p", "tcp", "--undo", str(path)).rc == 0
    refused("-D", "-p", "tcp", "--undo", str(path))
    assert ours("-R", str(path)).rc == 0
    assert table() == before


@every_change
@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
@pytest.mark.usefixtures("netns")
def test_a_symbolic_link_is_not_followed(
    change: tuple[str, ...], target: str, tmp_path: Path
) -> None:
    fill(5)
    (tmp_path / "elsewhere").write_text("precious\n")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    assert "it exists" in refused(*change, "--undo", str(link))
    assert (tmp_path / "elsewhere").read_text() == "precious\n"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.usefixtures("netns")
def test_the_file_of_the_filters_is_not_replaced(tmp_path: Path) -> None:
    fill(5)
    path = tmp_path / "filters"
    path.write_text("-p tcp\n")
    refused("-D", "--from-file", str(path), "--undo", str(path))
    assert path.read_text() == "-p tcp\n"


@pytest.mark.parametrize("words", ["-D -s 192.0.2.77", "-U -s 192.0.2.77 -m 4", "-D --dry-run"])
@pytest.mark.usefixtures("netns")
def test_where_nothing_changes_there_is_no_file(words: str, tmp_path: Path) -> None:
    fill(5)
    ours(*words.split(), "--undo", str(tmp_path / "way-back"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("netns")
def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    fill(5)
    path = tmp_path / "way-back"
    mask = os.umask(0)
    try:
        assert ours("-D", "--undo", str(path)).rc == 0
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o7777 == 0o600


@every_change
@pytest.mark.usefixtures("netns")
def test_a_folder_that_takes_no_file_is_refused_even_where_nothing_matches(
    change: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for path in ("no/such", "file/x", "", "new/"):
        assert "cannot write the undo file" in refused(*change, "--undo", f"{tmp_path}/{path}")


# ---- window by window ---------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [4096, 4_000_000])
@pytest.mark.usefixtures("netns")
def test_a_full_disk_ends_the_change_at_a_whole_window(limit: int, tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes a write short and the next one fail, as a full file system does."""
    count = 12_000
    fill(count)
    path = tmp_path / "way-back"
    done = subprocess.run(
        [*ours_argv(), "-D", "--undo", str(path)], capture_output=True, text=True, check=False,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    left = int(ours("-C").out)
    deleted = done.stdout.count("\n")
    assert deleted + left == count
    if limit == 4096:
        assert (done.returncode, left, path.exists()) == (2, count, False)
        assert "(nothing was changed)" in done.stderr
        return
    assert (done.returncode, 0 < left < count) == (1, True)
    assert f"{deleted} flow entries have been deleted." in done.stderr
    assert "(nothing more was changed)" in done.stderr
    lines = path.read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == deleted
    assert ours("-R", str(path)).rc == 0
    assert int(ours("-C").out) == count


def kinds(count: int) -> list[str]:
    """Entries with all that a way back must keep: NAT with its ports, marks, states, zones."""
    lines = []
    for n in range(count):
        inside, port = f"10.1.{n >> 8}.{n & 255}", 1024 + n
        state = ("ESTABLISHED", "TIME_WAIT")[n // 5 % 2]
        tcp = f"-p tcp --sport {port} --dport 443 --state {state}"
        lines.append((
            f"-s {inside} -d 192.0.2.1 {tcp} -n 203.0.113.1:{port + 7} -u SEEN_REPLY,ASSURED",
            f"-s {inside} -d 192.0.2.1 {tcp} -g 198.51.100.2:{port & 1023 | 1} -u SEEN_REPLY",
            f"-s {inside} -d 192.0.2.1 -p udp --sport {port} --dport 53 -w {n % 7} -u ASSURED",
            f"-s {inside} -d 192.0.2.1 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id {n}",
            f"-s 2001:db8::{n:x} -d 2001:db8:1::1 {tcp} -u SEEN_REPLY,FIXED_TIMEOUT",
        )[n % 5] + f" -A -t 90000 -m {n}")  # fmt: skip
    return lines


def all_but_the_time() -> set[str]:
    """Each entry as JSON, without its id and its timeout."""
    text = ours("-L", "-o", "ndjson").out
    rows = re.sub(r'"(id|use|timeout)":\d+,?', "", text).splitlines()
    assert len(set(rows)) == len(rows)
    return set(rows)


@pytest.mark.usefixtures("netns")
def test_after_a_kill_the_file_brings_back_what_was(tmp_path: Path) -> None:
    """SIGKILL in the middle: each missing entry has its line, and those that stand no error."""
    count = 20_000
    done = ours("-R", "-", stdin="\n".join(kinds(count)))
    assert (done.rc, done.err) == (0, "")
    before = all_but_the_time()
    assert len(before) == count
    halfway = 0
    for number in range(9):
        path = tmp_path / f"way-back-{number}"
        with subprocess.Popen(
            [*ours_argv(), "-D", "--undo", str(path)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment(),
        ) as command:  # fmt: skip
            enough = count - number * 1000
            while command.poll() is None and int(sysctl("nf_conntrack_count")) >= enough:
                pass
            command.kill()
        halfway += 0 < int(sysctl("nf_conntrack_count")) < count
        done = ours("-R", str(path))
        assert done.rc == 0, done.err
        assert all_but_the_time() == before, number
        if halfway == 3:
            return
    pytest.fail(f"only {halfway} kills came in the middle")


# ---- what a file cannot hold --------------------------------------------------------------------


@pytest.mark.usefixtures("netns")
def test_an_update_that_nothing_takes_back_has_no_line(tmp_path: Path) -> None:
    fill(5)
    ours("-U", "-m", "7", "-s", "10.1.0.0/31")
    total = int(ours("-C").out)
    same = len(ours("-L", "-m", "7").out.splitlines())
    path = tmp_path / "way-back"
    done = ours("-U", "-u", "FIXED_TIMEOUT", "-m", "7", "--undo", str(path))
    assert done.rc == 0
    assert done.out.count("\n") == total
    assert path.read_text().count("\n") == total - same
    assert f"{same} entries have no line in it" in done.err

    alone = ours("-U", "-u", "ASSURED,SEEN_REPLY", "--undo", str(tmp_path / "none"))
    assert f"{alone.out.count(chr(10))} entries have no line in it" in alone.err
    assert not (tmp_path / "none").exists()


def test_expectations_that_end_with_their_masters_are_counted(flows: Flows, tmp_path: Path) -> None:
    flows.ftp().active()
    flows.tftp()
    assert ours("-C", "expect").out == "2\n"
    done = ours("-D", "-p", "tcp", "--undo", str(tmp_path / "one"))
    assert "WARNING: 1 expectations ended with their masters" in done.err
    assert ours("-C", "expect").out == "1\n"
    done = ours("-D", "-s", "192.0.2.99", "--undo", str(tmp_path / "two"))
    assert "WARNING" not in done.err


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("change", [("-D",), ("-F",), ("-U", "-m", "99")])
def test_undo_restores(change: tuple[str, ...], tmp_path: Path) -> None:
    entries.fill(300, *entries.NAT)
    before = entries.shown()
    undo = tmp_path / "undo"
    done = ours(*change, "--undo", str(undo))
    assert done.rc == 0, done.err
    assert entries.shown() != before
    assert undo.read_text().count("\n") == 305
    again = ours("-R", str(undo))
    assert (again.rc, again.err) == (0, "")
    assert entries.shown() == before


@pytest.mark.usefixtures("netns")
def test_an_undo_file_holds_what_is_deleted_and_no_more(tmp_path: Path) -> None:
    entries.fill(100)
    done = ours("-D", "-p", "icmp", "-o", "ndjson", "--undo", str(tmp_path / "undo"))
    assert done.out == (tmp_path / "undo").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["undo"]


@pytest.mark.usefixtures("netns")
def test_nothing_is_changed_where_the_undo_file_cannot_be_written(tmp_path: Path) -> None:
    entries.fill(10)
    for path in (tmp_path / "no" / "such", tmp_path, Path("/dev/null")):
        for change in (("-D",), ("-F",), ("-U", "-m", "9")):
            done = ours(*change, "--undo", str(path))
            assert done.rc == 2
            assert done.err.count("\n") == 1
            assert "nothing was changed" in done.err
    assert entries.count() == 10
    assert Path("/dev/null").is_char_device()
