"""The four functions of OpenStack Neutron's netlink_lib, without ctypes and without text."""

from collections.abc import Iterable, Iterator

from pyconntrack import Conntrack, Filter, Flow, NotFoundError, Tuple

#: (IP version, protocol, sport, dport, src, dst, zone)
Ports = tuple[int, str, int, int, str, str, int]
#: (IP version, protocol, type, code, src, dst, id, zone)
Echo = tuple[int, str, int, int, str, str, int, int]
Entry = Ports | Echo


def list_entries(zone: int) -> list[Entry]:
    """Return the entries of a zone, sorted by the fourth item."""
    return list_entries_of_zones([zone])


def list_entries_of_zones(zones: Iterable[int]) -> list[Entry]:
    """Return the entries of some zones, in one dump of the table."""
    wanted = Filter(zone=list(zones), proto=["tcp", "udp", "icmp", "icmpv6"])
    with Conntrack() as ct:
        return sorted(_entries(ct.dump(wanted, on_interrupt="retry")), key=lambda entry: entry[3])


def delete_entries(entries: Iterable[Entry]) -> None:
    """Delete entries as list_entries returns them; one that has ended by itself is no error."""
    with Conntrack() as ct:
        for entry in entries:
            try:
                ct.delete(_flow(entry))
            except NotFoundError:
                pass


def flush_entries() -> None:
    """Empty the table."""
    with Conntrack() as ct:
        ct.flush()


def _entries(flows: Iterable[Flow]) -> Iterator[Entry]:
    for flow in flows:
        one = flow.orig
        if one is None or one.src is None or one.dst is None:
            continue
        version, proto, zone = 4 if flow.family == "ipv4" else 6, str(one.proto), flow.zone or 0
        if one.sport is not None and one.dport is not None:
            yield version, proto, one.sport, one.dport, one.src, one.dst, zone
        elif one.icmp_type is not None and one.icmp_code is not None and one.icmp_id is not None:
            kind, code = one.icmp_type, one.icmp_code
            yield version, proto, kind, code, one.src, one.dst, one.icmp_id, zone


def _flow(entry: Entry) -> Flow:
    if len(entry) == 8:
        _, proto, kind, code, src, dst, ident, zone = entry
        one = Tuple(src, dst, proto, icmp_type=kind, icmp_code=code, icmp_id=ident)
    else:
        _, proto, sport, dport, src, dst, zone = entry
        one = Tuple(src, dst, proto, sport, dport)
    return Flow(one, zone=zone)
