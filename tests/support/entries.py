"""A table of made-up entries of many kinds, and the command's output for it."""

from __future__ import annotations

import json
from typing import Any

from pyconntrack import Flow, Tuple

from .ctool import Result, ours

#: lines of entries with NAT, in a zone, of other protocols
NAT = (
    "-A -s 1.1.1.1 -d 2.2.2.2 -n 9.9.9.9 -p tcp --sport 1 --dport 2 --state ESTABLISHED -t 999 "
    "-u ASSURED,SEEN_REPLY -w 3",
    "-A -s 1.1.1.1 -d 2.2.2.2 -g 9.9.9.9 -p udp --sport 1 --dport 2 -t 999 -m 5",
    "-A -s 1.1.1.1 -d 2.2.2.2 -p gre --srckey 1 --dstkey 2 -t 999 -m 5",
    "-A -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 999 -m 5",
    "-A -s 1.1.1.1 -d 2.2.2.2 -p sctp --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 3 "
    "--reply-vtag 4 -t 999",
)

#: a line of ``-R``: source, port, timeout, mark
TEMPLATE = "-A -s {} -d 10.0.0.2 -p tcp --sport {} --dport 443 --state ESTABLISHED -t {} -m {}"


def line_of(number: int) -> str:
    """Return the line of ``-R`` that makes entry ``number``."""
    host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    port = 1000 + number % 60000
    if number % 5 < 2:
        return (f"-A -t 1000 -u SEEN_REPLY,ASSURED -s {host} -d 192.168.{number % 7}.1 -p udp "
                f"--sport {port} --dport {53 if number % 3 else 123}")  # fmt: skip
    if number % 5 < 4:
        return (f"-A -t 2000 -u SEEN_REPLY,ASSURED -s {host} -d 192.168.{number % 7}.2 -p tcp "
                f"--sport {port} --dport {80 if number % 3 else 443} "
                "--state ESTABLISHED")  # fmt: skip
    if number % 10 == 4:
        return (f"-A -t 300 -s 2001:db8::{number >> 16:x}:{number & 65535:x} -d 2001:db8::1 -p tcp "
                f"--sport {port} --dport 443 --state SYN_SENT -m {number % 9}")  # fmt: skip
    return (f"-A -t 900 -s {host} -d 1.1.1.1 -p icmp --icmp-type 8 --icmp-code 0 "
            f"--icmp-id {number % 65536}")  # fmt: skip


def fill(count: int, *more: str) -> None:
    """Create the first ``count`` entries, and those of ``more`` lines."""
    text = "".join(line_of(number) + "\n" for number in range(count))
    done = ours("-R", "-", stdin=text + "".join(line + "\n" for line in more))
    assert done.rc == 0, done.err


def shown(*arguments: str) -> list[dict[str, object]]:
    """Return the JSON objects of ``-L``, sorted, without values that differ from run to run."""
    done = ours("-L", "-o", "ndjson", *arguments)
    assert done.rc == 0, done.err
    flows = [json.loads(line) for line in done.out.splitlines()]
    for flow in flows:
        for name in ("id", "use", "timeout"):
            flow.pop(name, None)
    return sorted(flows, key=repr)


def count() -> int:
    """Return the number of entries."""
    return int(ours("-C").out)


def last_words(done: Result) -> str:
    """Return the last line of standard error, without the name of the program."""
    return done.err.splitlines()[-1].partition("): ")[2]


def without_timeout(text: str) -> list[str]:
    """Return save lines, sorted, without the values of their timeouts."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        words[words.index("-t") + 1] = "T"
        lines.append(" ".join(words))
    return sorted(lines)


def udp(number: int, **fields: Any) -> Flow:
    """Return the entry ``number`` of a name server's clients."""
    source = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return Flow(Tuple(source, "192.0.2.1", "udp", 1000, 53), timeout=600, **fields)


def plain_lines(count: int) -> list[str]:
    """Return ``count`` lines of ``-R`` that differ in numbers and addresses only."""
    addresses = (f"10.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(count))
    return [TEMPLATE.format(address, n & 65535, 600, n) for n, address in enumerate(addresses)]
