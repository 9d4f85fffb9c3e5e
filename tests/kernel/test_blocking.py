"""The blocking driver against the real kernel, in a namespace of the test's own."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from pyconntrack import (
    Conntrack,
    ConntrackError,
    Expect,
    Filter,
    Flow,
    KernelError,
    RequestError,
    Stats,
    Tuple,
)  # fmt: skip
from pyconntrack.testing import ScriptedKernel
from support.entries import udp
from support.netns import Namespace, new_peer
from support.traffic import Flows, eventually


def many(count: int) -> Iterator[Flow]:
    """Flows that differ in their source, made by changing it in the message of one."""
    base = udp(0)
    slot = base._layout.slots["orig_src"]
    for number in range(count):
        source = (0x0A000000 + number).to_bytes(4)
        message = base.message[: slot.offset] + source + base.message[slot.offset + 4 :]
        yield Flow.from_message(message)


@pytest.mark.parametrize("family", [4, 6])
def test_create_get_update_delete(netns: Namespace, family: int) -> None:
    """What each protocol and field comes back as is in test_round_trips."""
    ends = ("10.0.0.1", "10.0.0.2") if family == 4 else ("2001:db8::1", "2001:db8::2")
    orig = Tuple(*ends, "udp", 1000, 80)
    with Conntrack() as conntrack:
        flow = Flow(orig, timeout=100, mark=7, zone=5, status="ASSURED")
        conntrack.create(flow)
        assert conntrack.count() == 1
        found = conntrack.get(flow)
        assert list(conntrack.dump()) == [found]
        assert conntrack.get(orig, zone=5) == found
        conntrack.update(found, mark=9, timeout=200)
        assert conntrack.get(found).mark == 9
        conntrack.update(found.replace(mark=10))
        assert conntrack.get(found).mark == 10
        conntrack.delete(found)
        with pytest.raises(KernelError) as caught:
            conntrack.delete(found)
        assert caught.value.errno == errno.ENOENT
        assert caught.value.flow is found
        conntrack.create(Flow.from_dict(found.to_dict()))
        conntrack.flush("ipv4" if family == 6 else "ipv6")
        assert conntrack.count() == 1
        conntrack.flush()
        assert conntrack.count() == 0


def test_an_id_of_another_deletes_nothing(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.create(udp(1))
        found = conntrack.get(udp(1))
        assert found.id is not None
        with pytest.raises(KernelError) as caught:
            conntrack.delete(found.replace(id=found.id ^ 1))
        assert caught.value.errno == errno.ENOENT
        assert conntrack.count() == 1


def test_creating_twice(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.create(udp(1))
        with pytest.raises(KernelError) as caught:
            conntrack.create(udp(1))
        assert caught.value.errno == errno.EEXIST
        [error] = conntrack.load([udp(0), udp(1), udp(2)])
        assert (error.index, error.error.errno) == (1, errno.EEXIST)
        assert conntrack.count() == 3


def test_delete_matching(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        assert conntrack.load(udp(n, mark=n % 2, zone=n % 3) for n in range(1000)) == []
        gone = conntrack.delete_matching(Filter(mark=1, zone=[0, 2]))
        assert {flow.mark for flow in gone} == {1}
        assert {flow.zone for flow in gone} == {None, 2}
        assert len(gone) + conntrack.count() == 1000
        assert list(conntrack.dump(Filter(mark=1, zone=2))) == []
        with pytest.raises(RequestError, match="flush"):
            conntrack.delete_matching(None)  # type: ignore[arg-type]


def test_filters_of_the_kernel_give_what_the_predicate_gives(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        six = Tuple("2001:db8::1", "2001:db8::2", "udp", 1, 2)
        conntrack.load([*(udp(n, mark=n & 3, zone=n & 1) for n in range(200)),
                        Flow(six, timeout=60)])  # fmt: skip
        everything = list(conntrack.dump())
        for wanted in (
            Filter(orig_src="10.0.0.7"), Filter(orig_src="10.0.0.0/26", mark=2), Filter(zone=0),
            Filter(orig_src="2001:db8::1"), Filter(status="UNREPLIED"), Filter(mark=0),
            Filter(proto="udp", orig_dport=53), Filter(family=10), ~Filter(mark=1),
        ):  # fmt: skip
            expected = {flow for flow in everything if wanted.matches(flow)}
            assert expected
            assert set(conntrack.dump(wanted)) == expected


def test_table(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.load([udp(n, mark=n % 2) for n in range(300)])
        assert len(conntrack.table()) == 300
        assert len(conntrack.table(Filter(mark=1))) == 150


def test_an_expression(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.load([udp(n, mark=n) for n in range(10)])
        assert len(list(conntrack.dump(Filter.where("mark == 3 or mark == 4")))) == 2


def test_verbs_while_a_dump_runs(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.load([udp(n) for n in range(500)])
        for flow in conntrack.dump(on_interrupt="accept"):
            conntrack.delete(flow)
        assert conntrack.count() == 0


def test_real_traffic(flows: Flows) -> None:
    with Conntrack() as conntrack:
        connection = flows.tcp()
        connection.exchange()
        [flow] = conntrack.dump(Filter(proto="tcp", orig_sport=connection.sport))
        assert flow.state == "ESTABLISHED"
        assert flow.assured
        stats = conntrack.stats()
        assert isinstance(stats, Stats)
        assert stats.entries == conntrack.count() > 0
        assert len(stats.cpus) > 0
        assert stats.total("found") >= 0
        assert list(conntrack.dump(table="unconfirmed")) == []
        assert isinstance(list(conntrack.dump(table="dying")), list)


def test_expectations(flows: Flows) -> None:
    flows.helper("ftp", "tcp", 21)
    with Conntrack() as conntrack:
        session = flows.ftp()
        session.active()
        [expect] = eventually(lambda: list(conntrack.expectations()), "an expectation")
        assert expect.helper == "ftp"
        assert expect.master is not None
        assert conntrack.get_expectation(expect) == expect
        conntrack.delete_expectation(expect)
        with pytest.raises(KernelError) as caught:
            conntrack.get_expectation(expect)
        assert caught.value.errno == errno.ENOENT
        made = Expect(
            Tuple(expect.tuple_src, expect.tuple_dst, "tcp", 0, 4000),
            Tuple("255.255.255.255", "255.255.255.255", "tcp", 0, 65535),
            expect.master, timeout=30, helper="ftp", class_=0, flags=0,
        )  # fmt: skip
        conntrack.create_expectation(made)
        assert [one.tuple_dport for one in conntrack.expectations()] == [4000]
        conntrack.flush_expectations()
        assert list(conntrack.expectations()) == []


def test_another_namespace_and_back(netns: Namespace) -> None:
    here = os.stat("/proc/thread-self/ns/net").st_ino
    peer = new_peer()
    with Conntrack(f"/proc/self/fd/{peer.fd}") as there, Conntrack() as ours:
        peer.close()  # held by the Conntrack
        there.create(udp(1))
        assert (there.count(), ours.count()) == (1, 0)
        assert len(list(there.dump())) == 1
        assert os.stat("/proc/thread-self/ns/net").st_ino == here
    with Conntrack(os.getpid()):
        pass
    for bad in ("no-such-namespace", "/nowhere", 2**22 + 1):
        with pytest.raises(KernelError):
            Conntrack(bad)
    for wrong in (1.5, True, "a\0b"):
        with pytest.raises(RequestError, match="netns"):
            Conntrack(wrong)  # type: ignore[arg-type]


def test_no_descriptor_is_left(netns: Namespace) -> None:
    before = len(os.listdir("/proc/self/fd"))
    conntrack = Conntrack("/proc/self/ns/net")
    conntrack.load([udp(n) for n in range(300)])
    rows = conntrack.dump()
    next(rows)
    stream = conntrack.events()
    stream.close()
    conntrack.close()
    rows.close()
    conntrack.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ConntrackError, match="closed"):
        conntrack.count()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.create(Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 2))), "timeout: seconds"),
        (lambda c: c.create(Flow(Tuple("10.0.0.1", "10.0.0.2", "udp"), timeout=1)), "both ports"),
        (lambda c: c.create(Flow(Tuple("::1", "::2", "icmp"), timeout=1)), "does not go with"),
        (lambda c: c.create(Flow(timeout=1)), "orig: a Tuple with src, dst and proto"),
        (lambda c: c.create("flow"), "flow: a Flow is wanted"),
        (lambda c: c.get("flow"), "flow: a Flow or a Tuple"),
        (lambda c: c.get(Tuple("10.0.0.1")), "dst, proto is missing"),
        (lambda c: c.delete(Flow(mark=1)), "src, dst, proto is missing"),
        (lambda c: c.update(udp(1), zone=5, id=5), "id: the kernel changes only"),
        (lambda c: c.update(udp(1), mark="x"), "mark: a whole number"),
        (lambda c: c.update(udp(1).replace(timeout=None)), "at least one field"),
        (lambda c: c.dump(5), "filter: a Filter"),
        (lambda c: c.dump(table="x"), "table: 'x' is none of"),
        (lambda c: c.dump(on_interrupt="x"), "on_interrupt: 'x' is none of"),
        (lambda c: c.flush("ipx"), "family: 'ipx' is none of"),
        (lambda c: c.flush(Flow(mark=1).family), r"not None; flush\(\) without it"),
        (lambda c: c.flush(family=Flow(mark=1).family_number), r"not 0; flush\(\) without it"),
        (lambda c: c.delete_matching(Filter(orig_src=Flow(mark=1).orig_src)), "with a condition"),
        (lambda c: c.events("news"), "groups: 'news' is none of"),
        (lambda c: c.events([]), "groups: at least one"),
        (lambda c: c.events("new", resync=True), "groups: resync needs"),
        (lambda c: c.events(rcvbuf=0), "rcvbuf: a number of bytes"),
        (lambda c: c.create_expectation(5), "expect: an Expect"),
        (lambda c: c.get_expectation(5), "expect: an Expect or a Tuple"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_is_sent(call: Any, words: str) -> None:
    kernel = ScriptedKernel()
    with pytest.raises(RequestError, match=words):
        call(Conntrack(transport=kernel))
    assert kernel.requests == []


def test_without_permission(netns: Namespace) -> None:
    code = (
        f"import os, sys; sys.path = {sys.path!r}\n"
        "import pyconntrack\n"
        "pyconntrack.Conntrack, pyconntrack.PermissionDeniedError\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    pyconntrack.Conntrack().count()\n"
        "except pyconntrack.PermissionDeniedError as error:\n"
        "    print('CAP_NET_ADMIN' in str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr


def test_a_dump_takes_constant_memory(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        assert conntrack.load(many(100_000)) == []
        sum(1 for _ in conntrack.dump(Filter(mark=1)))  # imports, layouts
        tracemalloc.start()
        try:
            assert sum(1 for _ in conntrack.dump()) == 100_000
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        conntrack.flush()
    assert peak < 1 << 20
