"""What is said when the kernel's tables are full: which limit it was, and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pyconntrack import Conntrack, Expect, Flow, KernelError, TableFullError, Tuple
from pyconntrack.cli import main
from pyconntrack.cli.commands import restore
from pyconntrack.netlink import socket
from pyconntrack.testing import ScriptedKernel, Step, ack
from support.ctool import ours
from support.netns import Namespace

FLOW = Flow(orig=Tuple(src="10.0.0.1", dst="10.0.0.2", proto="udp", sport=1, dport=2), timeout=60)
LINE = "-s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1 --dport 2 -t 60"
#: errno -> the limit that is named
LIMITS = {errno.ENOMEM: "nf_conntrack_max", errno.ENOSPC: "nf_conntrack_buckets"}


@pytest.mark.parametrize("number", LIMITS)
@pytest.mark.parametrize("verb", ["-I", "-A", "-R"])
def test_the_command_names_the_limit_that_a_creation_met(
    verb: str, number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    kernel = ScriptedKernel([Step(ack(number))])
    for module in (socket, restore):
        monkeypatch.setattr(module, "Transport", kernel)
    words = [verb, *LINE.split()]
    if verb == "-R":
        (tmp_path / "lines").write_text(f"-A {LINE}\n", encoding="ascii")
        words = ["-R", str(tmp_path / "lines")]
    assert main.run(words, None) == 1
    assert kernel.finished
    said = capfd.readouterr().err.splitlines()
    assert f"raise net.netfilter.{LIMITS[number]}" in said[0]
    assert ("line 1: Operation failed" if verb == "-R" else ": Operation failed") in said[0]
    assert not any("raise" in line for line in said[1:])


@pytest.mark.parametrize("number", LIMITS)
def test_the_library_names_the_limit_that_a_creation_met(number: int) -> None:
    with Conntrack(transport=ScriptedKernel([Step(ack(number)), Step(ack(number))])) as tracker:
        with pytest.raises(KernelError) as caught:
            tracker.create(FLOW)
        (failure,) = tracker.load([FLOW])
    for error in (caught.value, failure):
        assert f"raise net.netfilter.{LIMITS[number]}" in str(error)


def test_a_full_table_is_a_table_full_error(netns: Namespace) -> None:
    """Of the real kernel, whose limit counts per namespace; no assured entry gives way."""
    with Conntrack() as tracker:
        most = tracker.stats().max_entries
        if most is None or most > 300_000:
            pytest.skip("the limit is unknown, or too many entries to make")
        lines = "".join(
            f"-A -s 10.{n >> 16}.{n >> 8 & 255}.{n & 255} -d 192.0.2.1 -p tcp --sport 1000"
            " --dport 443 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 3600\n"
            for n in range(most)
        )
        assert ours("-R", "-", stdin=lines).rc == 0
        assert tracker.count() == most
        with pytest.raises(TableFullError, match="nf_conntrack_max") as caught:
            tracker.create(FLOW)
        assert (caught.value.errno, caught.value.flow) == (errno.ENOMEM, FLOW)
        [refused] = tracker.load([FLOW])
        assert isinstance(refused.error, TableFullError)
        assert tracker.count() == most
        done = ours("-I", *LINE.split())
        assert (done.rc, "raise net.netfilter.nf_conntrack_max" in done.err) == (1, True)


@pytest.mark.parametrize("operation", ["listing", "creating an expectation"])
def test_memory_is_no_limit_of_the_table_where_no_flow_is_created(operation: str) -> None:
    assert "nf_conntrack" not in str(KernelError(errno.ENOMEM, operation))


def test_a_full_table_of_expectations_names_its_own_limit(netns: Namespace) -> None:
    limit = int(Path("/proc/sys/net/netfilter/nf_conntrack_expect_max").read_text("ascii"))
    mask = Tuple(src="255.255.255.255", dst="255.255.255.255", proto="tcp", sport=0, dport=65535)
    with Conntrack() as tracker:
        masters = [
            Flow(
                orig=Tuple(src="10.0.0.1", dst="10.0.1.1", proto="tcp", sport=port, dport=21),
                timeout=600, tcp_state="ESTABLISHED", helper="ftp",
            )
            for port in range(1000, 1001 + limit)
        ]  # fmt: skip
        assert tracker.load(masters) == []
        expectations = [
            Expect(tuple=Tuple(src="10.0.1.1", dst="10.0.0.1", proto="tcp", sport=0, dport=port),
                   mask=mask, master=master.orig, timeout=60)
            for port, master in enumerate(masters, 1000)
        ]  # fmt: skip
        for expectation in expectations[:-1]:
            tracker.create_expectation(expectation)
        with pytest.raises(KernelError, match="nf_conntrack_expect_max"):
            tracker.create_expectation(expectations[-1])
    words = (
        f"expect -s 10.0.0.1 -d 10.0.1.1 -p tcp --sport {1000 + limit} --dport 21 -t 60"
        " --tuple-src 10.0.1.1 --tuple-dst 10.0.0.1 --tuple-port-src 0 --tuple-port-dst 999"
        " --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0"
        " --mask-port-dst 65535"
    )
    done = ours("-I", *words.split())
    assert done.rc == 1
    assert "raise net.netfilter.nf_conntrack_expect_max" in done.err
