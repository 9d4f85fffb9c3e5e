"""What ``conntrack doctor`` prints: text, JSON, or the line of a monitoring plugin."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from ..escape import printable
from ..formats.json import SCHEMA
from ..where.times import iso
from .finding import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .finding import Finding
    from .observation import Snapshot

_WORDS = {"ok": "ok", "unknown": "unknown", "warn": "WARN", "crit": "CRIT"}
#: severity -> exit code and word of a monitoring plugin
_STATES = {
    "ok": (0, "OK"), "warn": (1, "WARNING"), "crit": (2, "CRITICAL"), "unknown": (3, "UNKNOWN")
}  # fmt: skip
#: columns that a finding may take for its advice to stand on the same line
_WIDTH = 100
#: columns of a list of checks
_LISTED = 68
#: the counters whose rates stand in the performance data
_RATES = ("insert_failed", "drop", "early_drop", "invalid", "error", "clash_resolve")


def text(snapshot: Snapshot, findings: Sequence[Finding], *, everything: bool = False) -> str:
    """Return the report, the worst first; ``everything``: also what is well, line by line."""
    lines = [_head(snapshot)]
    shown = _sorted(findings) if everything else _together(_sorted(_ill(findings)))
    width = max((len(finding.code) for finding in shown), default=0)
    margin = max([4, *(len(_WORDS[finding.severity]) for finding in shown)])
    for finding in shown:
        start = f"{_WORDS[finding.severity]:<{margin}}  {finding.code:<{width}}  "
        body = _body(finding)
        if finding.advice:
            beside = f"{body[0]}.  {finding.advice}"
            if len(body) == 1 and len(start) + len(beside) <= _WIDTH:
                body = [beside]
            else:
                body.append(finding.advice)
        lines.append(start + body[0])
        lines += [" " * len(start) + line for line in body[1:]]
    if not everything and (well := len(_well(findings))):
        lines.append(
            f"{'ok':<{margin}}  {_checks(well)} (--all shows {'them' if well > 1 else 'it'})"
        )
    return "".join(f"{printable(line)}\n" for line in lines)


def _ill(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity != "ok"]


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, those that could not look for the same reason as one."""
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        alone = finding.severity != "unknown" or finding.advice
        groups.setdefault(number if alone else finding.evidence, []).append(finding)
    joined = []
    for group in groups.values():
        first = group[0]
        if len(group) > 1:
            names = ", ".join(finding.code for finding in group)
            codes = textwrap.wrap(names, _LISTED, break_on_hyphens=False)
            evidence = (*first.evidence, *codes)
            first = first._replace(code=_checks(len(group)), evidence=evidence)
        joined.append(first)
    return joined


def _checks(number: int) -> str:
    return f"{number} check{'s' * (number != 1)}"


def _head(snapshot: Snapshot) -> str:
    where = [snapshot.host, f"Linux {snapshot.kernel}", f"namespace {snapshot.netns or 'unknown'}"]
    if "counts" in snapshot.unknown:
        entries = "number of entries unknown"
    else:
        entries = f"{snapshot.counts[1]:,} entries"
        if snapshot.maximum:
            entries += f" of {snapshot.maximum:,}"
    looked = f"looked at for {snapshot.seconds:.1f} s" if snapshot.seconds else "looked at once"
    return f"{', '.join(filter(None, where))}: {entries}, {looked}"


def _body(finding: Finding) -> list[str]:
    """Return the lines of a finding, its subject before the first one."""
    first, *more = finding.evidence or ("",)
    return [" ".join(filter(None, (finding.subject, first))), *more]


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the worst first; equals stay in their order."""
    return sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))


def _well(findings: Sequence[Finding]) -> set[str]:
    """Return the codes of the checks that found nothing."""
    return {f.code for f in findings} - {f.code for f in findings if f.severity != "ok"}


def as_json(snapshot: Snapshot, findings: Sequence[Finding]) -> str:
    """Return the report as a JSON object; a number that is unknown is null."""
    known = "counts" not in snapshot.unknown
    document = {
        "schema": SCHEMA,
        "doctor": {
            "host": snapshot.host,
            "kernel": snapshot.kernel,
            "netns": snapshot.netns,
            "time": iso(snapshot.taken_at),
            "seconds": round(snapshot.seconds, 3),
            "entries": snapshot.counts[1] if known else None,
            "maximum": snapshot.maximum or None,
            "listed": None if snapshot.flows is None else len(snapshot.flows),
        },
        "findings": [
            {**finding._asdict(), "evidence": list(finding.evidence)}
            for finding in _sorted(findings)
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def plugin(snapshot: Snapshot, findings: Sequence[Finding]) -> tuple[str, int]:
    """Return the line of a monitoring plugin and its exit code: 0, 1, 2 or 3.

    The worst finding decides: critical, warning, unknown, ok.
    """
    ranked = _sorted(findings)
    code, word = _STATES[ranked[0].severity if ranked else "ok"]
    parts = [f"{finding.code}: {_body(finding)[0]}" for finding in _together(_ill(ranked))]
    said = "; ".join(parts) if parts else _checks(len(_well(findings)))
    return plugin_line(word, said, _performance(snapshot)), code


def plugin_line(word: str, said: str, performance: str = "") -> str:
    """Return one line of a monitoring plugin."""
    line = f"CONNTRACK {word} - {said}".replace("|", "/")
    return f"{printable(line)}{f' | {performance}' if performance else ''}\n"


def _performance(snapshot: Snapshot) -> str:
    """Return the performance data: what is known of sizes and rates."""
    data = []
    if "counts" not in snapshot.unknown:
        data.append(f"entries={snapshot.counts[1]};;;0;{snapshot.maximum or ''}")
    if "expectations" not in snapshot.unknown:
        number = sum(snapshot.expectations.values())
        data.append(f"expectations={number};;;0;{snapshot.expect_maximum or ''}")
    for name in _RATES:
        rate = snapshot.rate(name)
        if rate is not None:
            data.append(f"{name}_per_second={rate:.2f};;;0;")
    return " ".join(data)
