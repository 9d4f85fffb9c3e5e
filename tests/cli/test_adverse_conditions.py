"""Bad conditions: none of them may change what is told, or go unreported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from struct import unpack
from termios import FIONREAD

import pytest

from pyconntrack.ctnetlink import requests as request
from pyconntrack.errors import ConntrackError
from pyconntrack.netlink.socket import Transport
from support.ctool import environment, normalise, ours, ours_argv, theirs
from support.netns import fresh_netns
from support.traffic import eventually

#: enough for columns
MANY = 45_000


def flow(number: int, more: str = "") -> str:
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return f"-s {address} -d 192.0.2.{number % 250} -p udp --sport 9 --dport 53 {more}".strip()


TABLE = "".join(f"-I {flow(n, '-t 9000')} -m {n}\n" for n in range(MANY))


@pytest.fixture(scope="module", autouse=True)
def large() -> Iterator[None]:
    with fresh_netns():
        assert ours("-R", "-", stdin=TABLE).rc == 0
        yield


def listed(*words: str, argv: list[str] | None = None, **more: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [*(argv or ours_argv()), *words], capture_output=True, text=True, timeout=60,
        **{"env": environment(), **more},
    )  # type: ignore[call-overload]  # fmt: skip
    return done.returncode, normalise(done.stdout), done.stderr


def test_the_thread_changes_nothing() -> None:
    done = theirs("-L")
    assert listed("-L")[:2] == (0, normalise(done.out))


def test_one_core() -> None:
    core = {next(iter(os.sched_getaffinity(0)))}
    alone = listed("-L", preexec_fn=lambda: os.sched_setaffinity(0, core))
    assert alone == listed("-L")


def with_numpy(path: Path, source: str) -> list[str]:
    """The command with a numpy of this source in place of the installed one."""
    (path / "numpy.py").write_text(source)
    start = "from pyconntrack.cli.main import run_program; run_program()"
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {start}"]


@pytest.mark.parametrize(
    "words",
    [
        "-L",
        "-L -o extended,id",
        "-L -o xml",
        "-L -o json",
        "-L -p udp --dport 53 -m 7",
        "-L --count-by dst,mark,status --sum bytes",
        "-L --count-by src/24,state -o json",
    ],
)
def test_numpy_is_missing(words: str, tmp_path: Path) -> None:
    without = with_numpy(tmp_path, "raise ImportError('no numpy here')")
    assert listed(*words.split(), argv=without) == listed(*words.split())


@pytest.mark.parametrize(
    "source",
    ["", "1 / 0", "import numpy.core", "raise SystemError('half of it')", "raise MemoryError"],
)
def test_numpy_is_broken(source: str, tmp_path: Path) -> None:
    assert listed("-L", argv=with_numpy(tmp_path, source)) == listed("-L")


def test_numpy_is_missing_for_changes(tmp_path: Path) -> None:
    without = with_numpy(tmp_path, "raise ImportError('no numpy here')")
    with fresh_netns():
        assert listed("-R", "-", input=TABLE, argv=without)[::2] == (0, "")
        rc, out, err = listed("-U", "-m", "1", argv=without)
        assert (rc, out.count("mark=1 ")) == (0, MANY - 1), err
        rc, out, err = listed("-D", "-d", "192.0.2.0/25", argv=without)
        assert (rc, out.count("\n")) == (0, sum(n % 250 < 128 for n in range(MANY))), err
        assert ours("-C").out == f"{sum(n % 250 >= 128 for n in range(MANY))}\n"


def test_a_table_that_changes_during_the_dump() -> None:
    churn = "".join(
        f"-I -s 172.16.{n >> 8}.{n & 255} -d 192.0.2.1 -p tcp --sport 1 --dport 2 -t 9"
        " --state ESTABLISHED\n"
        for n in range(5000)
    )
    drop = "-D -p tcp\n"
    with subprocess.Popen(
        [*ours_argv(), "-R", "-"], stdin=subprocess.PIPE, env=environment(),
        stdout=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write((churn + drop) * 8)
        process.stdin.close()
        rounds = 0
        while process.poll() is None or not rounds:
            done = ours("-L", "-o", "extended")
            lines = done.out.splitlines()
            assert done.rc == 0, done.err
            assert f" {len(lines)} flow entries have been shown." in done.err
            assert all(line.startswith("ipv4     2 ") and " use=" in line for line in lines)
            stable = {line.split(" src=")[1].split()[0] for line in lines if " udp " in line}
            # the kernel may show an entry twice, but each one that stays must be there
            assert len(stable) == MANY
            rounds += 1
    assert ours("-D", "-p", "tcp").rc in (0, 1)


def test_a_kernel_that_refuses_a_part_of_a_batch() -> None:
    """Every second line exists already: each is reported, by its number, and no other."""
    number = 20_000
    again = [n if n % 2 else MANY + n for n in range(number)]
    done = ours("-R", "-", stdin="".join(f"-I {flow(n, '-t 9')}\n" for n in again))
    failed = [line for line in done.err.splitlines() if "Such conntrack exists" in line]
    assert done.rc == 1
    told = [int(line.split("line ")[1].split(":")[0]) for line in failed]
    assert told == [at + 1 for at in range(number) if at % 2]
    assert ours("-C").out == f"{MANY + number // 2}\n"
    done = ours("-D", "--where", "timeout < 100")
    assert f" {number // 2} flow entries have been deleted." in done.err


def test_a_full_receive_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that found no room: the command says that it does not know, and does not hang."""
    from pyconntrack.netlink.conversation import batch
    from pyconntrack.netlink.driver import call

    requests = [request.create({"orig_src": bytes(4)}, 2) for _ in range(256)]
    transport = Transport()
    transport.set_rcvbuf(1)
    with pytest.raises(ConntrackError, match=r"ENOBUFS|buffer"):
        call(transport, batch(requests))
    transport.close()


def test_a_pipe_that_closes() -> None:
    command = subprocess.Popen([*ours_argv(), "-L"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment())  # fmt: skip
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline().startswith(b"udp ")
    command.stdout.close()
    assert command.wait(20) == -signal.SIGPIPE
    assert command.stderr.read() == b""
    command.stderr.close()


def waiting_bytes(pipe: int) -> int:
    """How many bytes a pipe holds."""
    (size,) = unpack("i", ioctl(pipe, FIONREAD, bytes(4)))
    return int(size)


def asleep(process: int) -> bool:
    """Whether each thread of a process waits."""
    states = [path.read_text().rpartition(")")[2].split()[0]
              for path in Path(f"/proc/{process}/task").glob("*/stat")]  # fmt: skip
    return set(states) == {"S"}


@pytest.mark.parametrize("blocking", [True, False], ids=["blocks", "is full"])
def test_a_pipe_that_is_read_late(blocking: bool) -> None:
    out, into = os.pipe()
    os.set_blocking(into, blocking)
    command = subprocess.Popen([*ours_argv(), "-L"], stdout=into, stderr=subprocess.PIPE,
                               env=environment())  # fmt: skip
    os.close(into)
    eventually(lambda: waiting_bytes(out) > 61440 and asleep(command.pid), "a full pipe")
    with open(out, "rb") as reader:
        text = reader.read().decode()
    assert command.stderr is not None
    with command.stderr as err:
        assert f" {MANY} flow entries have been shown." in err.read().decode()
    assert command.wait(20) == 0
    assert normalise(text) == normalise(theirs("-L").out)
