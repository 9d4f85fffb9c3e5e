"""Words of entries that the kernel reports, and of what it is asked for."""

from __future__ import annotations

import pytest

from pyconntrack import Conntrack, Event, Filter, Flow, Tuple, Unknown

ODD = Flow(Tuple("10.0.0.1", "10.0.0.2", 99), timeout=60, status="ASSURED")
SCTP = Flow(
    Tuple("10.0.0.1", "10.0.0.2", "sctp", 1, 2), timeout=60,
    sctp_state="ESTABLISHED", sctp_vtag_orig=1, sctp_vtag_reply=2,
)  # fmt: skip
TCP = Flow(
    Tuple("2001:db8::1", "2001:db8::2", "tcp", 1, 2), timeout=60, tcp_state="ESTABLISHED"
)  # fmt: skip


@pytest.mark.usefixtures("netns")
def test_entries_of_the_kernel_speak_words() -> None:
    with Conntrack() as ct, ct.events() as events:
        for flow in (ODD, SCTP, TCP):
            ct.create(flow)
        odd, sctp, tcp = map(ct.get, (ODD, SCTP, TCP))
        assert (odd.proto, odd.state) == (Unknown("proto", 99), None)
        assert odd.status == frozenset(["ASSURED", "CONFIRMED"])
        assert (sctp.proto, sctp.state, sctp.family) == ("sctp", "ESTABLISHED", "ipv4")
        assert (tcp.proto, tcp.tcp_state, tcp.family) == ("tcp", "ESTABLISHED", "ipv6")

        for wanted, found in (
            (Filter(proto=odd.proto), {odd}),
            (Filter(proto=[Unknown("proto", 99), "tcp"]), {odd, tcp}),
            (Filter(state=sctp.state), {sctp, tcp}), (Filter(family=tcp.family), {tcp}),
            (Filter(status=odd.status), {odd}),
        ):  # fmt: skip
            assert set(ct.dump(wanted)) == found, wanted

        ct.update(tcp, tcp_state="CLOSE", status=tcp.status)
        assert ct.get(tcp).tcp_state == "CLOSE"
        ct.delete(tcp)
        kinds = []
        while isinstance(event := events.read(1), Event):
            kinds.append(event.kind)
            if event.kind == "destroy":
                break
        assert kinds == ["new", "new", "new", "update", "destroy"]
