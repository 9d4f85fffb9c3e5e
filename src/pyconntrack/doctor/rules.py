"""What nft's rules translate sources to, and whether they need tracking: what ``nft -j`` prints.

nft shows ranges, prefixes and maps of ``snat`` and the ports of ``masquerade``.  Of a rule that
iptables-nft made it shows only that there is one (``xt``), of legacy iptables nothing.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network, summarize_address_range
from itertools import islice
from typing import TYPE_CHECKING

from .observation import NatRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

_FAMILIES = {"ip": "ipv4", "ip6": "ipv6"}
#: the fields of a match that hold a protocol
_PROTOCOL = {("meta", "l4proto"), ("ip", "protocol"), ("ip6", "nexthdr")}
_TRANSPORTS = ("tcp", "udp", "sctp", "dccp", "udplite", "icmp", "icmpv6")
#: the targets of iptables that translate sources
_TARGETS = ("SNAT", "MASQUERADE", "NETMAP")
#: the extensions of iptables that need no connection tracking
_UNTRACKED = {
    "comment", "multiport", "tcp", "udp", "icmp", "icmp6", "limit", "hashlimit", "mark", "MARK",
    "LOG", "NFLOG", "REJECT", "set", "SET", "addrtype", "mac", "iprange", "physdev", "owner",
    "statistic", "recent", "TCPMSS", "string", "u32", "bpf", "length", "ttl", "pkttype", "rpfilter",
}  # fmt: skip
#: the part of a map or a set that is looked at
_DEEP, _MANY = 8, 10_000


def nat_ranges(ruleset: object) -> tuple[NatRange, ...]:
    """Return what the rules of a ruleset translate sources to, each once.

    ``ruleset``: the parsed JSON.  What is not understood is left out.
    """
    maps = {
        (*_table(named), str(named.get("name"))): _list(named.get("elem"))
        for named in _objects(ruleset, "map")
    }
    tables = {
        _table(chain)
        for chain in _objects(ruleset, "chain")
        if chain.get("type") == "nat" and chain.get("hook") in ("postrouting", "input")
    }
    found: dict[NatRange, None] = {}
    for rule in _objects(ruleset, "rule"):
        if _table(rule) in tables:
            found.update(dict.fromkeys(_of_rule(rule, maps)))
    return tuple(found)


def needs_tracking(ruleset: object) -> bool:
    """Return whether a rule of a ruleset makes the kernel track connections.

    A chain that translates does, and any rule that asks for the state, the mark or another part of
    a connection.
    """
    translates = any(chain.get("type") == "nat" for chain in _objects(ruleset, "chain"))
    return translates or any(_tracks(rule.get("expr"), 0) for rule in _objects(ruleset, "rule"))


def _objects(ruleset: object, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a ruleset that are of ``kind``."""
    for each in _list(ruleset.get("nftables") if isinstance(ruleset, dict) else None):
        wanted = each.get(kind) if isinstance(each, dict) else None
        if isinstance(wanted, dict):
            yield wanted


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(part: Mapping[str, Any]) -> tuple[str, str]:
    """Return the family and the name of the table that an object belongs to."""
    return str(part.get("family")), str(part.get("table"))


def _tracks(value: Any, depth: int) -> bool:
    """Return whether a part of a rule is about connections."""
    if isinstance(value, list):
        return depth < _DEEP and any(_tracks(each, depth + 1) for each in value)
    if not isinstance(value, dict):
        return False
    for name, inner in value.items():
        if name == "ct" or name.startswith("ct ") or name in ("flow", "synproxy"):
            return True
        if name == "xt":
            known = inner.get("name") if isinstance(inner, dict) else None
            if str(known) not in _UNTRACKED:
                return True
        elif depth < _DEEP and _tracks(inner, depth + 1):
            return True
    return False


def _of_rule(
    rule: Mapping[str, Any], maps: Mapping[tuple[str, str, str], list[Any]]
) -> Iterator[NatRange]:
    statements = [each for each in _list(rule.get("expr")) if isinstance(each, dict)]
    matches = [each["match"] for each in statements if isinstance(each.get("match"), dict)]
    protocols: list[str | None] = [name for match in matches for name in _protocols(match)]
    table = _table(rule)
    for kind, value in (item for each in statements for item in each.items()):
        value = value if isinstance(value, dict) else {}
        family = _FAMILIES.get(str(value.get("family", table[0])))
        if kind == "xt" and value.get("name", "SNAT") in _TARGETS:
            yield NatRange(source="xt", family=family)
        places: Iterable[tuple[str | None, tuple[int, int] | None]] = ()
        ports = _port_range(value.get("port"))
        if kind == "masquerade":
            places = [(None, ports)]
        elif kind == "snat":
            places = islice(_places(value.get("addr"), ports, table, maps, 0), _MANY)
        source = "masquerade" if kind == "masquerade" else "nft"
        for address, ports in places:
            stated = ("ipv6" if ":" in address else "ipv4") if address else family
            for protocol in protocols or [None]:
                yield NatRange(address, protocol, ports, source, stated)


def _protocols(match: Mapping[str, Any]) -> list[str]:
    """Return the protocols that a match of a rule allows; [] if it is not about that."""
    left = match.get("left")
    if not isinstance(left, dict):
        return []
    payload, meta = left.get("payload"), left.get("meta")
    if isinstance(payload, dict):
        field = str(payload.get("protocol")), str(payload.get("field"))
        if field[0] in _TRANSPORTS:
            return [field[0]]
    else:
        field = "meta", str(meta.get("key") if isinstance(meta, dict) else None)
    if field not in _PROTOCOL or match.get("op") not in ("==", "in"):
        return []
    right = match.get("right")
    if isinstance(right, dict):
        right = right.get("set")
    names = right if isinstance(right, list) else [right]
    return [name for name in names if isinstance(name, str)]


def _places(
    value: Any, ports: tuple[int, int] | None, table: tuple[str, str],
    maps: Mapping[tuple[str, str, str], list[Any]], depth: int,
) -> Iterator[tuple[str | None, tuple[int, int] | None]]:  # fmt: skip
    """Yield (network, ports) of an address, a range, a prefix, a map, or an element of one."""
    if depth > _DEEP or value is None:
        return
    if isinstance(value, str):
        if value.startswith("@"):
            for pair in maps.get((*table, value[1:]), ()):
                if isinstance(pair, list) and len(pair) == 2:
                    yield from _places(pair[1], ports, table, maps, depth + 1)
        else:
            yield from ((network, ports) for network in _networks(value, value))
        return
    if not isinstance(value, dict):
        return
    if isinstance(bounds := value.get("range"), list) and len(bounds) == 2:
        yield from ((network, ports) for network in _networks(*bounds))
    if isinstance(prefix := value.get("prefix"), dict):
        try:
            network = ip_network(f"{prefix.get('addr')}/{prefix.get('len')}", strict=False)
        except ValueError:
            return
        yield str(network), ports
    if isinstance(parts := value.get("concat"), list) and parts:
        given = _port_range(parts[1]) if len(parts) > 1 else None
        yield from _places(parts[0], given or ports, table, maps, depth + 1)
    if isinstance(mapped := value.get("map"), dict):
        data = mapped.get("data")
        if isinstance(data, str):
            yield from _places(data, ports, table, maps, depth + 1)
        elif isinstance(data, dict):
            for pair in _list(data.get("set")):
                if isinstance(pair, list) and len(pair) == 2:
                    yield from _places(pair[1], ports, table, maps, depth + 1)
    if isinstance(element := value.get("elem"), dict):
        yield from _places(element.get("val"), ports, table, maps, depth + 1)


def _networks(first: Any, last: Any) -> list[str]:
    """Return the networks that make up a range of addresses; [] if it is none."""
    try:
        low, high = ip_address(str(first)), ip_address(str(last))
        return [str(network) for network in summarize_address_range(low, high)]
    except (ValueError, TypeError):
        return []


def _port_range(value: Any) -> tuple[int, int] | None:
    if isinstance(value, dict):
        value = value.get("range")
    bounds = value if isinstance(value, list) else [value, value]
    if len(bounds) == 2 and all(isinstance(each, int) and 0 <= each < 65536 for each in bounds):
        return (bounds[0], bounds[1])
    return None
