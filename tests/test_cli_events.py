"""How an event stream ends and what it survives."""

from __future__ import annotations

import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.ctool import environment, ours, ours_argv, subscriptions, theirs
from support.netns import Namespace
from support.traffic import TIMEOUT, Flows, eventually, track


@contextmanager
def watching(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """-E with both streams in hand, subscribed."""
    before = subscriptions()
    process = subprocess.Popen(
        [*ours_argv(), "-E", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or subscriptions() > before, "subscribing")
        yield process
    finally:
        process.kill()
        process.communicate()


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


def test_the_buffer_size() -> None:
    with watching("-b", "300000") as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
    assert b"NOTICE: Netlink socket buffer size has been set to 300000 bytes." in err


def test_lost_events_do_not_end_it() -> None:
    lines = "".join(f"-I {' '.join(flow(port))} -t 900\n" for port in range(1, 3001))
    with watching("-b", "4096") as process:
        process.send_signal(signal.SIGSTOP)
        assert ours("-R", "-", stdin=lines).rc == 0
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert b"[NEW]" in process.stdout.readline()

        def later() -> bool:
            create(later_ports.pop())
            return True

        later_ports = [5001, 5000]
        # the loss is told before what comes after it
        assert process.stderr is not None
        words = [process.stderr.readline().decode() for _ in range(2)]
        later()
        found = b""
        while b"sport=5000" not in found:
            found = process.stdout.readline()
            assert found
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TIMEOUT)
    assert "NOTICE" in words[0]
    lost = re.search(r"(\d+) events were lost", words[1])
    assert lost is not None
    total = re.search(r"WARNING: (\d+) events were lost in all", err.decode())
    assert total is not None
    shown = re.search(r"(\d+) flow events have been shown", err.decode())
    assert shown is not None
    # each datagram is an event here: nothing is unaccounted for
    assert int(total[1]) + int(shown[1]) == 3001


def test_filters_of_a_stream(flows: Flows) -> None:
    with watching("-p", "udp", "--dport", "7", "-e", "NEW") as process:
        create(1)
        other = "-p udp -s 3.3.3.3 -d 2.2.2.2 --sport 1 --dport 7 -t 9"
        assert theirs("-I", *other.split()).rc == 0
        assert process.stdout is not None
        assert b"src=3.3.3.3" in process.stdout.readline()


def test_the_program_that_made_an_event() -> None:
    """A live process: this one, which asks the kernel itself."""
    from pyconntrack import request
    from pyconntrack.driver import call
    from pyconntrack.session import ask
    from pyconntrack.transport import Transport

    transport = Transport()
    with watching() as process:
        values = {
            "orig_src": b"\1\1\1\1", "orig_dst": b"\2\2\2\2", "orig_proto": 200,
            "reply_src": b"\2\2\2\2", "reply_dst": b"\1\1\1\1", "reply_proto": 200,
            "timeout": 99,
        }  # fmt: skip
        call(transport, ask(request.create(values, 2), "creating"))
        assert process.stdout is not None
        line = process.stdout.readline().decode()
    transport.close()
    with open("/proc/self/comm") as file:
        name = file.read().strip()
    assert re.search(rf"\[USERSPACE\] portid=\d+ progname={re.escape(name)}\n$", line), line
