"""``--where`` and ``--explain`` on the command line."""

from __future__ import annotations

import time

import pytest

from pyconntrack.where import times
from support.ctool import ours
from support.entries import count, fill, shown
from support.netns import sysctl

pytestmark = pytest.mark.usefixtures("netns")


def test_where_selects_and_a_wrong_one_changes_nothing() -> None:
    fill(100)
    shown = ours("-L", "--where", "proto == udp and dport == 53 and assured")
    assert shown.out.count("\n") == ours("-L", "-p", "udp", "--dport", "53").out.count("\n") > 0
    wrong = ours("-D", "--where", "proto == udp and dprot == 53")
    assert wrong.rc == 2
    first, text, caret = wrong.err.splitlines()
    assert "--where: column 18: " in first
    assert text == "proto == udp and dprot == 53"
    assert text[caret.index("^") :].startswith("dprot")
    assert "`dport'" in wrong.err
    assert count() == 100


def test_of_a_long_expression_the_part_about_the_error_is_shown() -> None:
    text = " or ".join(["dport == 80"] * 40 + ["dport == 70000"] + ["dport == 81"] * 40)
    _, shown, caret = ours("-L", "--where", text).err.splitlines()
    assert len(shown) == 100
    assert shown[caret.index("^") :].startswith("70000 or")


def test_ages_and_starts_select_on_the_kernel() -> None:
    fill(3)
    unknown = ours("-L", "--where", "age >= 0")
    assert unknown.out == ""
    assert unknown.err.splitlines()[0] == (
        "NOTICE: age, start and stop need net.netfilter.nf_conntrack_timestamp=1: "
        "entries that begin while it is 0 have none."
    )
    assert ours("-L", "--where", "proto == udp").err.count("NOTICE") == 0
    sysctl("nf_conntrack_timestamp", 1)
    before = time.time_ns()
    assert (
        ours("-R", "-", stdin="-A -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -t 99\n").rc == 0
    )
    known = ours("-L", "--where", "age >= 0")
    assert (known.out.count("\n"), known.err.count("NOTICE")) == (1, 0)
    assert len(shown("--where", f"start >= {before}")) == 1
    assert len(shown("--where", f"start < {times.iso(before)}")) == 0
    assert len(shown("--where", "not age < 1h")) == 3
    assert len(shown("--where", "age < 1h and start > 2026-01-01 and dport < http")) == 1
    assert ours("-D", "--where", "age > 1w").rc == 1
    assert count() == 4


ZONES = ("-w 5", "--orig-zone 6", "--reply-zone 7", "-w 8 -m 3")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("zone == 0", "-w 0"), ("orig_zone == 0", "--orig-zone 0"), ("zone == 5", "-w 5"),
        ("reply.zone == 0", "--reply-zone 0"), ("mark == 0", "-m 0"),
    ],
)  # fmt: skip
def test_zone_0_is_what_the_options_call_it(text: str, options: str) -> None:
    lines = [f"-A -s 1.1.1.{n} -d 2.2.2.2 -p udp --sport 1 --dport 2 -t 99 {zone}"
             for n, zone in enumerate(("", *ZONES))]  # fmt: skip
    assert ours("-R", "-", stdin="".join(f"{line}\n" for line in lines)).rc == 0
    wanted = shown(*options.split())
    assert 0 < len(wanted) < len(lines)
    assert shown("--where", text) == wanted
    assert len(shown("--where", f"not {text}")) == len(lines) - len(wanted)


def test_another_zone_than_5_is_also_zone_0() -> None:
    fill(10, "-A -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -t 99 -w 5")
    assert len(shown("--where", "zone != 5")) == 10
    assert ours("-D", "--where", "zone == 0 and proto == udp").rc == 0
    assert [flow["zone"] for flow in shown("-p", "udp")] == [5]


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
