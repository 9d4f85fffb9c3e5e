"""What the kernel is asked to narrow comes back with every match, and with less than the table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from pyconntrack.cli.console import UsageError
from pyconntrack.cli.filters import predicate
from pyconntrack.cli.parser import parse
from pyconntrack.ctnetlink import requests
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.predicates import Node, bind
from pyconntrack.ctnetlink.pushdown import PushDown, push_down, push_downs
from pyconntrack.netlink.conversation import dump
from pyconntrack.netlink.driver import stream
from pyconntrack.netlink.messages import split
from pyconntrack.netlink.socket import Transport
from support.ctool import ours
from support.netns import fresh_netns
from test_differential import ALL, TABLE

EXPRESSIONS = (
    "dport == 53",
    "family == ipv6 and proto == tcp",
    "orig.src == 1.1.1.1 and dport == 20 and not assured",
    "mark & 0xf == 5",
)


def filters() -> dict[str, Node]:
    """The filters of the differential cases, and some of ours."""
    lines = {case.line for case in ALL if case.group == "table" and case.line.startswith("-L ")}
    lines |= {f"-L --where '{text}'" for text in EXPRESSIONS}
    found = {}
    for line in sorted(lines):
        try:
            command = parse(shlex.split(line))
            node = predicate(command) if command.table == "conntrack" else None
        except UsageError:
            continue
        if node is not None:
            found[line] = node
    return found


FILTERS = filters()


@pytest.fixture(scope="module")
def table() -> Iterator[Transport]:
    with fresh_netns():
        assert ours("-R", "-", stdin=TABLE).rc == 0
        transport = Transport()
        yield transport
        transport.close()


def identity(message: bytes) -> bytes:
    return requests.identity(find(message), message)


def dumped(transport: Transport, down: PushDown) -> list[bytes]:
    conversation = dump(requests.dump("conntrack", down.family, down.payload), "listing")
    return [
        part.data[pos : pos + length]
        for part in stream(transport, conversation)
        for pos, length, *_ in split(part.data[: part.end])
    ]


def matching(messages: list[bytes], node: Node) -> list[bytes]:
    kept = []
    for message in messages:
        layout = find(message)
        test = bind(node, layout)
        if test is True or (test is not False and test(layout.unpack(message))):
            kept.append(identity(message))
    return kept


@pytest.mark.parametrize("line", FILTERS)
def test_nothing_that_matches_stays_away(table: Transport, line: str) -> None:
    node = FILTERS[line]
    everything = dumped(table, push_down(None))
    wanted = matching(everything, node)
    for downs in ([push_down(node)], push_downs(node)):
        found = [one for down in downs for one in matching(dumped(table, down), node)]
        assert sorted(found) == sorted(wanted)
        assert all(len(dumped(table, down)) < len(everything) for down in downs if down.payload)


def test_most_filters_are_pushed_down() -> None:
    pushed = [line for line, node in FILTERS.items() if push_downs(node)[0].payload]
    assert len(FILTERS) > 100
    assert len(pushed) > len(FILTERS) // 2
