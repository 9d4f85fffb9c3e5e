"""The one look of the doctor: in which order it reads, and what it says of what it cannot read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pyconntrack import Conntrack, DumpInterruptedError, PermissionDeniedError
from pyconntrack.ctnetlink import constants as c
from pyconntrack.doctor import examine, sampling, snapshot
from pyconntrack.errors import kernel_error
from pyconntrack.netlink.socket import Transport
from support.entries import fill
from support.netns import Namespace

pytestmark = pytest.mark.usefixtures("netns")
DUMP, STATS = c.ct_msg(c.IPCTNL_MSG_CT_GET), c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS)


class Recording(Transport):
    """A socket that notes the types of the messages that it sends."""

    sent: list[int]

    def send(self, data: Any) -> None:
        self.sent.append(int.from_bytes(data[4:6], sys.byteorder))
        super().send(data)


def test_all_counts_are_read_before_the_table() -> None:
    """A dump evicts what has expired: counts around it would show a change that it made."""
    sent: list[int] = []
    Recording.sent = sent
    fill(2)
    with Conntrack(transport=Recording) as ct:
        seen = snapshot(ct, 0.01)
    assert sent.count(DUMP) == 1
    assert sent.count(STATS) >= 2
    # the table's size is asked for once more, to reserve its memory
    assert sent.index(DUMP) == len(sent) - 1
    assert seen.flows is not None
    assert (seen.counts, len(seen.flows), seen.unknown) == ((2, 2), 2, {})
    assert seen.seconds >= 0.01


def test_one_reading_gives_no_rates() -> None:
    with Conntrack() as ct:
        seen = snapshot(ct, 0)
    assert seen.seconds == 0
    assert seen.counters[0] == seen.counters[1] != ()
    assert (seen.change("drop"), seen.rate("drop"), seen.growth) == (None, None, None)
    assert seen.total("drop") == 0


def test_counters_of_proc_have_the_names_of_those_by_netlink() -> None:
    with Conntrack() as ct:
        wanted = [cpu.to_dict() for cpu in ct.stats().cpus]
    found = sampling._counters_of_proc()
    assert [{name: cpu[name] for name in wanted[0]} for cpu in found] == wanted


def test_without_permission_only_the_table_and_the_like_are_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object, **__: object) -> Any:
        raise kernel_error(1, "asking")

    fill(3)
    for verb in ("stats", "table", "expectations"):
        monkeypatch.setattr(Conntrack, verb, refused)
    with Conntrack() as ct:
        seen = snapshot(ct, 0.01)
    assert seen.counts == (3, 3)
    assert seen.maximum > 0
    assert seen.change("drop") == 0
    why = "no permission: it needs CAP_NET_ADMIN"
    assert seen.unknown == {"expectations": why, "flows": why}
    assert issubclass(type(kernel_error(1, "")), PermissionDeniedError)


def test_a_dump_that_is_interrupted_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Conntrack.table
    left = [2]

    def interrupted(ct: Conntrack, **how: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise DumpInterruptedError("listing flows: the table changed meanwhile")
        return read(ct, **how)

    monkeypatch.setattr(Conntrack, "table", interrupted)
    with Conntrack() as ct:
        assert snapshot(ct, 0).flows is not None
        left[0] = 3
        seen = snapshot(ct, 0)
    assert seen.flows is None
    assert seen.unknown == {"flows": "listing flows: the table changed meanwhile"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no json", "nft -j list ruleset: its output is no JSON"),
        ("echo 'Error: odd' >&2; echo more >&2; exit 1", "nft -j list ruleset: Error: odd"),
        ("exit 1", "nft -j list ruleset: it failed"),
        ("exec sleep 9", "nft -j list ruleset: it took more than 0 s"),
    ],
)
def test_rules_that_cannot_be_read_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    (tmp_path / "nft").write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sampling, "_PATIENCE", 0.3)
    with Conntrack() as ct:
        seen = snapshot(ct, 0)
    assert (seen.nat, seen.needed_by) == ((), ())
    assert seen.unknown == {"nat": why, "needed_by": why}


def test_listeners_have_their_process(netns: Namespace) -> None:
    with Conntrack() as ct, ct.events(groups=["new", "exp_new"]):
        (listener,) = snapshot(ct, 0.01).listeners
    comm = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    assert (listener.pid, listener.name) == (os.getpid(), comm)
    assert (listener.groups, listener.drops) == (("new", "exp_new"), (0, 0))


def test_a_look_does_not_load_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any request of ctnetlink would have the kernel load connection tracking."""
    Recording.sent = []
    (tmp_path / "nf_tables").mkdir()
    monkeypatch.setattr(sampling, "_SYS_MODULE", str(tmp_path))
    monkeypatch.setattr(sampling, "_SYSCTLS", str(tmp_path / "absent"))
    with Conntrack(transport=Recording) as ct:
        seen = snapshot(ct, 5)
    assert Recording.sent == []
    assert seen.modules == ("nf_tables",)
    assert set(seen.unknown.values()) == {"nf_conntrack is not loaded"}
    findings = examine(seen)
    assert [finding.code for finding in findings if finding.severity == "warn"] == ["no-module"]
    assert "crit" not in {finding.severity for finding in findings}
