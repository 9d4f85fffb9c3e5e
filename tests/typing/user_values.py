"""A user's program about values: fields, how they are made, filters and errors."""

from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any, assert_type

import pyconntrack
from pyconntrack import (
    ConntrackError,
    CpuStats,
    DccpRole,
    DccpState,
    DecodeError,
    DumpInterruptedError,
    Event,
    EventKind,
    EventsLost,
    ExistsError,
    Expect,
    ExpectFlag,
    FamilyName,
    Filter,
    Flow,
    KernelError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    ProtoName,
    RequestError,
    SctpState,
    Stats,
    StatusName,
    TableFullError,
    TcpState,
    Tuple,
    Unknown,
    WhereError,
)


def tuples(data: dict[str, Any]) -> None:
    one = Tuple("192.0.2.1", IPv4Address("192.0.2.2"), "tcp", 5000, 80, zone=1)
    assert_type(Tuple(b"\1\2\3\4", ip_address("192.0.2.1"), 1, icmp_id=1, icmp_type=8), Tuple)
    assert_type(one.src, str | None)
    assert_type(one.proto, ProtoName | Unknown | None)
    assert_type(one.proto_number, int | None)
    assert_type(one.dport, int | None)
    assert_type(one.inverted(), Tuple)
    assert_type(one.key, tuple[bytes | None, ...])
    assert_type(one.to_dict(), dict[str, Any])
    assert_type(Tuple.from_dict(data), Tuple)
    Tuple(src=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Tuple("192.0.2.1", port=80)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    one.src = "192.0.2.3"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def flows(one: Tuple, data: dict[str, Any]) -> None:
    flow = Flow(one, timeout=60, status=["ASSURED", 8], tcp_state="ESTABLISHED", labels=[1, 7])
    assert_type(flow.orig, Tuple | None)
    assert_type(flow.orig_src, str | None)
    assert_type(flow.reply_dport, int | None)
    assert_type(flow.mark, int | None)
    assert_type(flow.status, frozenset[StatusName | Unknown] | None)
    assert_type(flow.status_bits, int | None)
    assert_type(flow.assured, bool)
    assert_type(flow.labels, tuple[int, ...] | None)
    assert_type(flow.helper, str | None)
    assert_type(flow.helper_info, bytes | None)
    assert_type(flow.family, FamilyName | Unknown | None)
    assert_type(flow.family_number, int)
    assert_type(flow.state, TcpState | SctpState | DccpState | Unknown | None)
    assert_type(flow.tcp_state, TcpState | Unknown | None)
    assert_type(flow.dccp_role, DccpRole | Unknown | None)
    assert_type(flow.proto, ProtoName | Unknown | None)
    assert_type(flow.proto_number, int | None)
    assert_type(flow.message, bytes)
    assert_type(flow.raw("mark"), bytes | None)
    assert_type(flow.replace(mark=5), Flow)
    assert_type(flow.same_as(flow), bool)
    assert_type(flow.differences(flow), dict[str, tuple[Any, Any]])
    assert_type(flow.to_dict(), dict[str, Any])
    assert_type(Flow.from_dict(data), Flow)
    assert_type(Flow.from_message(b""), Flow)
    assert_type({flow, flow}, set[Flow])
    Flow(one, marc=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Flow(one, timeout="60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Flow("192.0.2.1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert flow.mark + 1  # type: ignore[operator]  # pyright: ignore[reportOptionalOperand]
    assert flow.orig.src  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    assert flow.marc  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    flow.mark = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def expectations(one: Tuple) -> None:
    expect = Expect(one, one, one, timeout=60, flags="PERMANENT", helper="ftp")
    assert_type(expect.tuple, Tuple | None)
    assert_type(expect.mask, Tuple | None)
    assert_type(expect.master, Tuple | None)
    assert_type(expect.timeout, int | None)
    assert_type(expect.flags, frozenset[ExpectFlag | Unknown] | None)
    assert_type(expect.flags_bits, int | None)
    assert_type(expect.tuple_proto, ProtoName | Unknown | None)
    assert_type(expect.class_, int | None)
    assert_type(expect.replace(timeout=5), Expect)
    Expect(one, mark=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def events(event: Event) -> None:
    assert_type(event.kind, EventKind)
    assert_type(event.flow, Flow | None)
    assert_type(event.expect, Expect | None)
    assert_type(event.entry, Flow | Expect)
    assert_type(event.synthetic, bool)
    assert_type(event.time, int)
    assert_type(event.portid, int)
    assert_type(event.to_dict(), dict[str, Any])
    assert event.flow.mark  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    assert event.entry.mark  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def statistics(stats: Stats) -> None:
    assert_type(stats.entries, int)
    assert_type(stats.max_entries, int | None)
    assert_type(stats.cpus, tuple[CpuStats, ...])
    assert_type(stats.cpus[0].insert_failed, int | None)
    assert_type(stats.cpus[0].cpu, int)
    assert_type(stats.total("drop"), int)
    assert_type(stats.to_dict(), dict[str, Any])
    stats.total(drop=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def chosen(text: str | None) -> Filter:
    return Filter(proto="tcp") if text is None else ~Filter.where(text) & Filter(mark=5)


def filters(
    ports: list[int], networks: list[IPv6Network], keywords: dict[str, Any], flow: Flow,
    expect: Expect,
) -> None:  # fmt: skip
    web = Filter(proto="tcp", orig_dport=[80, 443], orig_src="10.0.0.0/8")
    assert_type(web, Filter)
    assert_type(Filter.where("proto == tcp"), Filter)
    assert_type(web & web, Filter)
    assert_type(web | web, Filter)
    assert_type(~web, Filter)
    assert_type(web.matches(flow), bool)
    assert_type(web.matches(expect), bool)
    assert_type(Filter(orig_dport=ports, orig_sport=range(1024, 2048), reply_src=networks), Filter)
    assert_type(Filter(status=["ASSURED", "!DYING"], mark=(1, 0xFF), label=7, family=2), Filter)
    assert_type(Filter(helper={"ftp", "sip"}, state="ESTABLISHED", master_dst=None), Filter)
    assert_type(Filter(**keywords), Filter)
    Filter(dport=80)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Filter(orig_src=80)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Filter("proto == tcp")  # type: ignore[call-arg, arg-type, unused-ignore]  # pyright: ignore[reportCallIssue]
    Filter(helper=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Filter(label="web")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Filter(mark="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert web & "proto == tcp"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]


def errors(error: ConntrackError) -> None:
    if isinstance(error, KernelError):
        assert_type(error.errno, int)
        assert_type(error.operation, str)
        assert_type(error.ext_ack, str)
        assert_type(error.flow, Flow | Expect | None)
        assert_type(error.attribute, str | None)
    elif isinstance(error, WhereError):
        assert_type(error.column, int)
        assert_type(error.caret(), str)
    elif isinstance(error, EventsLost):
        assert_type(error.count, int | None)
    else:
        assert error.errno  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    try:
        pass
    except (DecodeError, DumpInterruptedError, RequestError) as ours:
        assert_type(ours, DecodeError | DumpInterruptedError | RequestError)
    except PermissionError as denied:
        assert_type(denied, PermissionError)
    kinds: list[type[OSError]] = [
        KernelError, NotSupportedError, PermissionDeniedError, NotFoundError, ExistsError,
        TableFullError,
    ]  # fmt: skip
    values: list[type[ValueError]] = [RequestError]
    values.append(DecodeError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(pyconntrack.__version__, str)
    assert kinds
    assert pyconntrack.Conntarck  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
