"""Expressions: what they match, where they are wrong, what is said of the kernel's part."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyconntrack.ctnetlink.layout
from pyconntrack import Filter, errors, where
from pyconntrack.ctnetlink import predicates
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.predicates import And, Bits, In, Net, bind
from pyconntrack.ctnetlink.pushdown import push_down
from pyconntrack.ctnetlink.schema import CONNTRACK
from pyconntrack.netlink import messages
from pyconntrack.where import services, times
from pyconntrack.where.explanation import AGAIN
from support import ROOT

NEW = 0x0100


def v4(text: str) -> bytes:
    return inet_pton(AF_INET, text)


def v6(text: str) -> bytes:
    return inet_pton(AF_INET6, text)


def matches(text: str, values: dict[str, Any], family: int = AF_INET) -> bool:
    message = messages.message(NEW, 0, 1, family, encode(CONNTRACK, values, family))
    layout = pyconntrack.ctnetlink.layout.find(message)
    test = bind(where.parse(text), layout)
    return test if isinstance(test, bool) else test(layout.unpack(message))


TCP: dict[str, Any] = {
    "orig_src": v4("10.0.0.1"), "orig_dst": v4("192.0.2.7"), "orig_proto": 6,
    "orig_sport": 40000, "orig_dport": 443,
    "reply_src": v4("192.0.2.7"), "reply_dst": v4("198.51.100.1"), "reply_proto": 6,
    "reply_sport": 443, "reply_dport": 40000,
    "status": 0x19E & ~0x100 | 0x4, "tcp_state": 3, "timeout": 300, "mark": 0x105, "use": 1,
    "orig_packets": 60, "orig_bytes": 900_000, "reply_packets": 50, "reply_bytes": 200_000,
    "helper": "ftp", "labels": bytes([0b100010, 0, 0, 0, 0, 0, 0, 0] * 2), "zone": 7,
}  # fmt: skip
UDP6: dict[str, Any] = {
    "orig_src": v6("fe80::1"), "orig_dst": v6("2001:db8::5"), "orig_proto": 17,
    "orig_sport": 53, "orig_dport": 5353,
    "reply_src": v6("2001:db8::5"), "reply_dst": v6("fe80::1"), "reply_proto": 17,
    "reply_sport": 5353, "reply_dport": 53, "status": 0x8, "timeout": 29,
}  # fmt: skip
SCTP: dict[str, Any] = {"orig_src": v4("10.0.0.1"), "orig_proto": 132, "sctp_state": 4, "status": 8}

#: expression, whether it matches TCP, UDP6
CASES = [
    ("proto == tcp", True, False),
    ("PROTO = TCP", True, False),
    ("proto == 6", True, False),
    ("orig_proto != tcp", False, True),
    ("proto in tcp,udp", True, True),
    ("proto in {udp, icmp}", False, True),
    ('proto == "tcp"', True, False),
    ("proto >= 7", False, True),
    ("src == 10.0.0.1", True, False),
    ("orig.src in 10.0.0.0/8", True, False),
    ("orig_src in 10.1.2.3/8", True, False),
    ("orig.src in 10.0.0.1, fe80::/10", True, True),
    ("orig.src in {10.0.0.0/24, fe80::1}", True, True),
    ("orig.src not in {10.0.0.0/24}", False, True),
    ("orig.src != 10.0.0.2", True, True),
    ("orig.src not in ::/0", True, False),
    ("reply.dst in 0.0.0.0/0", True, False),
    ("dport == 443", True, False),
    ("dport in 80,443,8000-8100", True, False),
    ("dport in {80, 5353}", False, True),
    ("dport in 400..500", True, False),
    ("dport in 400 - 500", True, False),
    ("dport in {400 .. 442, 444..500}", False, False),
    ("dport not in 1-1000", False, True),
    ("dport != 443", False, True),
    ("dport < 443", False, False),
    ("dport <= 443", True, False),
    ("dport > 443", False, True),
    ("dport >= 443", True, True),
    ("sport>1024 and dport<1024", True, False),
    ("dport == 0x1bb", True, False),
    ("assured", True, False),
    ("ASSURED", True, False),
    ("not assured", False, True),
    ("not not assured", True, False),
    ("seen_reply and assured", True, False),
    ("assured and not seen_reply", False, False),
    ("unreplied", False, True),
    ("not unreplied", True, False),
    ("confirmed", True, True),
    ("src_nat", True, False),
    ("dst_nat", False, False),
    ("offload or hw_offload or dying or fixed_timeout or expected", False, False),
    ("helper", False, False),
    ("snat", True, False),
    ("dnat", False, False),
    ("nat", True, False),
    ("not snat", False, True),
    ("orig.src != reply.dst", True, False),
    ("dport != reply.sport", False, False),
    ("orig.src == reply.dst", False, True),
    ("not orig.src == reply.dst", True, False),
    ("orig_bytes > reply_bytes", True, False),
    ("orig.bytes > reply.bytes", True, False),
    ("orig.bytes <= reply.bytes", False, False),
    ("ORIG.PACKETS >= orig.packets", True, False),
    ("sport < dport", False, True),
    ("sport = reply.dport", True, True),
    ("mark > zone", True, False),
    ("mark == zone", False, True),
    ("packets > 100", True, False),
    ("packets <= 109", False, False),
    ("packets == 110", True, False),
    ("packets != 110", False, False),
    ("orig.packets == 60", True, False),
    ("bytes > 1M", True, False),
    ("bytes >= 1100k and bytes < 2Mi", True, False),
    ("bytes in 1000k-1G", True, False),
    ("timeout == 5m", True, False),
    ("timeout < 90s", False, True),
    ("timeout >= 4m59s", True, False),
    ("timeout < 1w", True, True),
    ("bytes > 1MB and bytes < 2MiB", True, False),
    ("bytes == 1100kB", True, False),
    ("bytes >= 1100000b", True, False),
    ("dport == https", True, False),
    ("dport in {http, https, 8000-8100}", True, False),
    ("dport != HTTPS", False, True),
    ("dport > http", True, True),
    ("sport == 'domain'", False, True),
    ("src == '10.0.0.1'", True, False),
    ('src in {"10.0.0.0/24", fe80::/10}', True, True),
    ("src != '10.0.0.2'", True, True),
    ("status == ASSURED", True, False),
    ("status = assured", True, False),
    ("status != ASSURED", False, True),
    ("status == UNREPLIED", False, True),
    ("status == HELPER", False, False),
    ("status != 'DYING'", True, True),
    ("status in {ASSURED, DYING}", True, False),
    ("status not in {ASSURED, DYING}", False, True),
    ("status in {ASSURED, 8}", True, True),
    ("status == UNSET", False, True),
    ("status != UNSET", True, False),
    ("status & ASSURED == ASSURED", True, False),
    ("age > 5m", False, False),
    ("not age > 5m", True, True),
    ("start > 2026-11-25T08:00", False, False),
    ("timeout < 30s", False, True),
    ("timeout in 10-1h", True, True),
    ("timeout <= 2h", True, True),
    ("family == ipv4", True, False),
    ("family != ipv4", False, True),
    ("not family == ipv4", False, True),
    ("family in {ipv4, ipv6}", True, True),
    ("family == 10", False, True),
    ("state == ESTABLISHED", True, False),
    ("state == established", True, False),
    ("state != ESTABLISHED", False, False),
    ("state in SYN_SENT, CLOSE", False, False),
    ("state not in {SYN_SENT}", True, False),
    ("tcp.state == 3", True, False),
    ("tcp_state != established", False, False),
    ("mark == 0x105", True, False),
    ("mark == 5", False, False),
    ("mark & 0xff == 5", True, False),
    ("mark & 0xff != 5", False, True),
    ("mark & 0xff != 4", True, True),
    ("mark & 0xff in {4, 5}", True, False),
    ("mark & 0xff not in {4, 6}", True, True),
    ("mark & 0xf == 5 and mark & 0xf00 == 0x100", True, False),
    ("mark != 5", True, True),
    ("not mark == 5", True, True),
    ("mark in 0x100-0x1ff", True, False),
    ("status == 8", False, True),
    ("status & 6 == 6", True, False),
    ("status & 6 == 0", False, True),
    ("label == 5", True, False),
    ("label in {2, 5}", True, False),
    ("label in 2-4", False, False),
    ("label != 5", False, True),
    ("labels == 65", True, False),
    ("helper == ftp", True, False),
    ('helper == "ftp"', True, False),
    ("helper in {sip, 'ftp'}", True, False),
    ("helper == sip", False, False),
    ('helper == "zone"', False, False),
    ("helper != zone", True, True),
    ("helper != ftp", False, True),
    ("zone == 7", True, False),
    ("zone != 5", True, True),
    ("zone in 1-9", True, False),
    ("master.src == 10.0.0.1", False, False),
    ("master.src != 10.0.0.1", False, False),
    ("not master.src == 10.0.0.1", True, True),
    ("proto == udp or proto == tcp and assured", True, True),
    ("(proto == udp or proto == tcp) and assured", True, False),
    ("not proto == udp and not assured", False, False),
    ("not (proto == udp and not assured)", True, False),
    ("  proto==tcp\tand\nassured ", True, False),
    ("src in 10.0.0.0/8 and dport == 443 or src in fe80::/10 and dport == 5353", True, True),
]


@pytest.mark.parametrize(("text", "tcp", "udp6"), CASES, ids=[case[0] for case in CASES])
def test_matches(text: str, tcp: bool, udp6: bool) -> None:
    assert matches(text, TCP) is tcp
    assert matches(text, UDP6, AF_INET6) is udp6


@pytest.mark.parametrize("text", [case[0] for case in CASES])
def test_shown_is_read_back(text: str) -> None:
    node = where.parse(text)
    assert where.parse(where.show(node)) == node


@pytest.mark.parametrize("text", [case[0] for case in CASES])
def test_explain_says_every_line(text: str) -> None:
    lines = where.explain(where.parse(text))
    assert all(line.startswith(("kernel: ", "user space")) for line in lines)
    assert "with one value)" not in "".join(lines)


def test_state_is_any_protocols() -> None:
    assert matches("state == established", SCTP)
    assert not matches("state == cookie_wait", SCTP)
    assert matches("state != cookie_wait", SCTP)
    assert not matches("state == open", SCTP)


START = 1_764_057_600_000_000_000  # 2025-11-25T08:00:00Z
LIVE = {"orig_proto": 6, "timestamp_start": START + 5}
ENDED = {"orig_proto": 6, "timestamp_start": START, "timestamp_stop": START + 90 * 10**9 - 1}
#: expression, whether it matches LIVE ten minutes after START, ENDED
TIMES = [
    ("start > 2025-11-25T08:00Z", True, False),
    ("start >= 2025-11-25T08:00Z", True, True),
    ("start > 2025-11-25T10:00", True, False),
    ("start > '2025-11-25 10:00:00'", True, False),
    ("start >= 2025-11-25", True, True),
    ("start < 2025-11-26", True, True),
    ("start < 2025-11-25T09:00:00+01:00", False, False),
    ("start <= 2025-11-25T02:30-0530", False, True),
    ("start == 2025-11-25T08:00:00.000000005Z", True, False),
    ("start in 2025-11-25T08:00Z..2025-11-25T08:01Z", True, True),
    ("start not in 2025-11-25T08:00Z .. 2025-11-25T08:01Z", False, False),
    ("timestamp.start == 1764057600000000005", True, False),
    ("timestamp_start >= 1764057600000000000", True, True),
    ("stop > 2025-11-25T08:00Z", False, True),
    ("not stop > 2025-11-25T08:00Z", True, False),
    ("start < stop", False, True),
    ("age > 5m", True, False),
    ("age >= 599", True, False),
    ("age == 9m59s", True, False),
    ("age != 9m59s", False, True),
    ("age < 90s", False, True),
    ("age <= 89", False, True),
    ("age in 1m-1h", True, True),
    ("age > 1w", False, False),
    ("not age > 1w", True, True),
]


@pytest.fixture
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time two hours ahead of UTC, and the clock ten minutes after START."""
    monkeypatch.setattr(predicates, "now", lambda: START + 600 * 10**9)
    monkeypatch.setenv("TZ", "EET-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("fixed_clock")
@pytest.mark.parametrize(("text", "live", "ended"), TIMES, ids=[case[0] for case in TIMES])
def test_times_and_ages(text: str, live: bool, ended: bool) -> None:
    assert (matches(text, LIVE), matches(text, ENDED)) == (live, ended)
    node = where.parse(text)
    assert where.parse(where.show(node)) == node
    assert matches(where.show(node), LIVE) is live


def test_a_start_in_the_future_is_an_age_of_0() -> None:
    later = {"orig_proto": 6, "timestamp_start": time.time_ns() + 10**12}
    assert matches("age == 0", later)
    assert not matches("age > 0", later)


@given(st.integers(0, 2**64 - 1), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_every_time_is_shown_and_read_back(nanoseconds: int, op: str) -> None:
    assert times.instant(times.iso(nanoseconds)) == nanoseconds
    edge = {"<": 0, ">": 2**64 - 1}.get(op)
    if nanoseconds != edge:  # which nothing is below, or above
        node = where.parse(f"start {op} {times.iso(nanoseconds)}")
        assert where.parse(where.show(node)) == node


def _port(ports: dict[str, int], protocol: str) -> int:
    try:
        return ports[protocol]
    except KeyError:
        raise OSError from None


def test_a_service_with_two_ports_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {"tcp": 512, "udp": 513}
    monkeypatch.setattr(services, "getservbyname", lambda name, protocol: _port(ports, protocol))
    with pytest.raises(where.WhereError, match="`x' is 512 of tcp, 513 of udp: write the number"):
        where.parse("dport == x")
    ports["udp"] = 512
    assert where.parse("dport == x") == In("orig_dport", (512, 512))


ERRORS = [
    ("", 1, "a field, a flag or `(' is expected, not the end"),
    ("   ", 4, "not the end"),
    ("dprot == 5", 1, "do you mean `dport'?"),
    ("assured and orig.sprt == 5", 13, "do you mean `orig.sport'?"),
    ("orig_dest == 10.0.0.1", 1, "do you mean `orig.dst'?"),
    ("asured", 1, "do you mean `assured'?"),
    ("xyzzyplugh == 1", 1, "there is no field `xyzzyplugh'"),
    ("80 == dport", 1, "the name of a field is expected"),
    ("10.0.0.1 == src", 1, "the name of a field is expected"),
    ("fe80::1 == src", 1, "the name of a field is expected"),
    ("dport", 1, "dport needs a comparison, as in `orig.dport == 5'"),
    ("src and assured", 1, "as in `orig.src in 10.0.0.0/8'"),
    ("dport ==", 9, "a value is expected, not the end"),
    ("dport == and", 10, "a value is expected"),
    ("dport == 70000", 10, "a number from 0 to 65535, not `70000'"),
    ("dport == -1", 10, "a number from 0 to 65535"),
    ("dport == htpps", 10, "no service has the name `htpps': do you mean `https'?"),
    ("start > 2026-13-01", 9, "start is a time, as in 2026-11-25T08:00 (local)"),
    ("start > 1764057600", 9, "or nanoseconds, not `1764057600'"),
    ("start > 5m", 9, "start is a time"),
    ("start == 2026-11-25..2026-11-26", 10, "ranges need `in'"),
    ("start > 2026-11-25T8:00", 9, "start is a time"),
    ("start > 2026-11-25T08:00:00.0000000001", 9, "start is a time"),
    ("start > 2026-11-25T08:00+25:00", 9, "start is a time"),
    ("start > 1969-12-31T23:00Z", 9, "start is a time"),
    ("age > 5x", 7, "a number from 0 to 18446744073, with or without a unit (s m h d w)"),
    ("age > 5m1h", 7, "age is a number"),
    ("age > 2026-11-25", 7, "age is a number"),
    ("age & 1 == 1", 5, "age has no bits"),
    ("age > timeout", 5, "age cannot be compared"),
    (
        "status == ASURED",
        11,
        "status is a word or a number from 0 to 4294967295, not `ASURED': do you mean `ASSURED'?",
    ),
    ("status > ASSURED", 10, "is a word without order"),
    ("src == '10.0.0.x'", 8, "orig.src is an address"),
    ("packets > 5MB", 11, "with or without a unit (k m"),
    ("mark + 1 == 5", 6, "the character '+' means nothing here"),
    ("dport == '80'", 10, "a number from 0 to 65535"),
    ("dport == 10.0.0.1", 10, "a number from 0 to 65535"),
    ("dport == 080", 10, "begins with 0"),
    ("dport == 5k", 10, "a number from 0 to 65535"),
    ("dport == 80-90", 10, "ranges need `in'"),
    ("dport == 80,443", 12, "a list of values needs `in'"),
    ("dport == {80}", 10, "a set needs `in'"),
    ("dport in 90-80", 10, "ends before it begins"),
    ("dport in {80, 90..80}", 15, "ends before it begins"),
    ("dport in {}", 10, "an empty set"),
    ("dport in {80", 10, "this set is never closed"),
    ("dport in {80 443}", 14, "a comma or `}' is expected"),
    ("dport in {80,}", 14, "a value is expected"),
    ("dport in (80)", 10, "a set has braces"),
    ("dport < 0", 7, "no orig.dport can be that"),
    ("dport not in 0-65535", 11, "no orig.dport can be that"),
    ("dport == 1 == 2", 12, "comparisons do not chain"),
    ("dport == 1 dport == 2", 12, "`and' or `or' is expected"),
    ("packets == orig.packets", 9, "packets cannot be compared"),
    ("src < reply.dst", 5, "orig.src has no order"),
    ("mark & 1 == zone", 13, "zone' is a field"),
    ("dport != src", 10, "orig.dport is the name of a service or a number"),
    ("dport != packets", 10, "packets cannot be compared"),
    ("dport in sport", 10, "is a field"),
    ("src < 10.0.0.1", 5, "orig.src has no order, it is an address"),
    ("src == 10.0.0.0/8", 8, "networks need `in'"),
    ("src in 10.0.0.0/33", 17, "a prefix length from 0 to 32"),
    ("src in fe80::/129", 15, "a prefix length from 0 to 128"),
    ("src in 10.0.0.0/255.0.0.0", 17, "a prefix length"),
    ("src in 10/8", 8, "orig.src is an address, not `10/8'"),
    ("src == 80", 8, "orig.src is an address"),
    ("src in 10.0.0.9-10.0.0.1", 8, "ends before it begins"),
    ("src in 10.0.0.1-9", 8, "a range has two whole addresses"),
    ("src in 10.0.0.1-::1", 8, "a range has two whole addresses"),
    ("src == 10.0.0.1-10.0.0.9", 8, "ranges need `in'"),
    ("src & 1 == 1", 5, "has no bits to mask"),
    ("packets & 1 == 1", 9, "has no bits to mask"),
    ("mark & 0 == 0", 8, "a mask of 0"),
    ("mark & 0xff", 12, "as in `mark & 0xff == 0xff'"),
    ("mark & 0xff == 0x100", 16, "0x100 has bits outside the mask 0xff"),
    ("mark & 0xff < 5", 13, "masked bits have no order"),
    ("assured == true", 9, "assured is a flag: write `assured' or `not assured'"),
    ("family == ip", 11, "family is ipv4 or ipv6"),
    ("family < ipv6", 8, "has no order"),
    ("family not in {ipv4, ipv6}", 16, "no entry"),
    ("state == ESTABLISHD", 10, "do you mean `ESTABLISHED'?"),
    ("state == 3", 10, "depends on the protocol"),
    ("state < CLOSE", 7, "has no order"),
    ("tcp.state == ESTAB", 14, "do you mean `ESTABLISHED'?"),
    ("tcp.state < CLOSE", 13, "a word without order"),
    ("proto == tpc", 10, "do you mean `tcp'?"),
    ("proto > tcp", 9, "a word without order"),
    ("proto == 256", 10, "a number from 0 to 255"),
    ("helper > ftp", 8, "helper has no order, it is a text"),
    ("helper == ", 11, "a value is expected"),
    ("label == 128", 10, "0 to 127"),
    ("label > 5", 7, "has no order"),
    ("timeout == 5x", 12, "with or without a unit (s m h d w)"),
    ("bytes > 5q", 9, "with or without a unit (k m g t"),
    ("helper == 'ftp", 11, "never closed"),
    ("helper == 'a\0b'", 11, "printable"),
    ("proto == '\udc80'", 10, "printable"),
    ("(assured", 1, "this parenthesis is never closed"),
    ("assured)", 8, "no parenthesis is open here"),
    ("(assured dying)", 10, "`and' or `or' is expected"),
    ("assured and", 12, "not the end"),
    ("assured && dying", 9, "write `and'"),
    ("assured || dying", 9, "write `or'"),
    ("!assured", 1, "write `not'"),
    ("assured ; dying", 9, "means nothing here"),
    ("dport not 80", 1, "dport needs a comparison"),
    ("(" * 51 + "assured" + ")" * 51, 51, "more than 50"),
    ("orig.src in 10.0.0.0/8 and family == ipv6", 28, "`orig.src in 10.0.0.0/8' only IPv4"),
    ("family == ipv4 and (dport == 80 or dport == 81) and src == ::1", 53, "only matches IPv6"),
    ("src == ::1 and not family == ipv6", 16, "only matches IPv4"),
    ("src == ::1 and (src == 10.0.0.1 or family == ipv4)", 16, "only matches IPv4"),
]


@pytest.mark.parametrize(("text", "column", "words"), ERRORS, ids=[case[0] for case in ERRORS])
def test_error(text: str, column: int, words: str) -> None:
    with pytest.raises(where.WhereError) as caught:
        where.parse(text)
    error = caught.value
    assert isinstance(error, errors.RequestError)
    assert words in str(error)
    assert (error.column, "\n" in str(error)) == (column, False)
    assert error.caret().split("\n")[1].index("^") == column - 1


def test_error_survives_pickling() -> None:
    error = where.WhereError("reason", "text", 3)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.column, again.caret()) == (str(error), 3, "text\n  ^")


# precedence: random expressions against Python's own operators, which bind alike

_ATOMS = {
    "assured": (4, True),
    "seen_reply": (2, True),
    "unreplied": (2, False),
    "mark == 1": (None, 1),
    "mark != 1": (None, -1),
}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 0) -> str:
    kind = draw(st.sampled_from(("atom", "not", "and", "or", "parens") if depth < 5 else ("atom",)))
    if kind == "atom":
        return draw(st.sampled_from(sorted(_ATOMS)))
    inner = draw(expressions(depth + 1))
    if kind == "not":
        return f"not {inner}"
    if kind == "parens":
        return f"({inner})"
    return f"{inner} {kind} {draw(expressions(depth + 1))}"


@given(expressions(), st.integers(0, 7), st.integers(0, 2))
def test_precedence(text: str, status: int, mark: int) -> None:
    names = {
        "assured": bool(status & 4), "seen_reply": bool(status & 2),
        "unreplied": not status & 2, "mark": mark,
    }  # fmt: skip
    expected = bool(eval(text, {}, names))
    values = {"orig_proto": 6, "status": status, "mark": mark}
    assert matches(text, values) is expected
    assert matches(where.show(where.parse(text)), values) is expected


@given(st.text(alphabet="() adnortisup=!<>&{},.-/:019'mk", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        node = where.parse(text)
    except where.WhereError as error:
        column = error.column
    else:
        column = 1
        assert where.parse(where.show(node)) == node
    assert 1 <= column <= len(text) + 1


_FIELDS = st.sampled_from(
    ["age", "start", "status", "dport", "zone", "mark", "bytes", "orig.bytes", "timeout"]
)
_OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
_VALUES = st.sampled_from([
    "ASSURED", "UNREPLIED", "unset", "5m", "1h30m", "2w", "http", "2026-11-25", "0", "1", "10-20",
    "2026-11-25T08:00:00.5Z", "2026-11-25..2026-11-26", "1MB", "0xff", "reply.bytes", "zone",
])  # fmt: skip


@given(
    st.sampled_from(["", "not "]), _FIELDS, _OPERATORS, st.lists(_VALUES, min_size=1, max_size=2)
)
def test_any_comparison_is_read_back_or_refused(
    negated: str, field: str, operator: str, chosen: list[str]
) -> None:
    text = f"{negated}{field} {operator} {', '.join(chosen)}"
    try:
        node = where.parse(text)
    except where.WhereError as error:
        column = error.column
    else:
        column = 1
        assert where.parse(where.show(node)) == node
    assert 1 <= column <= len(text) + 1


# the kernel's part


def test_flags_and_marks_reach_the_kernel() -> None:
    node = where.parse("assured and not seen_reply and mark & 0xf == 5 and mark & 0xf0 == 0x10")
    assert node == And((Bits("status", 6, 4), Bits("mark", 0xFF, 0x15)))
    down = push_down(node)
    assert down.values == {"status": 4, "status_mask": 6, "mark": 0x15, "mark_mask": 0xFF}


def test_family_follows_from_either_side() -> None:
    node = where.parse("src in 10.0.0.0/8 or dst in 10.0.0.0/8")
    assert push_down(node).family == AF_INET
    assert push_down(where.parse("src in {10.0.0.0/8, ::1}")).family == 0


def test_ranges_are_joined() -> None:
    assert where.parse("dport in 80,81,79-80,90") == In("orig_dport", (79, 81), (90, 90))
    assert where.parse("src in 10.1.2.3/8, 10.0.0.0/8") == Net(
        "orig_src", (v4("10.0.0.0"), v4("255.0.0.0"))
    )


EXPLAINED = [
    ("proto == udp and dst in 10.0.0.0/8 and not assured and packets > 100", [
        "kernel: family == ipv4 (that of the addresses)",
        "kernel: orig.proto == udp",
        "kernel: not assured",
        "user space: orig.dst in 10.0.0.0/8 (the kernel compares whole addresses, not networks)",
        "user space: packets >= 101 (the kernel has no filter for counters)",
    ]),
    ("src == fe80::1 and dport == 80", [
        "kernel: family == ipv6 (that of the addresses)",
        "user space: orig.src == fe80::1 (some kernels invert the test of an IPv6 address)",
        "user space: orig.dport == 80 (the kernel compares ports only of tcp and udp: add "
        "`orig.proto == tcp')",
    ]),
    ("dport == 80", [
        "kernel: returns the whole table",
        "user space: orig.dport == 80 (the kernel compares ports only of tcp and udp, and tuples "
        "only with the family set: add `orig.proto == tcp' and `family == ipv4')",
    ]),
    ("proto == tcp and reply.dport == 80", [
        "kernel: returns the whole table",
        "user space: orig.proto == tcp (the kernel compares tuples only with the family set: add "
        "`family == ipv4')",
        "user space: reply.dport == 80 (the kernel compares ports only of tcp and udp, and tuples "
        "only with the family set: add `reply.proto == tcp' and `family == ipv4')",
    ]),
    ("family == ipv4 and dport == 80", [
        "kernel: family == ipv4",
        "user space: orig.dport == 80 (the kernel compares ports only of tcp and udp: add "
        "`orig.proto == tcp')",
    ]),
    ("family == ipv4 and dport == 80 and proto == sctp and sport in 1-9", [
        "kernel: family == ipv4",
        "kernel: orig.proto == sctp",
        "user space: orig.dport == 80 (the kernel compares ports only of tcp and udp)",
        "user space: orig.sport in 1-9 (the kernel compares with one value, not with ranges or "
        "sets)",
    ]),
    ("proto == tcp and src == 10.0.0.1 and dport == 80", [
        "kernel: family == ipv4 (that of the addresses)",
        "kernel: orig.proto == tcp",
        "kernel: orig.src == 10.0.0.1",
        "kernel: orig.dport == 80",
        "user space: nothing more",
    ]),
    ("zone == 5 and zone == 6", [
        "kernel: zone == 5 (loosely: entries with this zone in one direction come too)",
        "user space: zone == 6 (the kernel compares zone with one value)",
    ]),
    ("src != 10.0.0.1 and (dying or snat) and not label == 1", [
        "kernel: returns the whole table",
        "user space: orig.src != 10.0.0.1 (the kernel knows no `not')",
        "user space: (dying or src_nat_done and (orig.src != reply.dst or orig.sport != "
        "reply.dport or orig.srckey != reply.dstkey)) (the kernel knows no `or')",
        "user space: not label == 1 (the kernel knows no `not')",
    ]),
    ("helper == ftp and label == 1 and timeout > 1h and master.src == 1.2.3.4", [
        "kernel: family == ipv4 (that of the addresses)",
        'user space: helper == "ftp" (the kernel has no filter for texts)',
        "user space: label == 1 (the kernel has no filter for labels)",
        "user space: timeout >= 3601 (the kernel has no filter for timeout)",
        "user space: master.src == 1.2.3.4 (the kernel has no filter for master.src)",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lines"), EXPLAINED, ids=[case[0] for case in EXPLAINED])
def test_explain(text: str, lines: list[str]) -> None:
    explained = where.explain(where.parse(text))
    pushed = any(line.startswith("kernel: ") and "whole" not in line for line in lines)
    assert explained == [*lines, *([AGAIN] if pushed else [])]


def test_explain_of_a_filter_speaks_its_language() -> None:
    (_, line) = Filter(orig_dport=80).explain()
    assert line.endswith('add `proto="tcp"\' and `family="ipv4"\')')
    assert Filter().explain() == [
        "kernel: returns the whole table", "user space: nothing more"]  # fmt: skip


def test_explain_of_no_predicate() -> None:
    assert where.explain(None)[0] == "kernel: returns the whole table"


def test_imports_nothing_slow() -> None:
    code = (
        "import sys; before = set(sys.modules); import pyconntrack.where;"
        "print(*sorted({'re', 'typing', 'enum', 'dataclasses', 'difflib', 'ipaddress', 'socket'}"
        " & set(sys.modules) - before))"
    )
    path = str(ROOT / "src")
    code = f"import sys; sys.path.insert(0, {path!r}); {code}"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], env={}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ""
