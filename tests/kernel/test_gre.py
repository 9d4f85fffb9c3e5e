"""Keys of GRE have names of their own: nothing that is asked of a port finds a key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyconntrack import Conntrack, Expect, Filter, Flow, RequestError, Tuple
from pyconntrack.filters import node_of
from pyconntrack.model import meets
from support.ctool import normalise, ours, theirs
from support.netns import Namespace

TUNNEL = Tuple("192.0.2.1", "198.51.100.1", "gre", srckey=17, dstkey=443)
GRE = Flow(TUNNEL, TUNNEL.inverted(), timeout=600)
WEB = Flow(Tuple("192.0.2.1", "198.51.100.1", "tcp", 17, 443), timeout=600)
GENERIC = "-I -s 192.0.2.1 -d 198.51.100.1 -p 99 -t 600"
LINES = (
    "-I -s 192.0.2.1 -d 198.51.100.1 -p gre --srckey 17 --dstkey 443 -t 600",
    "-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 17 --dport 443 -t 600",
    GENERIC,
)
LooseTuple: Any = Tuple


@pytest.fixture
def table(netns: Namespace) -> None:
    for line in LINES:
        assert ours(*line.split()).rc == 0


def left() -> set[str]:
    """The protocols in the table."""
    return {line.split()[0] for line in ours("-L").out.splitlines()}


def test_a_tuple_of_gre_has_keys_and_no_ports() -> None:
    assert (TUNNEL.srckey, TUNNEL.dstkey, TUNNEL.sport, TUNNEL.dport) == (17, 443, None, None)
    assert (GRE.reply_srckey, GRE.reply_dstkey, GRE.orig_dport) == (443, 17, None)
    assert (WEB.orig_sport, WEB.orig_srckey) == (17, None)
    assert "srckey=17 dstkey=443" in str(GRE)
    assert "port" not in str(GRE)
    assert GRE.to_dict()["orig"] == {
        "src": "192.0.2.1", "dst": "198.51.100.1", "proto": "gre", "srckey": 17, "dstkey": 443,
    }  # fmt: skip
    assert Flow.from_dict(GRE.to_dict()).same_as(GRE)
    assert Tuple.from_dict(TUNNEL.to_dict()) == TUNNEL


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"proto": "gre", "sport": 1, "dport": 2}, "sport: gre has .*srckey instead"),
        ({"proto": 99, "sport": 1, "dport": 2}, "sport: protocol 99 has no such field"),
        ({"proto": "icmp", "dport": 2}, "dport: icmp has no such field"),
        ({"proto": "tcp", "srckey": 1, "dstkey": 2}, "srckey: tcp has .*sport instead"),
        ({"srckey": 1}, "srckey: only together with .*proto"),
    ],
)
def test_a_field_of_another_protocol_is_refused(fields: dict[str, Any], words: str) -> None:
    for _ in range(2):
        with pytest.raises(RequestError, match=words):
            LooseTuple("192.0.2.1", "198.51.100.1", **fields)
    # also in the mould that a protocol with that field has left
    other = {"proto": "gre" if "srckey" in fields else "udp"}
    LooseTuple("192.0.2.1", "198.51.100.1", **{**fields, **other})
    with pytest.raises(RequestError, match=words):
        LooseTuple("192.0.2.1", "198.51.100.1", **fields)


def test_a_filter_for_ports_passes_keys_over() -> None:
    def match(flow: Flow, **keywords: Any) -> bool:
        node = node_of(Filter(**keywords))
        assert node is not None
        return meets(node, flow._layout, flow.message)

    for name in ("orig_dport", "reply_sport"):
        assert not match(GRE, **{name: range(65536)})
    assert match(WEB, orig_dport=443)
    assert match(GRE, orig_dstkey=443, reply_srckey=443)
    assert not match(WEB, orig_dstkey=range(65536))


@pytest.mark.usefixtures("table")
def test_a_change_by_port_spares_keys() -> None:
    for words in (
        ["-D", "--where", "dport == 443"], ["-D", "--dport", "443"],
        ["-D", "--where", "reply.sport == 443 and dport != 1"],
    ):  # fmt: skip
        ours(*words)
        assert left() == {"gre", "unknown"}, words
        assert ours(*LINES[1].split()).rc == 0
    with Conntrack() as conntrack:
        assert len(conntrack.delete_matching(Filter(orig_dport=443))) == 1
    assert left() == {"gre", "unknown"}
    assert ours("-D", "--where", "dstkey == 443").rc == 0
    assert left() == {"unknown"}


@pytest.mark.usefixtures("table")
def test_keys_and_ports_have_names_of_their_own_in_every_format() -> None:
    document = json.loads(ours("-L", "-o", "json").out)
    flows = {flow["orig"]["proto"]: flow for flow in document["flows"]}
    assert (flows["gre"]["orig"]["srckey"], flows["gre"]["reply"]["srckey"]) == (17, 443)
    assert "sport" not in flows["gre"]["orig"]
    assert not {"sport", "srckey"} & set(flows[99]["orig"])
    rows = [line.split(",") for line in ours("-L", "-o", "csv").out.splitlines()]
    cells = {row[rows[0].index("orig_proto")]: dict(zip(rows[0], row, strict=True)) for row in rows}
    assert (cells["gre"]["orig_dstkey"], cells["gre"]["orig_dport"]) == ("443", "")
    assert (cells["udp"]["orig_dstkey"], cells["udp"]["orig_dport"]) == ("", "443")
    with Conntrack() as conntrack:
        columns = conntrack.table()
    assert sorted(columns["orig_dstkey"].tolist()) == [0, 0, 443]
    assert sorted(columns["orig_dport"].tolist()) == [0, 0, 443]


@pytest.mark.parametrize("form", ["save", "ndjson"])
@pytest.mark.usefixtures("table")
def test_keys_come_back(form: str) -> None:
    before = ours("-L", "-p", "gre", "-o", "ndjson").out
    lines = ours("-L", "-o", form).out
    assert ours("-F").rc == 0
    assert ours("-R", "-", stdin=lines).rc == 0
    again = json.loads(ours("-L", "-p", "gre", "-o", "ndjson").out)
    assert again["orig"] == json.loads(before)["orig"]
    assert again["reply"] == json.loads(before)["reply"]


def test_a_port_of_gre_in_a_file_is_refused_with_the_right_name(netns: Namespace) -> None:
    line = ('{"orig":{"src":"192.0.2.1","dst":"198.51.100.1","proto":"gre","sport":1,"dport":2},'
            '"timeout":9}\n')  # fmt: skip
    done = ours("-R", "-", stdin=line)
    assert done.rc == 2
    assert "srckey" in done.err
    assert not left()


def test_an_expectation_of_gre_shows_its_keys_as_conntrack_does(netns: Namespace) -> None:
    master = "-s 192.0.2.1 -d 198.51.100.1 -p tcp --sport 1 --dport 1723"
    state = "--state ESTABLISHED -t 99 -u SEEN_REPLY --helper ftp"
    assert ours(*f"-I {master} {state}".split()).rc == 0
    all_ones = "255.255.255.255"
    expect = Expect(
        Tuple("192.0.2.1", "198.51.100.1", "gre", srckey=5, dstkey=6),
        mask=Tuple(all_ones, all_ones, "gre", srckey=65535, dstkey=65535),
        master=Tuple("192.0.2.1", "198.51.100.1", "tcp", 1, 1723), timeout=99, helper="ftp",
    )  # fmt: skip
    with Conntrack() as conntrack:
        conntrack.create_expectation(expect)
    for form in ((), ("-o", "xml")):
        shown, expected = (tool("-L", "expect", *form).out for tool in (ours, theirs))
        assert normalise(shown) == normalise(expected)
