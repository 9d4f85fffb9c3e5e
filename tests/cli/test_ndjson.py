"""Entries as NDJSON: what ``-L`` and the library write, ``-R`` loads, also with changes."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from pyconntrack import Conntrack, Event
from support.ctool import ours, ours_argv
from support.entries import NAT, count, fill, line_of, shown
from support.netns import Namespace

pytestmark = pytest.mark.usefixtures("netns")


def test_ndjson_goes_round() -> None:
    fill(200, *NAT)
    before = shown()
    text = ours("-L", "-o", "ndjson").out
    ours("-F")
    done = ours("-R", "-", stdin=text)
    assert (done.rc, done.err) == (0, "")
    assert shown() == before


def test_events_of_the_library_go_round() -> None:
    fill(1)
    with Conntrack() as ct:
        (flow,) = ct.dump()
    line = json.dumps(Event("new", flow, synthetic=True).to_dict())
    before = shown()
    ours("-F")
    done = ours("-R", "-", stdin=line)
    assert (done.rc, done.err) == (0, "")
    assert shown() == before


def test_a_pipeline_changes_marks() -> None:
    fill(100)
    lines = []
    for line in ours("-L", "-p", "udp", "-o", "ndjson").out.splitlines():
        flow = json.loads(line)
        lines.append(json.dumps({"orig": flow["orig"], "mark": 4711}))
    done = ours("-R", "-", stdin="\n".join(lines) + "\n")
    assert (done.rc, done.err) == (0, "")
    assert len(shown("-m", "4711")) == len(lines) == 40


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ('{"stauts":1}', "no member `stauts': do you mean `status'?"),
        ('{"orig":{"src":"1.1.1.1","dprt":3}}', "`orig.dprt': do you mean `orig.dport'?"),
        ('{"orig":{"src":"1.1.1.1","dport":"x"}}', "orig.dport: a whole number is wanted"),
        ('{"orig":{"src":"1.1.1"}}', "orig.src: an IPv4 or IPv6 address is wanted"),
        ('{"orig":{"src":"1.1.1.1","proto":"tpc"}}', "'tpc' is none of icmp, tcp"),
        ('{"orig":[]}', "orig: an object is wanted"),
        ('{"status":["X"]}', "'X' is none of EXPECTED"),
        ('{"mark":true}', "mark: a whole number is wanted"),
        ('{"mark":4294967296}', "mark: 4294967296 is not in"),
        ('{"timeout":1}', "neither orig.src nor reply.src"),
        ('{"timeout":1,"orig":{"src":"1.1.1.1"}}', "lacks orig.proto"),
        ('{"event":"destroy","orig":{"src":"1.1.1.1"}}', "destroyed"),
        ('{"schema":"pyconntrack/1","flows":[]}', "whole document"),
        ('{"schema":"pyconntrack/1","flows":[', "whole document: -o ndjson"),
    ],
)
def test_a_line_that_is_no_flow(line: str, said: str) -> None:
    done = ours("-R", "-", stdin=line_of(0) + "\n" + line + "\n")
    assert done.rc == 2
    assert "line 2: " in done.err
    assert said in done.err
    assert count() == 0


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_between(netns: Namespace) -> None:
    fill(100)
    tool = " ".join(ours_argv())
    change = "jq -c 'select(.orig.dport==53)|.mark=9'"
    script = f"{tool} -L -o ndjson 2>/dev/null | {change} | {tool} -R -"
    subprocess.run(["sh", "-c", script], check=True, timeout=60)
    assert len(shown("-m", "9", "-p", "udp")) == 26
