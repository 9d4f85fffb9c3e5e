"""What runs inside measured processes; prints a count and the seconds it took.

Run as a script (``child.py TASK [ARGUMENT...]``), so that a task imports only what it measures.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

SEND = 256  # messages a send when a table is created
BATCH = 64  # messages a send; one send creates or deletes, so this many events
MOST_LATE = 0.002  # seconds
MADE = 5000  # flows that a program makes by hand
POOL = 4096  # entries that the generator uses in turn


def floor() -> tuple[int, float]:
    """A bare receive loop; the count is of bytes."""
    from bench import netlink

    began = time.perf_counter()
    return netlink.dump(), time.perf_counter() - began


def pyroute2() -> tuple[int, float]:
    """The same by pyroute2."""
    from pyroute2 import NFCTSocket

    with NFCTSocket() as sock:
        began = time.perf_counter()
        seen = sum(1 for _ in sock.dump())
        return seen, time.perf_counter() - began


def dump() -> tuple[int, float]:
    """Our library, a Flow each."""
    from pyconntrack import Conntrack

    with Conntrack() as ct:
        began = time.perf_counter()
        seen = sum(1 for _ in ct.dump(on_interrupt="accept"))
        return seen, time.perf_counter() - began


def table() -> tuple[int, float]:
    """Our library, columns; numpy's import is not the table's."""
    import numpy as np  # noqa: F401

    from pyconntrack import Conntrack

    with Conntrack() as ct:
        began = time.perf_counter()
        seen = len(ct.table(on_interrupt="accept"))
        return seen, time.perf_counter() - began


def load() -> tuple[int, float]:
    """Our library: flows made by hand, and created."""
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
    """The same by pyroute2."""
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
    """Sends the creations of a whole table, made before: the kernel's part of ``-R``."""
    from bench import netlink, table

    made = [netlink.creation(table.entry(i)) for i in range(int(entries))]
    sends = [b"".join(made[at : at + SEND]) for at in range(0, len(made), SEND)]
    with netlink.connect() as sock:
        began = time.perf_counter()
        for send in sends:
            sock.send(send)
        took = time.perf_counter() - began
    return netlink.count(), took


def generate(rate: str, seconds: str) -> tuple[int, float]:
    """Creates and deletes entries, `rate` events a second; the count is of events."""
    from bench import netlink

    sends = [send for pair in netlink.batches(POOL, BATCH) for send in pair]
    period, until = BATCH / float(rate), float(seconds)
    sent, late = 0, 0.0
    with netlink.connect() as sock:
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < until:
            ahead = sent * period + late - now
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -MOST_LATE:  # no burst to catch up: the rate is then lower
                late -= ahead + MOST_LATE
            sock.send(sends[sent % len(sends)])
            sent += 1
        took = time.perf_counter() - began
        if sent % 2:  # the table ends as it began
            sock.send(sends[sent % len(sends)])
            sent += 1
        sock.setblocking(False)
        try:
            sock.recv(4096)
        except BlockingIOError:
            return sent * BATCH, took
    raise OSError("the kernel refused an entry of the generator")


TASKS: dict[str, Callable[..., tuple[int, float]]] = {
    task.__name__: task
    for task in (floor, create, pyroute2, dump, table, load, pyroute2_load, generate)
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    task, *arguments = sys.argv[1:]
    number, spent = TASKS[task](*arguments)
    os.write(1, b"%d %.9f\n" % (number, spent))
