"""Checks of what failed: the differences of the counters, and the ports of NAT.

One counter moves for several reasons, so that each reason is taken from the differences of several
(:class:`~pyconntrack.doctor.examination.Failures`), and is reported by one check only.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from ..examination import PRESSED
from ..finding import Finding
from ..ports import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..examination import Examination
    from ..finding import Severity
    from ..ports import Pressure

    Thresholds = Mapping[str, float]

_PRIVILEGED = [(each,) for each in CLASSES[:2]]
_OTHERS = CLASSES[2][1] - CLASSES[2][0] + 1
#: percent of the ports of one client from which no others are to be helped
ALONE = 90
_ONE_READING = "only one reading of the counters: rates need some time (--for 5s)"


def nat_ports(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Which ranges of public ports are nearly used up, by whom, and what failed for it."""
    for pressure in examination.pressed:
        exhausted = pressure in examination.exhausted
        # what a rule that was not seen allows is not known: only failures show that it is too few
        severity: Severity = "crit" if exhausted else "warn"
        if not exhausted and (pressure.share < PRESSED or not pressure.alarming):
            severity = "ok"
        lines = [_holds(pressure)]
        causes = [_failed(examination)] if exhausted else []
        if pressure.client:
            part = 100 * pressure.client_held / pressure.held
            causes.append(f"{part:.0f} % of the ports belong to {pressure.client}")
        lines += filter(None, ["; ".join(filter(None, causes))])
        if pressure.ending:
            lines.append(
                f"{pressure.ending:,} more are of ended connections, which give way to new ones"
            )
        if pressure.assumed:
            reason = examination.snapshot.unknown.get(
                "nat", "no rule that nft shows names its ports"
            )
            lines.append(f"Capacity assumed: {reason}")
        advice = "" if severity == "ok" else _advice(pressure)
        yield Finding("nat-ports", severity, _subject(pressure), pressure.held, pressure.capacity,
                      tuple(lines), advice)  # fmt: skip


def _holds(pressure: Pressure) -> str:
    return f"holds {pressure.held:,} of {pressure.capacity:,} ports ({int(pressure.share)} %)"


def _failed(examination: Examination) -> str:
    """Return what failed for lack of a port, "" if nothing did; the kernel counts all together."""
    failures, number = examination.failures, len(examination.exhausted)
    if failures is None or not failures.ports:
        return ""
    text = f"{failures.ports:,} new connections failed {examination.during}"
    return text if number == 1 else f"{text} in all {number} such ranges"


def _subject(pressure: Pressure) -> str:
    destination = pressure.destination
    if ":" in destination:
        destination = f"[{destination}]"
    text = f"{pressure.address} -> {destination}:{pressure.port}/{pressure.protocol}"
    return text if pressure.zone is None else f"{text} in zone {pressure.zone}"


def _advice(pressure: Pressure) -> str:
    ports = ", ".join(f"{low}-{high}" for low, high in pressure.ranges)
    if pressure.ranges in _PRIVILEGED:
        return f"Sources below 1024 are translated to ports {ports} only: name ports in the rule"
    if pressure.capacity < _OTHERS and not pressure.assumed:
        return f"Let the rule translate to more ports than {ports}"
    if pressure.client_held >= ALONE * pressure.held / 100:
        return (
            f"Let {pressure.client} keep connections open and use them again: more addresses help"
            " many clients, not one"
        )
    length = 64 if ":" in pressure.client else 24
    clients = ip_network(f"{pressure.client}/{length}", strict=False)
    return f"Translate {clients} to several addresses: it helps many clients, not one"


def insert_failed(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether new connections failed for lack of a port, apart from the ranges that nat-ports names
    and from too long chains.

    ``insert_failed`` less ``chain_toolong``; the same number is in ``drop``.
    """
    failures = examination.failures
    if failures is None:
        yield Finding("insert-failed", "unknown", evidence=(_ONE_READING,))
    elif failures.ports and examination.exhausted:
        text = f"{failures.ports:,} {examination.during}, for lack of ports: see nat-ports"
        yield Finding("insert-failed", "ok", "", failures.ports, None, (text,))
    elif failures.ports:
        finding = _counted(
            "insert-failed", failures.ports, examination, thresholds,
            f"{failures.ports:,} new connections failed {examination.during}: no free port for NAT,"
            " or two packets began the same connection",
            "Look for a rule that translates to few ports or one address (nft list ruleset)",
        )  # fmt: skip
        fullest = examination.fullest()
        if fullest is not None:
            line = f"Most of a range: {_subject(fullest)} {_holds(fullest)} of all its rules"
            finding = finding._replace(evidence=(*finding.evidence, line))
        yield finding


def chain_too_long(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether new connections failed as their hash chain is too long."""
    failures = examination.failures
    if failures is None:
        yield Finding("chain-too-long", "unknown", evidence=(_ONE_READING,))
    elif failures.chains:
        snapshot = examination.snapshot
        wanted = max(2 * snapshot.buckets, snapshot.maximum)
        yield _counted(
            "chain-too-long", failures.chains, examination, thresholds,
            f"{failures.chains:,} new connections failed {examination.during}: their hash chains"
            f" are too long ({snapshot.counts[1]:,} entries in {snapshot.buckets:,} buckets)",
            examination.sizes(nf_conntrack_buckets=wanted),
        )  # fmt: skip


def drop(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether packets were dropped for another reason than lack of ports or a full table.

    ``drop`` less the failures for lack of ports; in a full table it belongs to table-full.
    """
    failures = examination.failures
    if failures is None:
        yield Finding("drop", "unknown", evidence=(_ONE_READING,))
    elif failures.full and examination.is_full:
        text = f"{failures.full:,} {examination.during}, as the table is full: see table-full"
        yield Finding("drop", "ok", "", failures.full, None, (text,))
    elif failures.full:
        yield _counted(
            "drop", failures.full, examination, thresholds,
            f"{failures.full:,} packets dropped {examination.during}, though the table was not full"
            " at either reading",
            "Watch the count (conntrack -C): the table may be full for moments",
        )  # fmt: skip


def early_drop(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether entries gave way to new ones, though the table was not seen full."""
    failures = examination.failures
    if failures is None:
        yield Finding("early-drop", "unknown", evidence=(_ONE_READING,))
    elif failures.evicted and examination.is_full:
        text = f"{failures.evicted:,} {examination.during}, as the table is full: see table-full"
        yield Finding("early-drop", "ok", "", failures.evicted, None, (text,))
    elif failures.evicted:
        yield _counted(
            "early-drop", failures.evicted, examination, thresholds,
            f"{failures.evicted:,} entries that were not assured gave way {examination.during}: the"
            " table was full for a moment",
            "Raise nf_conntrack_max, or find what begins so many connections",
        )  # fmt: skip


def error(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether many packets of ICMP are damaged, of an unknown type, or about no known connection.

    Only ICMP moves this counter (nf_conntrack_handle_icmp).
    """
    yield from _rated(
        examination, thresholds, "error",
        "packets of ICMP that are damaged, or about no known connection",
        "See which: sysctl -w net.netfilter.nf_conntrack_log_invalid=255, then the kernel's log",
    )  # fmt: skip


def invalid(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether many packets fit no connection and cannot begin one.

    Mostly they are late, or only one direction of the connection passes here; those with a wrong
    header or checksum count, too.
    """
    yield from _rated(
        examination, thresholds, "invalid",
        "packets that fit no connection, as they are late or damaged, or only one direction passes",
        "See which: sysctl -w net.netfilter.nf_conntrack_log_invalid=6, then the kernel's log",
    )  # fmt: skip


def clash_resolve(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """How often two packets of one new flow came at once; nothing is lost by it."""
    number = examination.snapshot.change("clash_resolve")
    if number is None:
        yield Finding("clash-resolve", "unknown", evidence=(_ONE_READING,))
    else:
        text = f"{number:,} {examination.during}: two packets of a new flow came at once,"
        text += " both were let through (healthy)"
        yield Finding("clash-resolve", "ok", "", number, None, (text,))


def _counted(
    code: str, number: int, examination: Examination, thresholds: Thresholds, text: str,
    advice: str,
) -> Finding:  # fmt: skip
    """Return the finding of ``number`` failures: "crit" from a rate on."""
    rate = number / examination.snapshot.seconds
    severity: Severity = "crit" if rate >= thresholds["crit"] else "warn"
    return Finding(code, severity, "", number, None, (text,), advice)


def _rated(
    examination: Examination, thresholds: Thresholds, name: str, text: str, advice: str
) -> Iterator[Finding]:
    rate = examination.snapshot.rate(name)
    if rate is None:
        yield Finding(name, "unknown", evidence=(_ONE_READING,))
    elif rate >= thresholds["warn"]:
        line = f"{rate:,.0f} each second: {text}"
        yield Finding(name, "warn", "", rate, thresholds["warn"], (line,), advice)
    else:
        yield Finding(name, "ok", "", rate, thresholds["warn"], (f"{rate:,.1f} each second",))
