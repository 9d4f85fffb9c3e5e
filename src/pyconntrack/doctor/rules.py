"""The source translations of a ruleset, from what ``nft -j list ruleset`` prints.

nft shows ranges, prefixes and maps of ``snat`` and the ports of ``masquerade``.  Of a rule that
iptables-nft made it shows only that there is one (``xt``), of legacy iptables nothing.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network, summarize_address_range
from typing import TYPE_CHECKING

from .observation import NatRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_FAMILIES = {"ip": "ipv4", "ip6": "ipv6"}
#: the fields of a match that hold a protocol
_PROTOCOL = {("meta", "l4proto"), ("ip", "protocol"), ("ip6", "nexthdr")}
_TRANSPORTS = ("tcp", "udp", "sctp", "dccp", "udplite", "icmp", "icmpv6")
#: the targets of iptables that translate sources
_TARGETS = ("SNAT", "MASQUERADE", "NETMAP")
#: the part of a map or a set that is looked at
_DEEP, _MANY = 8, 10_000


def nat_ranges(ruleset: object) -> tuple[NatRange, ...]:
    """Return what the rules of a ruleset translate sources to, each once.

    ``ruleset``: the parsed JSON.  What is not understood is left out.
    """
    listed = ruleset.get("nftables") if isinstance(ruleset, dict) else None
    objects = [each for each in listed or () if isinstance(each, dict)]
    maps = {}
    for each in objects:
        named = each.get("map")
        if isinstance(named, dict):
            maps[named.get("family"), named.get("table"), named.get("name")] = named.get("elem", [])
    tables = {
        (chain.get("family"), chain.get("table"))
        for chain in (each.get("chain") for each in objects)
        if isinstance(chain, dict) and chain.get("type") == "nat"
        and chain.get("hook") in ("postrouting", "input")
    }  # fmt: skip
    found: dict[NatRange, None] = {}
    for each in objects:
        rule = each.get("rule")
        if isinstance(rule, dict) and (rule.get("family"), rule.get("table")) in tables:
            found.update(dict.fromkeys(_of_rule(rule, maps)))
    return tuple(found)


def _of_rule(rule: Mapping[str, Any], maps: Mapping[Any, Any]) -> Iterator[NatRange]:
    statements = [each for each in rule.get("expr") or () if isinstance(each, dict)]
    protocols: list[str | None] = []
    for each in statements:
        if isinstance(match := each.get("match"), dict):
            protocols += _protocols(match)
    family = _FAMILIES.get(rule.get("family", ""))
    for each in statements:
        for kind, value in each.items():
            value = value if isinstance(value, dict) else {}
            if kind == "xt" and value.get("name", "SNAT") in _TARGETS:
                yield NatRange(source="xt", family=family)
            if kind not in ("snat", "masquerade"):
                continue
            own = _FAMILIES.get(value.get("family", ""), family)
            given = _port_range(value.get("port"))
            places: list[tuple[str | None, tuple[int, int] | None]]
            if kind == "masquerade":
                places = [(None, given)]
            else:
                key = rule.get("family"), rule.get("table")
                places = list(_places(value.get("addr"), given, key, maps, 0))[:_MANY]
            for address, ports in places:
                stated = ("ipv6" if ":" in address else "ipv4") if address else own
                for protocol in protocols or [None]:
                    source = "masquerade" if kind == "masquerade" else "nft"
                    yield NatRange(address, protocol, ports, source, stated)


def _protocols(match: Mapping[str, Any]) -> list[str]:
    """Return the protocols that a match of a rule allows; [] if it is not about that."""
    left = match.get("left")
    if not isinstance(left, dict):
        return []
    payload, meta = left.get("payload"), left.get("meta")
    if isinstance(payload, dict):
        field = payload.get("protocol"), payload.get("field")
        if field[0] in _TRANSPORTS:
            return [str(field[0])]
    else:
        field = ("meta", meta.get("key") if isinstance(meta, dict) else None)
    if field not in _PROTOCOL or match.get("op") not in ("==", "in"):
        return []
    right = match.get("right")
    if isinstance(right, dict):
        right = right.get("set")
    names = right if isinstance(right, list) else [right]
    return [name for name in names if isinstance(name, str)]


def _places(
    value: Any, ports: tuple[int, int] | None, key: tuple[Any, Any], maps: Mapping[Any, Any],
    depth: int,
) -> Iterator[tuple[str | None, tuple[int, int] | None]]:  # fmt: skip
    """Yield (network, ports) of an address, a range, a prefix, a map, or an element of one."""
    if depth > _DEEP or value is None:
        return
    if isinstance(value, str):
        if value.startswith("@"):
            for pair in maps.get((*key, value[1:])) or ():
                if isinstance(pair, list) and len(pair) == 2:
                    yield from _places(pair[1], ports, key, maps, depth + 1)
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
        yield from _places(parts[0], given or ports, key, maps, depth + 1)
    if isinstance(mapped := value.get("map"), dict):
        data = mapped.get("data")
        if isinstance(data, str):
            yield from _places(data, ports, key, maps, depth + 1)
        elif isinstance(data, dict):
            for pair in data.get("set") or ():
                if isinstance(pair, list) and len(pair) == 2:
                    yield from _places(pair[1], ports, key, maps, depth + 1)
    if isinstance(element := value.get("elem"), dict):
        yield from _places(element.get("val"), ports, key, maps, depth + 1)


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
