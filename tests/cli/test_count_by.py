"""``-L --count-by`` and ``--sum``: groups, in text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import Any

import pytest

from support.ctool import Result, ours, ours_argv
from support.entries import NAT, fill, last_words
from support.netns import Namespace, sysctl
from support.terminal import run
from support.traffic import Flows

pytestmark = pytest.mark.usefixtures("netns")

#: an option of --count-by -> the members of an entry's JSON that it counts
FIELDS = {
    "proto": ("orig", "proto"),
    "state": None,
    "dst": ("orig", "dst"),
    "reply.dport": ("reply", "dport"),
    "status": ("status",),
    "mark": ("mark",),
    "zone": ("zone",),
    "icmp_type": ("orig", "icmp_type"),
    "family": ("family",),
}


def member(flow: dict[str, Any], name: str) -> Any:
    path = FIELDS[name]
    if path is None:
        states = [value for key, value in flow.items() if key.endswith("_state")]
        return states[0] if states else None
    value: Any = flow
    for step in path:
        value = value.get(step, {}) if step != path[-1] else value.get(step)
    return value


def objects(done: Result) -> list[dict[str, Any]]:
    assert done.rc == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def counted(*words: str) -> list[dict[str, Any]]:
    return objects(ours("-L", "-o", "ndjson", *words))


def test_groups_are_those_of_the_entries() -> None:
    fill(400, *NAT)
    entries = counted()
    for names in (["proto"], ["proto", "state"], ["dst", "reply.dport"], ["status", "zone"],
                  ["icmp_type", "family", "mark"], list(FIELDS)):  # fmt: skip
        want = Counter(repr([member(entry, name) for name in names]) for entry in entries)
        groups = counted("--count-by", ",".join(names))
        got = {repr([group[name] for name in names]): group["count"] for group in groups}
        assert got == want
        assert len(got) == len(groups)
        assert [list(group) for group in groups] == [["count", *names]] * len(groups)
        sizes = [group["count"] for group in groups]
        assert sizes == sorted(sizes, reverse=True)


def test_lines_begin_with_the_count_and_are_aligned() -> None:
    fill(300, *NAT)
    done = ours("-L", "--count-by", "proto,state")
    assert done.out == (
        "121  tcp   ESTABLISHED\n"
        "121  udp   -\n"
        " 30  icmp  -\n"
        " 30  tcp   SYN_SENT\n"
        "  1  gre   -\n"
        "  1  99    -\n"
        "  1  sctp  ESTABLISHED\n"
    )
    assert last_words(done) == "305 flow entries have been counted in 7 groups."


def test_the_document_of_json_and_the_cells_of_csv() -> None:
    fill(10)
    words = ("-L", "--count-by", "status,zone", "-o")
    document = json.loads(ours(*words, "json").out)
    assert document == {
        "schema": "pyconntrack/1",
        "groups": [
            {"count": 8, "status": ["SEEN_REPLY", "ASSURED", "CONFIRMED"], "zone": None},
            {"count": 2, "status": ["CONFIRMED"], "zone": None},
        ],
    }
    assert ours(*words, "csv").out == (
        "count,status,zone\n8,SEEN_REPLY|ASSURED|CONFIRMED,\n2,CONFIRMED,\n"
    )
    nothing = ("-m", "77", "--count-by", "zone")
    assert json.loads(ours("-L", "-o", "json", *nothing).out)["groups"] == []
    assert ours("-L", "-o", "csv", *nothing).out == "count,zone\n"
    assert ours("-L", *nothing).out == ""


def test_addresses_are_counted_by_their_networks() -> None:
    fill(300)

    def networks(*words: str) -> set[str]:
        return {group["src"] for group in counted("--count-by", *words)}

    assert networks("src/24") == {"10.0.0.0/24", "10.0.1.0/24", "2001:db8::/64"}
    assert networks("src/8/32") == {"10.0.0.0/8", "2001:db8::/32"}
    assert networks("src/0/0") == {"0.0.0.0/0", "::/0"}
    assert networks("src/32", "-f", "ipv6") == {"2001:db8::/32"}
    assert networks("src/112", "-f", "ipv4") <= {f"10.0.{n >> 8}.{n & 255}/32" for n in range(300)}
    assert "2001:db8::/112" in networks("src/112")
    assert "10.0.0.1" in networks("src")


def test_filters_apply_and_a_limit_is_of_groups() -> None:
    fill(300)
    done = ours("-L", "-p", "udp", "--where", "dport == 53", "--count-by", "dst", "--limit", "2")
    udp = [n for n in range(300) if n % 5 < 2 and n % 3]
    sizes = Counter(f"192.168.{n % 7}.1" for n in udp)
    best = sorted(sizes, key=lambda dst: (-sizes[dst], dst))
    assert done.out.split() == [word for dst in best[:2] for word in (str(sizes[dst]), dst)]
    assert last_words(done) == (f"{len(udp)} flow entries have been counted in 7 groups, 2 of them "
                                "shown.")  # fmt: skip
    none = ours("-L", "--count-by", "dst", "--limit", "0")
    assert (none.rc, none.out) == (0, "")


def test_groups_are_sorted_by_what_they_have() -> None:
    fill(300)
    ports = [group["dport"] for group in counted("--count-by", "dport", "--sort", "-dport")]
    known = [port for port in ports if port is not None]
    assert known == sorted(known, reverse=True)
    assert ports[len(known) :] == [None]  # what is absent comes last in both directions
    ports = [group["dport"] for group in counted("--count-by", "dport", "--sort", "orig.dport")]
    assert ports == [*sorted(known), None]
    both = counted("--count-by", "proto,mark", "--sort", "count,-mark")
    keys = [(group["count"], -group["mark"]) for group in both]
    assert keys == sorted(keys)


def test_sums_are_those_of_the_entries(flows: Flows) -> None:
    sysctl("nf_conntrack_acct", 1)
    for port in (5001, 5001, 5002):
        flows.udp(4, port=port, rounds=3)
    flows.tcp(4)
    entries = counted()
    groups = counted("--count-by", "dport", "--sum", "bytes,orig.packets", "--sort", "-bytes")
    assert len(groups) == len({entry["orig"]["dport"] for entry in entries}) == 3
    for group in groups:
        mine = [entry for entry in entries if entry["orig"]["dport"] == group["dport"]]
        assert group["count"] == len(mine)
        assert group["bytes"] == sum(e["orig"]["bytes"] + e["reply"]["bytes"] for e in mine) > 0
        assert group["orig.packets"] == sum(entry["orig"]["packets"] for entry in mine)
    totals = [group["bytes"] for group in groups]
    assert totals == sorted(totals, reverse=True)


def test_a_sum_without_accounting_is_unknown(flows: Flows) -> None:
    sysctl("nf_conntrack_acct", 0)
    flows.udp(4, port=5001)
    flows.udp(4, port=5002)
    sysctl("nf_conntrack_acct", 1)
    flows.udp(4, port=5002)
    groups = {group["dport"]: group for group in counted("--count-by", "dport", "--sum", "bytes")}
    assert groups[5001]["bytes"] is None
    assert groups[5002]["count"] == 2
    assert groups[5002]["bytes"] > 0
    done = ours("-L", "--count-by", "dport", "--sum", "bytes")
    assert [line.split() for line in done.out.splitlines()] == [
        ["2", str(groups[5002]["bytes"]), "5002"], ["1", "-", "5001"],
    ]  # fmt: skip
    assert ("2 of 3 entries have no bytes and add nothing: they began while "
            "net.netfilter.nf_conntrack_acct was 0\n") in done.err  # fmt: skip
    cells = list(csv.DictReader(io.StringIO(
        ours("-L", "--count-by", "dport", "--sum", "bytes", "-o", "csv").out)))  # fmt: skip
    assert {row["dport"]: row["bytes"] for row in cells}["5001"] == ""


def test_expectations_and_other_tables(flows: Flows) -> None:
    flows.ftp().passive(40002)
    done = ours("-L", "expect", "--count-by", "helper,dport,master.dport", "-o", "ndjson")
    assert objects(done) == [{"count": 1, "helper": "ftp", "dport": 40002, "master.dport": 21}]
    done = ours("-L", "expect", "--count-by", "flags", "--limit", "5", "--sort", "flags")
    assert done.rc == 0
    assert last_words(done) == "1 expectations have been counted in 1 group."
    for table in ("dying", "unconfirmed"):
        done = ours("-L", table, "--count-by", "src")
        assert (done.rc, done.out) == (0, "")


def test_a_terminal_has_a_heading_in_bold_and_a_pipe_none(netns: Namespace) -> None:
    fill(10)
    words = [*ours_argv(), "-L", "--count-by", "proto,src/8"]
    for columns in (80, 200):
        code, shown = run(words, columns=columns, env={"NO_COLOR": "1"})
        assert code == 0
        assert shown.startswith("count  proto  src\n    4  tcp    10.0.0.0/8\n")
        assert "\x1b" not in shown
    _, shown = run(words)
    assert shown.startswith("\x1b[1mcount  proto  src\x1b[0m\n")
    assert not ours(*words[len(ours_argv()) :]).out.startswith("count")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--count-by prot", "--count-by: there is no field `prot': do you mean `proto'?"),
        ("--count-by src,orig.src", "--count-by: orig.src is given twice"),
        ("--count-by src,src/8", "--count-by: src is given twice"),
        ("--count-by age", "--count-by: an age is not kept, take `start'"),
        ("--count-by dport/8", "--count-by: `dport/8' has a prefix length, but dport is no"),
        ("--count-by src/x", "--count-by: `src/x': prefix lengths are FIELD/24 (of IPv4), "),
        ("--count-by src/", "--count-by: `src/': prefix lengths are FIELD/24 (of IPv4), "),
        ("--count-by src/129", "--count-by: `src/129': prefix lengths are"),
        ("--count-by src/33/64", "--count-by: `src/33/64': prefix lengths are"),
        ("--count-by src/1/2/3", "--count-by: `src/1/2/3': prefix lengths are"),
        ("--count-by src -o xml", "cannot combine --count-by with -o xml: take json, ndjson or"),
        ("--count-by src -o id", "cannot combine --count-by with -o id: take json, ndjson or csv"),
        ("--count-by src --sum mark", "--sum: mark is no counter: take bytes, packets, "),
        ("--count-by src --sum byte", "--sum: there is no field `byte': do you mean `bytes'?"),
        ("--count-by src --sum bytes,bytes", "--sum: bytes is given twice"),
        ("--count-by bytes --sum bytes", "--sum: bytes is a field of --count-by"),
        ("--count-by src --sort dport", "--sort: a group has no `dport': it has count, orig.src"),
        ("expect --count-by helper --sum bytes", "--sum: there is no field `bytes'"),
        ("expect --count-by helper --sum id", "--sum: id is no counter: expectations have none"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused_in_one_line(words: str, error: str) -> None:
    done = ours("-L", *words.split())
    assert (done.rc, done.out) == (2, "")
    first, *hint = done.err.splitlines()
    assert first.partition("): ")[2].startswith(error)
    assert len(hint) <= 1
