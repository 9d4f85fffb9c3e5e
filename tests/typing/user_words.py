"""A user's program about words: what it may compare them with, and what it must not."""

from typing import assert_type

from pyconntrack import Event, Expect, Filter, Flow, ProtoName, Tuple, Unknown


def words(flow: Flow, one: Tuple, event: Event, expect: Expect) -> None:
    assert flow.proto == "tcp"
    assert one.proto != "udplite"
    assert flow.orig_proto in ("tcp", "udp")
    assert flow.tcp_state == "ESTABLISHED"
    assert flow.state == "HEARTBEAT_ACKED"
    assert flow.family == "ipv4"
    assert flow.status
    assert "ASSURED" in flow.status
    assert expect.flags
    assert "PERMANENT" in expect.flags
    assert event.kind == "new"
    assert flow.reply_proto == Unknown("proto", 99)
    counts: dict[ProtoName | Unknown | None, int] = {flow.master_proto: 1}
    assert counts


def numbers(flow: Flow, one: Tuple, expect: Expect) -> None:
    assert flow.proto_number == 6
    assert one.proto_number == 6
    assert flow.master_proto_number == 6
    assert flow.tcp_state_number == 3
    assert flow.family_number == 2
    assert (flow.status_bits or 0) & 4
    assert expect.flags_bits == 1


def an_unknown(flow: Flow) -> str:
    if isinstance(flow.proto, Unknown):
        assert_type(flow.proto.number, int)
        assert_type(flow.proto.vocabulary, str)
        return f"protocol {flow.proto}"
    assert_type(flow.proto, ProtoName | None)
    return flow.proto or ""


def given(flow: Flow, name: str, expect: Expect) -> None:
    Tuple(proto=name)
    Tuple(proto=6)
    Tuple(proto=Unknown("proto", 99))
    Flow(proto.orig if (proto := flow) else None, status=flow.status, tcp_state=flow.tcp_state)
    flow.replace(status={"ASSURED", 1 << 20, Unknown("status", 1 << 21)})
    Expect(flags=expect.flags)
    Filter(proto=["tcp", 17, Unknown("proto", 99)], state=flow.state, status=flow.status)
    Filter(family=flow.family)
    Filter(state=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def mistakes(flow: Flow, one: Tuple, event: Event) -> None:
    print(flow.proto == "tpc")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.proto == 6)  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.orig_proto != 6)  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(one.proto == "TCP")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.tcp_state == 3)  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.tcp_state == "CLOSED")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.family == 2)  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.family == "inet")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(event.kind == "NEW")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    print(flow.proto_number == "tcp")  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    if flow.status is not None:
        print("ASURED" in flow.status)  # pyright: ignore[reportUnnecessaryContains]
        print(4 in flow.status)  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryContains]
        assert flow.status & 4  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    Unknown("proto")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
