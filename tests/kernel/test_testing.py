"""What users are given for their own tests."""

from __future__ import annotations

import os

import pytest

from pyconntrack import Conntrack, Flow, Tuple
from pyconntrack.testing import (
    NetnsUnavailable,
    ScriptedKernel,
    Step,
    done,
    dump_of,
    fresh_netns,
    netns_fixture,
    without_seq,
)  # fmt: skip
from support.netns import Namespace

theirs = netns_fixture()


def inode() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_the_documented_example() -> None:
    flow = Flow(Tuple("10.0.0.1", "10.0.0.2", "tcp", 1000, 80), timeout=60)
    kernel = ScriptedKernel([Step(dump_of(flow), done())])
    with Conntrack(transport=kernel) as conntrack:
        assert list(conntrack.dump()) == [flow]
    assert kernel.finished
    assert kernel.closed == 1
    assert without_seq(kernel.requests[0])[8:12] == b"\0\0\0\0"


def test_fresh_netns(netns: Namespace) -> None:
    before = inode()
    with fresh_netns() as path:
        assert inode() != before
        assert os.stat(path).st_ino == inode()
        with Conntrack() as ours, Conntrack(path) as again:
            assert ours.count() == again.count() == 0
    assert inode() == before
    with pytest.raises(ZeroDivisionError), fresh_netns():
        raise ZeroDivisionError
    assert inode() == before


def test_the_fixture(netns: Namespace, theirs: str) -> None:
    assert os.stat(theirs).st_ino == inode()


def test_the_error_is_an_oserror() -> None:
    assert issubclass(NetnsUnavailable, OSError)
