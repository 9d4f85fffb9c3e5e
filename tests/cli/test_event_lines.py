"""How an event stream ends and what it survives."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from pyconntrack import Conntrack, DecodeError
from pyconntrack.cli.commands.events import Bursts, EventLines
from pyconntrack.formats.registry import Writer
from pyconntrack.netlink.mmsg import Mmsg
from pyconntrack.testing import event_message
from support.ctool import environment, ours_argv, subscriptions, theirs
from support.entries import udp
from support.netns import Namespace
from support.traffic import TIMEOUT, Flows, eventually, track


@contextmanager
def watching(
    *words: str, argv: Sequence[str] = (*ours_argv(), "-E"), stdout: Any = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """-E with both streams in hand, subscribed."""
    before = subscriptions()
    process = subprocess.Popen(
        [*argv, *words], stdout=stdout, stderr=subprocess.PIPE, env=environment()
    )
    try:
        eventually(lambda: process.poll() is not None or subscriptions() > before, "subscribing")
        yield process
    finally:
        process.kill()
        process.communicate()


def state(pid: int) -> str:
    """The state of a process: R, S, D, T, Z."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def flow(port: int) -> list[str]:
    return f"-p udp -s 1.1.1.1 -d 2.2.2.2 --sport {port} --dport 9".split()


def create(port: int) -> None:
    assert theirs("-I", *flow(port), "-t", "900").rc == 0


@pytest.fixture(autouse=True)
def _tracking(netns: Namespace) -> None:
    track()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [[], ["-o", "xml"], ["-e", "NEW", "-o", "save"]], ids=" ".join)
def test_a_signal_ends_it_cleanly(number: signal.Signals, words: list[str]) -> None:
    with watching(*words) as process:
        create(1)
        create(2)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4 if "xml" in words else 2)]
        process.send_signal(number)
        rest, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert err.decode().endswith("(conntrack-tools): 2 flow events have been shown.\n")
    assert len(err.splitlines()) == 1
    if "xml" in words:
        root = ElementTree.fromstring(b"".join(lines) + rest)
        assert [child.get("type") for child in root] == ["new", "new"]


@pytest.mark.parametrize("output", ["xml", "json"])
def test_a_document_without_events_is_closed(output: str) -> None:
    with watching("-o", output) as process:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert b"0 flow events have been shown." in err
    if out:
        assert out.rstrip().endswith((b"</conntrack>", b"}", b"]"))


def test_a_closed_pipe_ends_it() -> None:
    with watching() as process:
        assert process.stdout is not None
        create(1)
        assert b"[NEW]" in process.stdout.readline()
        process.stdout.close()
        for port in range(2, 6):
            create(port)
            if process.poll() is not None:
                break
        process.wait(TIMEOUT)
        assert process.stderr is not None
        err = process.stderr.read().decode()
    assert process.returncode == 0
    assert "flow events have been shown.\n" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("size", ["5", "300000", "200000000", "2147483647"])
def test_the_buffer_is_what_the_kernel_gave_and_never_smaller_than_without(size: str) -> None:
    with watching("-b", size) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
    notice = re.match(r"NOTICE: Netlink socket buffer size has been set to (\d+) bytes\.$",
                      err.decode(), re.MULTILINE)  # fmt: skip
    assert notice is not None, err
    given = 2 * max(64 << 20, min(int(size), (1 << 30) - 1))  # the kernel doubles it
    assert int(notice[1]) == given


def small_buffer(size: int) -> tuple[str, ...]:
    """The command with a buffer that is full soon."""
    code = (
        "import sys, pyconntrack.cli.commands.events as watch\n"
        f"watch._RCVBUF = {size}\n"
        "from pyconntrack.cli.main import main\n"
        "sys.exit(main(['-E', *sys.argv[1:]]))\n"
    )
    return (sys.executable, "-c", code)


@pytest.mark.parametrize("size", [4096, 32768, 1 << 20])
def test_shown_and_lost_are_all_that_the_kernel_sent(size: int) -> None:
    flows = [udp(number) for number in range(600)]
    with TemporaryFile() as out, Conntrack() as conntrack:
        with watching(argv=small_buffer(size), stdout=out) as process:
            process.send_signal(signal.SIGSTOP)
            assert conntrack.load(flows) == []
            process.send_signal(signal.SIGCONT)
            conntrack.flush()  # while it reads, and the kernel still drops
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=TIMEOUT)
        out.seek(0)
        text = out.read()
    found = err.decode()
    lost = [int(number) for number in re.findall(r"(\d+) events were lost:", found)]
    total = re.search(r"WARNING: (\d+) events were lost in all", found)
    shown = re.search(r"(\d+) flow events have been shown", found)
    assert shown is not None
    assert len(text.splitlines()) == int(shown[1])
    assert sum(lost) == (int(total[1]) if total else 0)
    assert sum(lost) + int(shown[1]) == 1200
    assert lost or size == 1 << 20


def test_a_signal_leaves_nothing_unread() -> None:
    flows = [udp(number) for number in range(1000)]
    with watching("-o", "ndjson", argv=(*ours_argv(), "-E")) as process, Conntrack() as conntrack:
        process.send_signal(signal.SIGSTOP)
        conntrack.load(flows)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert len(out.splitlines()) == 1000
    assert "1000 flow events have been shown" in err.decode()


def test_a_second_signal_ends_it_though_nobody_reads() -> None:
    flows = [udp(number) for number in range(1200)]
    with watching() as process, Conntrack() as conntrack:
        conntrack.load(flows)  # more than a pipe holds
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while process.poll() is None:
            eventually(lambda: state(process.pid) in "SZ", "waiting")
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        err = process.stderr.read().decode()
    assert process.returncode == 0
    assert "what still waited is not shown" in err
    assert "flow events have been shown" in err


def test_the_loss_is_an_upper_bound_where_a_filter_is_given() -> None:
    flows = [udp(number) for number in range(300)]
    with watching("-p", "udp", argv=small_buffer(4096)) as process, Conntrack() as conntrack:
        process.send_signal(signal.SIGSTOP)
        conntrack.load(flows)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=TIMEOUT)
    assert re.search(r"WARNING: at most \d+ events were lost: ", err.decode())
    assert re.search(r"WARNING: at most \d+ events were lost in all", err.decode())


def test_an_event_that_cannot_be_read_is_passed_over() -> None:
    """As columns, in the midst of others: hardly there, too long for its place, two in one."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        there.setblocking(False)
        good = [event_message("new", udp(number)) for number in range(50)]
        hardly = (16).to_bytes(4, sys.byteorder) + good[0][4:16]
        long = (5000).to_bytes(4, sys.byteorder) + good[0][4:] + bytes(5000 - len(good[0]))
        two = b"".join(message + bytes(-len(message) & 3) for message in good[:2])
        for data in (*good[:25], hardly, b"", long, two, *good[25:]):
            here.send(data)
        bursts = Bursts(Mmsg(there.fileno()), EventLines(Writer((), None, events=True), None, None))
        found = list(bursts.read(bursts.recv()))
    assert sum(item[1] for item in found if not isinstance(item, DecodeError)) == 52
    assert sum(isinstance(item, DecodeError) for item in found) == 2


def test_filters_of_a_stream(flows: Flows) -> None:
    with watching("-p", "udp", "--dport", "7", "-e", "NEW") as process:
        create(1)
        other = "-p udp -s 3.3.3.3 -d 2.2.2.2 --sport 1 --dport 7 -t 9"
        assert theirs("-I", *other.split()).rc == 0
        assert process.stdout is not None
        assert b"src=3.3.3.3" in process.stdout.readline()


def test_the_program_that_made_an_event() -> None:
    """A live process: this one, which asks the kernel itself."""
    from pyconntrack.ctnetlink import requests
    from pyconntrack.netlink.conversation import ask
    from pyconntrack.netlink.driver import call
    from pyconntrack.netlink.socket import Transport

    transport = Transport()
    with watching() as process:
        values = {
            "orig_src": b"\1\1\1\1", "orig_dst": b"\2\2\2\2", "orig_proto": 200,
            "reply_src": b"\2\2\2\2", "reply_dst": b"\1\1\1\1", "reply_proto": 200,
            "timeout": 99,
        }  # fmt: skip
        call(transport, ask(requests.create(values, 2), "creating"))
        assert process.stdout is not None
        line = process.stdout.readline().decode()
    transport.close()
    with open("/proc/self/comm") as file:
        name = file.read().strip()
    assert re.search(rf"\[USERSPACE\] portid=\d+ progname={re.escape(name)}\n$", line), line
