"""``--where`` and ``--explain`` on the command line."""

from __future__ import annotations

import pytest

from support.ctool import ours
from support.entries import count, fill, shown

pytestmark = pytest.mark.usefixtures("netns")


def test_where_selects_and_a_wrong_one_changes_nothing() -> None:
    fill(100)
    shown = ours("-L", "--where", "proto == udp and dport == 53 and assured")
    assert shown.out.count("\n") == ours("-L", "-p", "udp", "--dport", "53").out.count("\n") > 0
    wrong = ours("-D", "--where", "proto == udp and dprot == 53")
    assert wrong.rc == 2
    assert wrong.err.count("\n") == 1
    assert "column 18" in wrong.err
    assert "`dport'" in wrong.err
    assert count() == 100


@pytest.mark.parametrize("verb", ["-L", "-D", "-U", "-E", "-F"])
def test_explain_does_nothing(verb: str) -> None:
    fill(10)
    more = ("-m", "7") if verb == "-U" else ()
    where = () if verb == "-F" else ("--where", "proto == tcp and packets > 5 or mark == 1")
    done = ours(verb, "--explain", *more, *where)
    assert (done.rc, done.err) == (0, "")
    assert "kernel" in done.out
    assert count() == 10
    assert not any(flow["mark"] == 7 for flow in shown())
