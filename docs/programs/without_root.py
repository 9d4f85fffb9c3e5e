"""Tests of a program that keeps the flows of each client below a limit; none of them needs root."""

from collections import defaultdict

from pyconntrack import Conntrack, Event, Filter, Flow, Tuple
from pyconntrack.testing import Kernel


def enforce(ct: Conntrack, limit: int) -> list[Flow]:
    """Delete the flows of each source above ``limit``, the next to expire first; return them."""
    clients: defaultdict[str, list[Flow]] = defaultdict(list)
    for flow in ct.dump(Filter(proto="udp")):
        if flow.orig_src is not None:
            clients[flow.orig_src].append(flow)
    deleted: list[Flow] = []
    for flows in clients.values():
        flows.sort(key=lambda flow: flow.timeout or 0)
        for flow in flows[: max(0, len(flows) - limit)]:
            ct.delete(flow)
            deleted.append(flow)
    return deleted


def client(number: int, port: int, timeout: int) -> Flow:
    """Return a flow of client ``number``."""
    orig = Tuple(f"192.0.2.{number}", "198.51.100.1", "udp", port, 53)
    return Flow(orig, timeout=timeout)


def test_flows_above_the_limit_are_deleted() -> None:
    """Only the flow that expires first is one too many."""
    with Kernel() as kernel, kernel.connect() as ct:
        ct.load([client(1, port, timeout=100 + port) for port in range(1, 5)])
        ct.create(client(2, 1, timeout=100))
        assert [flow.orig_sport for flow in enforce(ct, limit=3)] == [1]
        assert ct.count() == 4


def test_expired_flows_do_not_count() -> None:
    """Time passes when the test says so."""
    with Kernel() as kernel, kernel.connect() as ct:
        ct.load([client(1, port, timeout=100 * port) for port in range(1, 5)])
        kernel.advance(150)
        assert enforce(ct, limit=3) == []


def test_deletions_are_reported() -> None:
    """A listener sees what the program did."""
    with Kernel() as kernel, kernel.connect() as ct, ct.events(["destroy"]) as events:
        flow = client(1, 1, timeout=100)
        ct.create(flow)
        enforce(ct, limit=0)
        event = events.read(timeout=5)
        assert isinstance(event, Event)
        assert (event.kind, event.flow) == ("destroy", flow)
