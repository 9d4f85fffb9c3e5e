"""The tasks inside measured processes; each prints a count and the seconds it took.

Run as a script (``child.py TASK [ARGUMENT...]``), so that a task imports only what it measures.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SEND = 256  # messages a send when a table is created
BATCH = 64  # messages a send, each of which causes an event
MADE = 5000  # flows that a program makes by hand
POOL = 4096  # entries that the generator uses in turn
REUSED = 20  # entries that are deleted and created again in one send
CHURNER = 1 << 30  # the port id of the process that does that


def floor() -> tuple[int, float]:
    """Run a bare receive loop; the count is of bytes."""
    from bench import netlink

    began = time.perf_counter()
    return netlink.dump(), time.perf_counter() - began


def twice() -> tuple[int, float]:
    """Run it twice: for what -U reads before its changes, and shows after them."""
    seen, took = floor()
    more, again = floor()
    return seen + more, took + again


def pyroute2() -> tuple[int, float]:
    """Do the same with pyroute2."""
    from pyroute2 import NFCTSocket

    with NFCTSocket() as sock:
        began = time.perf_counter()
        seen = sum(1 for _ in sock.dump())
        return seen, time.perf_counter() - began


def dump() -> tuple[int, float]:
    """Dump with pyconntrack, a Flow for each entry."""
    from pyconntrack import Conntrack

    with Conntrack() as ct:
        began = time.perf_counter()
        seen = sum(1 for _ in ct.dump(on_interrupt="accept"))
        return seen, time.perf_counter() - began


def table() -> tuple[int, float]:
    """Dump with pyconntrack to columns; numpy's import is not measured."""
    import numpy as np  # noqa: F401

    from pyconntrack import Conntrack

    with Conntrack() as ct:
        began = time.perf_counter()
        seen = len(ct.table(on_interrupt="accept"))
        return seen, time.perf_counter() - began


def load() -> tuple[int, float]:
    """Make flows by hand with pyconntrack, and create them."""
    from pyconntrack import Conntrack, Flow, Tuple

    with Conntrack() as ct:
        began = time.perf_counter()
        failed = ct.load(
            Flow(Tuple(f"10.0.{n >> 8}.{n & 255}", "192.0.2.1", 17, 1000, 53), timeout=60, mark=n)
            for n in range(MADE)
        )
        took = time.perf_counter() - began
        ct.flush()
        return MADE - len(failed), took


def pyroute2_load() -> tuple[int, float]:
    """Do the same with pyroute2."""
    from pyroute2 import NFCTSocket
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    with NFCTSocket() as sock:
        began = time.perf_counter()
        for n in range(MADE):
            made = NFCTAttrTuple(
                saddr=f"10.0.{n >> 8}.{n & 255}", daddr="192.0.2.1", proto=17, sport=1000, dport=53
            )
            sock.entry("add", timeout=60, mark=n, tuple_orig=made, tuple_reply=made.reverse())
        took = time.perf_counter() - began
        sock.flush()
        return MADE, took


def create(entries: str) -> tuple[int, float]:
    """Send the prepared creations of a whole table: the kernel's part of ``-R``."""
    from bench import netlink, table

    made = [netlink.creation(table.entry(i)) for i in range(int(entries))]
    sends = [b"".join(made[at : at + SEND]) for at in range(0, len(made), SEND)]
    with netlink.connect() as sock:
        began = time.perf_counter()
        for send in sends:
            sock.send(send)
        took = time.perf_counter() - began
    return netlink.count(), took


def _paced(rate: float, number: int, most_late: float) -> Iterator[float]:
    """Yield the seconds since the start whenever ``number`` more are due at ``rate`` a second.

    A delay of more than ``most_late`` seconds is not caught up: the rate is then lower.
    """
    period, due = number / rate, 0.0
    began = time.perf_counter()
    while True:
        ahead = due - (time.perf_counter() - began)
        if ahead > 0:
            time.sleep(ahead)
        due += period + max(0.0, -ahead - most_late)
        yield time.perf_counter() - began


def generate(rate: str, seconds: str) -> tuple[int, float]:
    """Change the marks of entries, ``rate`` events a second; the count is of events.

    An update is the event that costs the kernel least besides the event itself: creating and
    deleting entries takes as much again, and the generator would be slower than the listener.
    """
    from bench import netlink

    pool = [range(start, start + BATCH) for start in range(0, POOL, BATCH)]
    sends = [netlink.batch(netlink.mark(value), part) for value in (1, 2) for part in pool]
    sent = 0
    with netlink.connect() as sock:
        for now in _paced(float(rate), BATCH, 0.002):
            if now >= float(seconds):
                break
            sock.send(sends[sent % len(sends)])
            sent += 1
        sock.setblocking(False)
        try:
            sock.recv(4096)
        except BlockingIOError:
            return sent * BATCH, now
    raise OSError("the kernel refused a request of the generator")


def churn(entries: str, rate: str) -> tuple[int, float]:
    """Delete entries and create them again with another reply until SIGTERM; count them."""
    from bench import netlink

    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    anew = netlink.FORGET + netlink.create(netlink.OTHER)
    draw = random.Random(5)
    sent = 0
    with netlink.connect(CHURNER) as sock:  # errors are not read: an entry may be gone already
        for now in _paced(float(rate), REUSED, 0.25):
            if stopped:
                return sent * REUSED, now
            sock.send(netlink.batch(anew, (draw.randrange(int(entries)) for _ in range(REUSED))))
            sent += 1
    raise AssertionError("unreachable: the pace has no end")


TASKS: dict[str, Callable[..., tuple[int, float]]] = {
    task.__name__: task
    for task in (floor, twice, create, pyroute2, dump, table, load, pyroute2_load, generate, churn)
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    task, *arguments = sys.argv[1:]
    number, spent = TASKS[task](*arguments)
    os.write(1, b"%d %.9f\n" % (number, spent))
