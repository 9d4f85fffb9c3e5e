"""No option widens a change: what several options select, each of them selects alone."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import Conntrack, Filter, Flow, RequestError, Tuple
from pyconntrack.cli import options as grammar
from pyconntrack.cli.console import UsageError
from pyconntrack.cli.filters import predicate
from pyconntrack.cli.parser import parse
from pyconntrack.filters import node_of
from pyconntrack.model import meets
from support.ctool import ours
from support.netns import Namespace

#: the number of an entry is the last octet of its destination
ENTRIES = """\
-I -s 1.1.1.1 -d 2.2.2.1 -p udp --sport 1 --dport 1 -t 99 -u SEEN_REPLY
-I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 1 -t 99 -w 5
-I -s 1.1.1.1 -d 2.2.2.3 -p udp --sport 1 --dport 1 -t 99 --orig-zone 5
-I -s 1.1.1.1 -d 2.2.2.4 -p udp --sport 1 --dport 1 -t 99 --reply-zone 5
-I -s 1.1.1.1 -d 2.2.2.5 -p udp --sport 1 --dport 1 -t 99 -n 9.9.9.9 -u ASSURED,SEEN_REPLY
-I -s 1.1.1.1 -d 2.2.2.6 -p udp --sport 1 --dport 1 -t 99 -g 9.9.9.9
-I -s 1.1.1.1 -d 2.2.2.7 -p udp --sport 1 --dport 1 -t 99 -u FIXED_TIMEOUT
"""
ALL = {1, 2, 3, 4, 5, 6, 7}


@pytest.fixture
def table(netns: Namespace) -> None:
    assert ours("-R", "-", stdin=ENTRIES).rc == 0


def left() -> set[int]:
    """The numbers of the entries that there are."""
    with Conntrack() as conntrack:
        return {int(str(flow.orig_dst)[-1]) for flow in conntrack.dump()}


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ("-w 0", {1, 5, 6, 7}),
        ("--orig-zone 0", {1, 4, 5, 6, 7}),
        ("--reply-zone 0", {1, 3, 5, 6, 7}),
        ("-w 5", {2}),
        ("-u SRC_NAT", {5}),
        ("-u '!SRC_NAT'", ALL - {5}),
        ("-u dst_nat", {6}),
        ("-u '!DST_NAT,!SRC_NAT'", ALL - {5, 6}),
        ("-u SRC_NAT,DST_NAT", set()),
        ("-u UNSET", {2, 3, 4, 6}),
        ("-t 30 -u UNSET -d 2.2.2.2", {2}),
        ("-u UNSET,ASSURED", set()),
        ("-t 9 -d 2.2.2.3", {3}),
        ("--where unset", {2, 3, 4, 6}),
        ("--where src_nat", {5}),
        ("-s 9.0.0.0/8 --mask-src 0.0.0.0", set()),
        ("--mask-src 0.0.0.0 -s 9.0.0.0/8", set()),
        ("-a 9.9.9.9 -d 2.2.2.1", {1}),
    ],
)
@pytest.mark.usefixtures("table")
def test_deletes(options: str, gone: set[int]) -> None:
    assert ours("-D", *shlex.split(options)).rc == (0 if gone else 1)
    assert left() == ALL - gone
    if gone:  # the same as a line of a file, of commands or of filters
        assert ours("-F").rc == ours("-R", "-", stdin=ENTRIES).rc == 0
        line = options.replace("'", '"')
        files = ("-R", "-") if "-t" in options else ("-D", "--from-file", "-")
        assert ours(*files, stdin=f"-D {line}").rc == 0
        assert left() == ALL - gone


@pytest.mark.parametrize(
    "line",
    ["-D -t 9", "-D -a 1.1.1.1", "-U -a 1.1.1.1 -m 5", "-D -u ''", "-D -u '!UNSET'", "-D -u S",
     "-D -s 1.1.1.1/", "-D --where ''", "-F -a 1.1.1.1", "-D -p tcp --dport ''", "-D -l ''"],
)  # fmt: skip
@pytest.mark.usefixtures("table")
def test_what_selects_nothing_is_refused(line: str) -> None:
    done = ours(*shlex.split(line))
    assert (done.rc, done.out) == (2, "")
    assert left() == ALL
    with pytest.raises(UsageError):
        parse(shlex.split(line), in_file=True) if "where" not in line else predicate(
            parse(shlex.split(line), in_file=True)
        )


@pytest.mark.usefixtures("table")
def test_the_library_selects_the_same() -> None:
    with Conntrack() as conntrack:

        def number(keywords: dict[str, object]) -> set[int]:
            found = conntrack.dump(filter=Filter(**keywords))  # type: ignore[arg-type]
            return {int(str(flow.orig_dst)[-1]) for flow in found}

        assert number({"zone": 0}) == {1, 5, 6, 7}
        assert number({"orig_zone": 0}) == {1, 4, 5, 6, 7}
        assert number({"reply_zone": 0}) == {1, 3, 5, 6, 7}
        assert number({"status": "UNSET"}) == {2, 3, 4, 6}
        assert number({"status": "SRC_NAT"}) == {5}


@pytest.mark.parametrize("status", [[], "", "!UNSET", 0, ["UNSET", "ASSURED"]], ids=repr)
def test_a_status_that_asks_for_nothing_is_refused(status: object) -> None:
    with pytest.raises(RequestError, match="status"):
        Filter(status=status)  # type: ignore[arg-type]


@pytest.mark.usefixtures("table")
def test_words_that_only_select_set_nothing() -> None:
    for line, code in (
        ("-U -u SRC_NAT -d 2.2.2.1", 1), ("-U -u '!DST_NAT' -d 2.2.2.1", 1),
        ("-A -s 1.1.1.2 -d 2.2.2.8 -p udp --sport 1 --dport 1 -t 99 -u DST_NAT", 0),
    ):  # fmt: skip
        done = ours(*shlex.split(line))
        assert "WARNING: ignoring" in done.err
        assert done.rc == code
    assert "ignoring" not in ours("-D", "-u", "SRC_NAT").err
    assert left() == ALL - {5} | {8}
    assert not ours("-L", "-u", "DST_NAT", "-d", "2.2.2.8").out


# -- every option beside every other ------------------------------------------------------------

#: a value for each kind of option; what an option of this kind asks may hold of some entries
VALUES = {
    "addresses": ("1.1.1.1", "1.1.1.0/24", "2.2.2.2", "::1"), "proto": ("tcp", "udp", "17"),
    "states": ("ESTABLISHED", "CLOSED", "OPEN"),
    "number": ("0", "1", "5"), "ports": ("1", "1,2-4"), "mark": ("0", "5", "4/6", "0/0"),
    "status": ("UNSET", "A", "!SRC_NAT", "DST_NAT", "UNREPLIED", "SEEN_REPLY", "!FIXED"),
    "nat": ("9.9.9.9", "9.9.9.9:1"), "labels": ("1", "1,5"), "family": ("ipv4", "IPV6"),
    "choice": ("ESTABLISHED", "CLOSED", "OPEN"),
}  # fmt: skip
A, B, C = "1.1.1.1", "2.2.2.2", "9.9.9.9"
FLOWS = [
    Flow(tuple_, reply or tuple_.inverted(), timeout=99, **fields)
    for tuple_, reply in (
        (Tuple(A, B, "udp", 1, 1), None), (Tuple(A, B, "tcp", 1, 5), None),
        (Tuple(A, B, "udp", 1, 1), Tuple(B, C, "udp", 1, 1)),
        (Tuple(A, B, "udp", 5, 1, zone=5), None), (Tuple("::1", "::2", "udp", 1, 1), None),
        (Tuple(A, B, "gre", srckey=1, dstkey=5), None),
        (Tuple(A, B, "icmp", icmp_type=0, icmp_code=0, icmp_id=5), None),
    )
    for fields in (
        {"status": 0, "mark": 0}, {"status": 6, "mark": 5, "labels": [1], "id": 5},
        {"status": 0x88, "mark": 1, "zone": 5}, {"status": 0x10 | 0x82, "mark": 4},
        {"status": 0x400, "mark": 0, "labels": [1, 5], "tcp_state": 3}, {"secmark": 5, "status": 0},
    )
]  # fmt: skip
OPTIONS = [row for row in grammar.OPTIONS if row.group in ("select", "both")]


def options_of(verb: str) -> st.SearchStrategy[list[str]]:
    """Each option that `verb` takes, by itself, with a value."""
    rows = [row for row in OPTIONS if verb in row.on and row.name != "protonum"]
    rows = [row for row in rows if not row.name.startswith("mask-")]
    one = st.sampled_from(rows).flatmap(
        lambda row: st.sampled_from(VALUES[row.kind]).map(lambda value: f"--{row.name}={value}")
    )
    mask = st.sampled_from(("src", "dst")).flatmap(
        lambda side: st.sampled_from(("0.0.0.0", "255.0.0.0")).map(
            lambda value: f"--{side}=1.1.1.0/24 --mask-{side}={value}"
        )
    )
    protocol = st.sampled_from(grammar.PROTOCOLS).flatmap(
        lambda protocol: st.sampled_from(
            [row for row in protocol.options if verb in row.on.upper()]
        ).flatmap(
            lambda row: st.sampled_from(VALUES[row.kind]).map(
                lambda value: f"-p {protocol.name} --{row.name}={value}"
            )
        )
    )
    ports = st.sampled_from(grammar.PORTS).map(lambda row: f"--{row.name}=1")
    expression = st.sampled_from(["mark == 5", "unset", "dport == 1", "not nat", "zone == 5"]).map(
        lambda text: f"--where='{text}'"
    )
    return st.lists(st.one_of(one, mask, protocol, ports, expression), min_size=1, max_size=4)


def selected(verb: str, options: list[str]) -> set[int] | None:
    """The places of the flows that a command line selects; None where it is refused."""
    try:
        command = parse([f"-{verb}", *shlex.split(" ".join(options))])
        node = predicate(command)
    except UsageError:
        return None
    if node is None:
        return set(range(len(FLOWS)))
    return {n for n, flow in enumerate(FLOWS) if meets(node, flow._layout, flow.message)}


@given(st.sampled_from("DU").flatmap(lambda verb: st.tuples(st.just(verb), options_of(verb))))
def test_options_together_select_no_more_than_each_alone(case: tuple[str, list[str]]) -> None:
    verb, options = case
    names = [word.split("=")[0] for option in options for word in option.split()]
    if len(set(names)) < len(names):
        return  # of an option that stands twice the last counts, as in conntrack(8)
    together = selected(verb, options)
    if together is not None:
        for option in options:
            alone = selected(verb, [option])
            assert alone is not None, option
            assert together <= alone, option


@pytest.mark.parametrize("verb", "DU")
@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_every_filter_option_of_a_change_asks_something(row: grammar.Option, verb: str) -> None:
    if row.name.startswith("mask-") or verb not in row.on:
        return
    if verb == "U" and row.name in ("mark", "status"):
        return  # new values
    for value in VALUES[row.kind]:
        whole = selected(verb, [f"--{row.name}={value}"])
        if value != "0/0" and not (row.name.startswith("reply") and "/" in value):
            assert whole is not None
            assert len(whole) < len(FLOWS), value


def test_none_of_them_is_a_condition_that_every_flow_meets() -> None:
    for keywords in ({"zone": 0}, {"orig_zone": 0}, {"reply_zone": 0}, {"status": "UNSET"}):
        node = node_of(Filter(**keywords))
        assert node is not None
        flow = Flow(Tuple(A, B, "udp", 1, 1), zone=5, status="ASSURED")
        assert not meets(node, flow._layout, flow.message)
