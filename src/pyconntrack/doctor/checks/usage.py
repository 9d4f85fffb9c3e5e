"""Checks of sizes: of the table, its buckets and zones, and of the expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..examination import Examination
    from ..finding import Severity

    Thresholds = Mapping[str, float]

#: the severities that have thresholds
LEVELS: tuple[Severity, ...] = ("warn", "crit")


def table_full(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """How much of the maximum is used, and when nothing is left at this rate.

    A full table drops new connections (``drop``) or removes entries that are not assured for them
    (``early_drop``).
    """
    snapshot = examination.snapshot
    used, most = snapshot.counts[1], snapshot.maximum
    if not most:
        yield Finding("table-full", "ok", value=used, evidence=(f"{used:,} entries, no maximum",))
        return
    share, growth = 100 * used / most, snapshot.growth
    text, left = f"{share:.1f} % full", None
    if growth is None:
        text += ", growth unknown"
    elif growth * snapshot.seconds >= thresholds["chance"]:
        left = max(most - used, 0) / growth
        text += f", {growth:+,.0f}/s: full in about {left:,.0f} s"
    evidence = [text]
    expired = examination.expired
    if expired is not None:
        evidence.append(
            f"{max(0, used - expired[0]):,} live, {expired[0]:,} expired and not yet removed"
            f"{_doubt(expired[1])}"
        )
    failures = examination.failures
    if examination.is_full and failures is not None and (failures.full or failures.evicted):
        evidence.append(
            f"{failures.full:,} packets dropped and {failures.evicted:,} entries removed early"
            f" {examination.during}"
        )
    severity: Severity = "ok"
    for level in LEVELS:
        soon = left is not None and left < thresholds[f"{level}_seconds"]
        if share >= thresholds[level] or (soon and share >= thresholds[f"{level}_soon"]):
            severity = level
    advice = ""
    if severity != "ok":
        room = 2 * most
        advice = examination.sizes(nf_conntrack_max=room, nf_conntrack_buckets=room)
    yield Finding("table-full", severity, "", used, most, tuple(evidence), advice)


def gc_late(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether expired entries take the place of live ones: the count is full, the list is short.

    The collector goes through the table within a minute; until then they count.
    """
    most, expired = examination.snapshot.maximum, examination.expired
    if expired is None or not most:
        return
    number, doubt = expired
    text = f"{number:,} expired entries are not yet removed, {100 * number / most:.0f} % of the"
    text += f" maximum{_doubt(doubt)}"
    severity: Severity = "ok"
    if 100 * (number - (doubt or 0)) >= thresholds["warn"] * most:
        severity = "unknown" if doubt is None else "warn"
    advice = "Raise nf_conntrack_max by as much: the collector needs up to a minute"
    yield Finding(
        "gc-late", severity, "", number, most, (text,), "" if severity == "ok" else advice
    )


def _doubt(number: int | None) -> str:
    """Return how uncertain a number of expired entries is."""
    if number is None:
        return " (or they went during the dump)"
    return f" (give or take {number:,})" if number else ""


def buckets(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """How many entries share a bucket; each stands in two chains."""
    snapshot = examination.snapshot
    number = snapshot.buckets
    if not number:
        yield Finding("buckets", "unknown", evidence=("the number of buckets is unknown",))
        return
    each, most = snapshot.counts[1] / number, snapshot.maximum / number
    lines = [f"{each:.2f} entries a bucket ({snapshot.counts[1]:,} in {number:,})"]
    if most >= thresholds["crit"]:
        lines.append(f"{most:,.0f} if the table were full: chains get too long before it is")
    severity: Severity = "ok"
    if each >= thresholds["crit"]:
        severity = "crit"
    elif each >= thresholds["warn"] or most >= thresholds["crit"]:
        severity = "warn"
    wanted = snapshot.maximum or snapshot.counts[1]
    advice = examination.sizes(nf_conntrack_buckets=wanted)
    yield Finding(
        "buckets", severity, "", each, thresholds["warn"], tuple(lines),
        "" if severity == "ok" else advice,
    )  # fmt: skip


def expectations_full(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """How much of the maximum of expectations is used; further ones are not made."""
    snapshot = examination.snapshot
    used, most = sum(snapshot.expectations.values()), snapshot.expect_maximum
    if not most:
        return
    share = 100 * used / most
    lines = [f"{used:,} of {most:,} expectations ({share:.0f} %)"]
    if used:
        helper, number = max(snapshot.expectations.items(), key=lambda pair: pair[1])
        lines.append(f"{number:,} of them by {helper or 'no helper'}")
    if share >= thresholds["warn"]:
        severity: Severity = "crit" if share >= thresholds["crit"] else "warn"
        advice = examination.sizes(nf_conntrack_expect_max=2 * most)
        yield Finding("expectations-full", severity, "", used, most, tuple(lines), advice)
    else:
        yield Finding("expectations-full", "ok", "", used, most, tuple(lines))


def zones(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Which zones are in use, and whether one takes the room of the others.

    The maximum is one for all zones of a namespace.
    """
    flows, most = examination.snapshot.flows, examination.snapshot.maximum
    if flows is None:
        return
    names = [name for name in ("zone", "orig_zone", "reply_zone") if flows.mask(name).any()]
    if not names:
        yield Finding("zones", "ok", evidence=("no zones in use",))
        return
    fill = {}
    for row in flows.group_sum(names, []).rows(*names, "flows"):
        numbers = [
            f"{value} ({name.partition('_')[0]})" if name != "zone" else str(value)
            for name, value in zip(names, row, strict=False)
            if value is not None
        ]
        fill[" and ".join(numbers) or "0"] = row[-1]
    ranked = sorted(fill.items(), key=lambda pair: -pair[1])
    shown = ", ".join(f"{zone}: {number:,}" for zone, number in ranked[:5])
    zone, number = ranked[0]
    text = f"{len(ranked)} zones in use, entries by zone: {shown}"
    if len(ranked) > 1 and most and 100 * number >= thresholds["warn"] * most:
        advice = "Find what fills it (conntrack -L -w ZONE), or raise nf_conntrack_max for all"
        yield Finding("zones", "warn", f"zone {zone}", number, most,
                      (f"takes {100 * number / most:.0f} % of the maximum of all zones", text),
                      advice)  # fmt: skip
    else:
        yield Finding("zones", "ok", value=number, limit=most or None, evidence=(text,))
