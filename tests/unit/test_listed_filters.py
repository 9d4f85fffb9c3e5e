"""Lists, ranges, services and states of filter options select what the expressions select."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import Flow, Tuple, where
from pyconntrack.cli import option_values
from pyconntrack.cli.console import UsageError
from pyconntrack.cli.filters import predicate
from pyconntrack.cli.parser import parse
from pyconntrack.cli.selection import Messages, of_messages
from pyconntrack.ctnetlink import vocabulary
from pyconntrack.ctnetlink.predicates import Node
from pyconntrack.where.sets import between

STATES = {
    protocol: {word: number for number, word in vocabulary.STATES[f"{protocol}_state"].items()}
    for protocol in ("tcp", "sctp", "dccp")
}
SERVICES = {"ssh": 22, "domain": 53, "SMTP": 25}
HOSTS = st.sampled_from([4, 6]).flatmap(
    lambda family: st.tuples(
        *[st.integers(0, 40).map(lambda n: ip_address("10.0.0.0" if family == 4 else "fd::") + n)]
        * 2
    )
)
PORTS = st.sampled_from([0, 21, 22, 23, 25, 53, 80, 443, 65535])


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    source, destination = draw(HOSTS)
    protocol = draw(st.sampled_from(["tcp", "udp", "sctp", "dccp", "gre"]))
    ends = ("srckey", "dstkey") if protocol == "gre" else ("sport", "dport")
    tuple_ = Tuple(source, destination, protocol, **{end: draw(PORTS) for end in ends})
    fields: dict[str, object] = {"timeout": 99, "status": 0}
    if protocol in STATES and draw(st.booleans()):
        fields[f"{protocol}_state"] = draw(st.sampled_from(sorted(STATES[protocol])))
    return Flow(tuple_, tuple_.inverted(), **fields)  # type: ignore[arg-type]


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """A list of addresses, networks and ranges of one family."""
    base = ip_address(draw(st.sampled_from(["10.0.0.0", "fd::"])))
    items = []
    for _ in range(draw(st.integers(1, 3))):
        low, high = sorted(draw(st.lists(st.integers(0, 40), min_size=2, max_size=2)))
        length = draw(st.integers(base.max_prefixlen - 6, base.max_prefixlen))
        items.append(
            draw(st.sampled_from([f"{base + low}", f"{base + low}/{length}",
                                  f"{base + low}-{base + high}"]))
        )  # fmt: skip
    return ",".join(items)


@st.composite
def ports(draw: st.DrawFn) -> str:
    items = []
    for _ in range(draw(st.integers(1, 3))):
        low, high = sorted(draw(st.lists(PORTS, min_size=2, max_size=2)))
        name = draw(st.sampled_from(sorted(SERVICES)))
        items.append(draw(st.sampled_from([f"{low}", f"{low}-{high}", name])))
    return ",".join(items)


def listed(words: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=3).map(",".join)


WORDS = sorted({word for states in STATES.values() for word in states})


def holds(address: object, text: str) -> bool:
    """Whether an address is in a list, by another program's arithmetic."""
    host = ip_address(str(address))
    for item in text.split(","):
        low, dash, high = item.partition("-")
        if dash:
            first, last = ip_address(low), ip_address(high)
            if first.version == host.version and int(first) <= int(host) <= int(last):
                return True
        elif host in ip_network(item, strict=False):
            return True
    return False


def port_in(port: int | None, text: str) -> bool:
    if port is None:
        return False
    for item in text.split(","):
        low, dash, high = str(SERVICES.get(item, item)).partition("-")
        if int(low) <= port <= int(high if dash else low):
            return True
    return False


def node_of(*words: str) -> Node:
    node = predicate(parse(["-L", *words]))
    assert node is not None
    return node


def chosen(node: Node, table: list[Flow]) -> list[Flow]:
    """The flows that are selected; columns select as many."""
    messages = [flow.message for flow in table]
    found = of_messages(messages, node)
    assert isinstance(found, Messages)
    assert of_messages(messages, node, columns=True).count == found.count
    picked = {message for _, message, _ in found.rows}
    return [flow for flow in table if flow.message in picked]


@given(st.lists(flows(), min_size=1, max_size=12), addresses(), st.sampled_from(["src", "dst"]))
def test_addresses(table: list[Flow], text: str, end: str) -> None:
    expected = [flow for flow in table if holds(getattr(flow, f"orig_{end}"), text)]
    assert chosen(node_of(f"--{end}", text), table) == expected
    node = where.parse(f"{end} in {{{text}}}")
    assert chosen(node, table) == expected
    assert where.parse(where.show(node)) == node
    answered = [flow for flow in table if holds(getattr(flow, f"reply_{end}"), text)]
    if "/" not in text:  # which conntrack(8) refuses there
        assert chosen(node_of(f"--reply-{end}", text), table) == answered


@given(st.lists(flows(), min_size=1, max_size=12), ports(), st.sampled_from(["sport", "dport"]))
def test_ports(table: list[Flow], text: str, end: str) -> None:
    expected = [flow for flow in table if port_in(getattr(flow, f"orig_{end}"), text)]
    assert chosen(node_of(f"--{end}", text), table) == expected
    assert chosen(where.parse(f"{end} in {{{text}}}"), table) == expected


@given(st.lists(flows(), min_size=1, max_size=12), listed(["tcp", "udp", "sctp", "dccp", "47"]))
def test_protocols(table: list[Flow], text: str) -> None:
    names = ["gre" if name == "47" else name for name in text.split(",")]
    expected = [flow for flow in table if flow.orig_proto in names]
    assert chosen(node_of("-p", text), table) == expected
    assert chosen(where.parse(f"proto in {{{text}}}"), table) == expected


@given(st.lists(flows(), min_size=1, max_size=12), listed(WORDS))
def test_states(table: list[Flow], text: str) -> None:
    expected = [flow for flow in table if flow.state in text.split(",")]
    assert chosen(node_of("--state", text.lower()), table) == expected
    assert chosen(where.parse(f"state in {{{text}}}"), table) == expected
    for protocol, words in STATES.items():
        if all(word in words for word in text.split(",")):
            own = [flow for flow in expected if flow.orig_proto == protocol]
            assert chosen(node_of("-p", protocol, "--state", text), table) == own
            assert chosen(node_of("--state", text, "-p", protocol), table) == own
            assert chosen(node_of("--state", text, "-p", f"{protocol},udp"), table) == own


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([4, 16]))
def test_a_range_is_the_fewest_networks(one: int, two: int, size: int) -> None:
    low, high = sorted((one, two))
    networks = between(low.to_bytes(size), high.to_bytes(size))
    held: list[int] = []
    for address, mask in networks:
        block = (1 << 8 * size) - int.from_bytes(mask)
        assert int.from_bytes(address) % block == 0
        held += range(int.from_bytes(address), int.from_bytes(address) + block)
    assert held == list(range(low, high + 1))
    assert len(networks) <= 2 * (high - low + 1).bit_length()


@pytest.mark.parametrize("size", [4, 16])
def test_every_address_is_one_network(size: int) -> None:
    assert between(bytes(size), b"\xff" * size) == [(bytes(size), bytes(size))]


def test_a_service_whose_number_depends_on_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"tcp": 514, "udp": 515, "sctp": 514}
    monkeypatch.setattr("pyconntrack.where.services.ports_of", lambda name: numbers)
    for words in ("-L --dport shell", "-L -p tcp,udp --dport shell", "-L --dport shell -p dccp"):
        with pytest.raises(UsageError, match="514 of tcp and 515 of udp"):
            parse(words.split())
    for words, number in (
        ("-L -p tcp --dport shell", 514), ("-L --dport shell -p udp", 515),
        ("-L -p tcp,sctp --dport shell", 514),
    ):  # fmt: skip
        assert parse(words.split()).opts["orig_dport"] == number
    with pytest.raises(where.WhereError, match="514 of tcp, 515 of udp"):
        where.parse("dport == shell")


def test_times_with_units() -> None:
    for text, seconds in (
        ("0", 0), ("90", 90), ("90s", 90), ("1h30m", 5400), ("1d", 86400), ("2w", 1209600),
        ("010", 10),
    ):  # fmt: skip
        assert option_values.seconds(text, 0xFFFFFFFF, "timeout") == seconds
    for text in ("", "s", "1x", "1.5h", "-1s", "1m1h", "1h 30m", " 1h", "1h30", "9999999999999w",
                 "１h", "1H\n"):  # fmt: skip
        with pytest.raises(UsageError, match="Invalid timeout"):
            option_values.seconds(text, 0xFFFFFFFF, "timeout")


def test_a_range_is_shown_as_one() -> None:
    for text in ("10.0.0.1-10.0.0.9", "::1-ffff::fffe", "0.0.0.1-255.255.255.255"):
        node = where.parse(f"orig.src in {text}")
        assert where.show(node) == f"orig.src in {text}"
        both = where.parse(f"orig.src not in {{{text}, 9.9.9.9}}")
        assert where.show(both) == f"orig.src not in {{{text}, 9.9.9.9}}"
    for text in ("10.0.0.0-10.0.0.3", "10.0.0.0/30"):
        assert where.show(where.parse(f"src in {text}")) == "orig.src in 10.0.0.0/30"
