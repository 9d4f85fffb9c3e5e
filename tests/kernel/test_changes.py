"""What -D, -U and -F of one family change: in step with the dump, and nothing else."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from pyconntrack import AsyncConntrack, Conntrack, Filter
from pyconntrack.cli import main, selection, source
from pyconntrack.ctnetlink import constants as c
from pyconntrack.netlink import constants as nl
from pyconntrack.netlink.messages import split
from pyconntrack.netlink.socket import Transport
from pyconntrack.thresholds import CHANGE, CHANGED_BYTES, FEW_CHANGED
from support.ctool import ours
from support.entries import plain_lines

pytestmark = pytest.mark.usefixtures("netns")

COUNT = 3_000  # a table that is not asked for early, of some windows


def fill(*more: str) -> None:
    assert ours("-R", "-", stdin="\n".join([*plain_lines(COUNT), *more])).rc == 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What goes over the sockets: ("entries", n) received, ("changes", n) sent, in their order."""
    seen: list[tuple[str, int]] = []
    dumps: set[int] = set()
    recv, send = Transport.recv, Transport.send
    change = {c.ct_msg(c.IPCTNL_MSG_CT_DELETE), c.ct_msg(c.IPCTNL_MSG_CT_NEW)}

    def receiving(self: Transport) -> bytes:
        data = recv(self)
        kinds = [kind for _, _, kind, _, number in split(data) if number in dumps]
        entries = kinds.count(c.ct_msg(c.IPCTNL_MSG_CT_NEW))
        if entries:
            seen.append(("entries", entries))
        return data

    def sending(self: Transport, data: bytes) -> None:
        asked = list(split(bytes(data)))
        if asked[0][2] in change:
            seen.append(("changes", len(asked)))
        elif asked[0][3] & nl.NLM_F_DUMP == nl.NLM_F_DUMP:
            dumps.add(asked[0][4])
        send(self, data)

    monkeypatch.setattr(Transport, "recv", receiving)
    monkeypatch.setattr(Transport, "send", sending)
    return seen


def command(*words: str) -> Callable[[], Any]:
    return lambda: main.main(list(words))


def library() -> None:
    with Conntrack() as conntrack:
        assert len(conntrack.delete_matching(Filter(proto="tcp"))) == COUNT


def asynchronous() -> None:
    async def run() -> None:
        async with AsyncConntrack() as conntrack:
            assert len(await conntrack.delete_matching(Filter(proto="tcp"))) == COUNT

    asyncio.run(run())


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    "change",
    [command("-D"), command("-U", "-m", "4000000"), command("-F", "-f", "ipv4"), library,
     asynchronous],
    ids=["-D", "-U", "-F -f", "delete_matching", "asynchronous"],
)  # fmt: skip
def test_little_is_seen_before_it_is_changed(
    change: Callable[[], Any],
    columns: bool,
    steps: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if columns:
        monkeypatch.setattr(source, "MANY_CHANGED", 0)
    fill()
    steps.clear()
    change()
    assert sum(n for what, n in steps if what == "changes") == COUNT
    # one window, what may wait, what is on its way: in datagrams of 160 entries
    use = CHANGE if columns else FEW_CHANGED  # line by line an entry takes ten times as long
    most = (use.window // 32_000 + 1 + use.ahead + 2) * 165
    ahead = 0
    for what, number in steps:
        ahead += number if what == "entries" else -number
        assert ahead <= most < COUNT


@pytest.mark.parametrize(("hidden", "first"), [(COUNT, 0), (COUNT + 1, CHANGED_BYTES)])
def test_numpy_is_imported_during_the_walk_through_a_large_table(
    hidden: int, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then even what a filter of the kernel lets pass goes as columns from the first window on."""
    monkeypatch.setattr(source, "HIDDEN", hidden)
    worth: list[int] = []
    select = selection.select

    def selecting(batches: Any, least: int, *rest: Any) -> Any:
        worth.append(least)
        return select(batches, least, *rest)

    monkeypatch.setattr(selection, "select", selecting)
    fill()
    command("-D", "-f", "ipv4", "-p", "tcp")()
    assert worth == [first]
    assert ours("-C").out == "0\n"


def test_a_flush_of_one_family_leaves_the_other() -> None:
    six = "-s 2001:db8::1 -d 2001:db8::2 -p udp --sport 1 --dport 2 -t 99"
    fill(f"-A {six}")
    done = ours("-F", "-f", "ipv6")
    assert (done.rc, done.out) == (0, "")
    assert done.err.endswith(": connection tracking table has been emptied.\n")
    assert ours("-C").out == f"{COUNT}\n"
    fill(f"-A {six}")
    assert ours("-F", "-f", "ipv4").rc == 0
    assert ours("-L").out.count("2001:db8::1") == ours("-L").out.count("\n") * 2 == 2
    assert ours("-F", "-f", "ipv4").rc == 0


def test_a_flush_of_one_family_never_sends_a_delete_without_a_tuple(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill()
    send = Transport.send

    def sending(self: Transport, data: bytes) -> None:
        for pos, length, kind, _, _ in split(bytes(data)):
            if kind == c.ct_msg(c.IPCTNL_MSG_CT_DELETE):
                assert length > 20, bytes(data[pos : pos + length]).hex()
        send(self, data)

    monkeypatch.setattr(Transport, "send", sending)
    assert main.main(["-F", "-f", "ipv4"]) == 0
    assert ours("-C").out == "0\n"


def test_an_entry_without_room_for_labels_is_passed_over() -> None:
    flow = ["-d", "9.1.1.9", "-p", "udp", "--sport", "1", "--dport", "2", "-t", "99"]
    assert ours("-I", "-s", "9.1.1.1", *flow).rc == 0
    nft_label = "table inet l { chain c { type filter hook output priority 0; ct label set 5; }; }"
    subprocess.run(["nft", "-f", "-"], input=nft_label, text=True, check=True)
    assert ours("-I", "-s", "9.1.1.2", *flow).rc == 0
    done = ours("-U", "--label-add", "3", "-o", "ndjson")
    assert (done.rc, done.err.count("\n")) == (0, 1), done.err
    assert [json.loads(line)["orig"]["src"] for line in done.out.splitlines()] == ["9.1.1.2"]
    alone = ours("-U", "-s", "9.1.1.1", "--label-add", "3")
    assert (alone.rc, alone.out) == (1, "")
    assert "0 flow entries have been updated." in alone.err
