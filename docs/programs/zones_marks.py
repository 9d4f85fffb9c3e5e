"""Mark the flows of a network in a zone, and count what each zone has: ``zones_marks.py``."""

from collections import Counter

from pyconntrack import Conntrack, Filter, NotFoundError


def mark_network(ct: Conntrack, network: str, zone: int, mark: int, mask: int) -> int:
    """Set the bits of ``mask`` to ``mark`` on flows from ``network``; return how many changed."""
    wanted = Filter(orig_src=network, zone=zone) & ~Filter(mark=(mark, mask))
    changed = 0
    for flow in list(ct.dump(wanted, on_interrupt="retry")):
        try:
            ct.update(flow, mark=(flow.mark or 0) & ~mask | mark)
        except NotFoundError:
            continue  # it has ended
        changed += 1
    return changed


def flows_by_zone(ct: Conntrack) -> Counter[int]:
    """Return the number of flows of each zone; one without a zone is in zone 0."""
    return Counter(flow.zone or 0 for flow in ct.dump(on_interrupt="retry"))


if __name__ == "__main__":
    with Conntrack() as ct:
        print(mark_network(ct, "10.0.0.0/8", zone=1, mark=0x20, mask=0xF0), "marked")
        for zone, number in sorted(flows_by_zone(ct).items()):
            print(f"zone {zone}: {number} flows")
