"""--netns: every command works in the namespace that it names, and in no other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ctool import Stream, ours, ours_argv, run
from support.netns import Namespace, new_peer
from support.traffic import track

FLOW = "-p udp -s {0} -d 2.2.2.2 --sport 1 --dport 2"
#: enough lines that a table is not asked for before the command line is read
MANY = 3000


@pytest.fixture(autouse=True)
def _here(netns: Namespace) -> None:
    """One entry, 1.1.1.1, where the tests run."""
    track()
    assert ours("-I", *FLOW.format("1.1.1.1").split(), "-t", "900").rc == 0


@pytest.fixture
def there(netns: Namespace) -> Iterator[Namespace]:
    """Another namespace, with one entry, 9.9.9.9."""
    inside = new_peer()
    try:
        with inside.entered():
            assert ours("-I", *FLOW.format("9.9.9.9").split(), "-t", "900").rc == 0
        yield inside
    finally:
        inside.close()


@pytest.fixture
def path(there: Namespace) -> str:
    return f"/proc/{os.getpid()}/fd/{there.fd}"


def entries() -> list[str]:
    """The source of each entry in the calling thread's namespace."""
    return [line.split("src=")[1].split()[0] for line in ours("-L").out.splitlines()]


@pytest.mark.parametrize("first", [True, False], ids=["--netns first", "--netns last"])
def test_listing(path: str, first: bool) -> None:
    words = ["--netns", path, "-L"] if first else ["-L", f"--netns={path}"]
    done = ours(*words)
    assert (done.rc, done.out.count("\n")) == (0, 1)
    assert "src=9.9.9.9" in done.out


def test_counting(path: str, there: Namespace) -> None:
    with there.entered():
        assert ours("-I", *FLOW.format("9.9.9.8").split(), "-t", "900").rc == 0
    assert ours("-C", "--netns", path).out == "2\n"
    assert ours("-C").out == "1\n"
    assert ours("-S", "--netns", path).rc == 0
    assert ours("-L", "expect", "--netns", path).rc == 0


def test_changing(path: str, there: Namespace) -> None:
    at = ["--netns", path]
    assert ours("-G", *FLOW.format("9.9.9.9").split(), *at).rc == 0
    assert ours("-G", *FLOW.format("1.1.1.1").split(), *at).rc == 1
    assert ours("-I", *FLOW.format("9.9.9.1").split(), "-t", "900", *at).rc == 0
    assert ours("-A", *FLOW.format("9.9.9.2").split(), "-t", "900", *at).rc == 0
    assert ours("-U", "-m", "7", *at).rc == 0
    assert ours("-D", "-s", "9.9.9.9", *at).rc == 0
    with there.entered():
        assert sorted(entries()) == ["9.9.9.1", "9.9.9.2"]
        assert ours("-L").out.count("mark=7") == 2
    assert ours("-F", *at).rc == 0
    with there.entered():
        assert entries() == []
    assert entries() == ["1.1.1.1"]
    assert "mark=7" not in ours("-L").out


def test_loading_and_a_large_table(path: str, there: Namespace) -> None:
    lines = "".join(f"-A {FLOW.format(f'3.3.{n >> 8}.{n & 255}')} -t 900\n" for n in range(MANY))
    assert ours("-R", "-", "--netns", path, stdin=lines).rc == 0
    assert ours("-L", "--netns", path).out.count("src=3.3.") == MANY
    assert ours("-D", "-s", "3.3.0.0/16", "--netns", path).out.count("src=3.3.") == MANY
    with there.entered():
        assert entries() == ["9.9.9.9"]
    assert entries() == ["1.1.1.1"]


def test_events(path: str, there: Namespace) -> None:
    with there.entered(), Stream([*ours_argv(), "-E", "--netns", path]) as watcher:
        pass  # subscribed there, as the stream waits for
    assert watcher.process.returncode == 0
    stream = subprocess.Popen([*ours_argv(), "-E", "--netns", path, "--for", "1s"],
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert ours("-D").rc == 0  # here: no event there
    out, _ = stream.communicate(timeout=30)
    assert (stream.returncode, out) == (0, "")


def test_a_process_and_a_name(there: Namespace, path: str) -> None:
    with there.entered(), subprocess.Popen(["sleep", "60"]) as sleeper:
        try:
            pid = str(sleeper.pid)
            # back to where the test runs, in the child only
            here = ["nsenter", f"--net=/proc/{os.getpid()}/ns/net"]
            done = run([*here, *ours_argv(), "-L", "--netns", pid])
            assert "src=9.9.9.9" in done.out
            named = ["unshare", "--mount", "sh", "-ec",
                     'mount -t tmpfs none /run; mkdir /run/netns; touch "/run/netns/$1";'
                     ' mount --bind "$0" "/run/netns/$1"; shift; exec "$@"', path]  # fmt: skip
            for name in ("blue", pid):  # of a number the name counts first
                done = run([*here, *named, name, *ours_argv(), "-L", "--netns", name])
                assert "src=9.9.9.9" in done.out, done.err
            done = run([*named, "blue", *ours_argv(), "-L", "--netns", "bleu"])
            assert done.rc == 1
            assert done.err.endswith(
                "--netns: there is no network namespace `bleu': do you mean `blue'?\n"
            )
        finally:
            sleeper.kill()


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("", 2, "a name in /run/netns, a process id or a path is expected"),
        ("no-such-namespace", 1, "there is no network namespace `no-such-namespace'"),
        ("/nonsense/net", 1, "there is no network namespace `/nonsense/net'"),
        ("999999999", 1, "there is no process 999999999"),
        ("/etc/passwd", 1, "`/etc/passwd' is no network namespace"),
        ("/proc/self/ns/mnt", 1, "`/proc/self/ns/mnt' is no network namespace"),
        ("/", 1, "`/' is no network namespace"),
    ],
)
def test_what_is_none(name: str, code: int, message: str) -> None:
    for words in (["-L"], ["-F"], ["-D"], ["-R", "/dev/null"], ["-E"]):
        done = ours(*words, "--netns", name)
        assert (done.rc, done.out) == (code, "")
        assert done.err.splitlines()[0].endswith(f"(conntrack-tools): --netns: {message}")
    assert entries() == ["1.1.1.1"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = ours("-L", "--netns", str(tmp_path / "pipe"))
    assert done.rc == 1
    assert done.err.endswith("is no network namespace\n")
