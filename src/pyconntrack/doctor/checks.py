"""The table of checks, and ``examine``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import none_of
from .finding import Check, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .snapshot import Snapshot


def _table_full(snapshot: Snapshot, thresholds: Mapping[str, float]) -> Iterator[Finding]:
    used, most = snapshot.counts[1], snapshot.maximum
    if not most:
        return
    part = 100 * used / most
    text = f"{part:.1f} % full"
    growth = snapshot.growth
    if growth is not None and growth > 0:
        left = max(most - used, 0) / growth
        text += f", {growth:+,.0f}/s: full in about {left:,.0f} s"
    if part >= thresholds["crit"]:
        yield Finding("table-full", "crit", value=used, limit=most, evidence=(text,))
    elif part >= thresholds["warn"]:
        yield Finding("table-full", "warn", value=used, limit=most, evidence=(text,))
    else:
        yield Finding("table-full", "ok", value=used, limit=most, evidence=(text,))


def _accounting(snapshot: Snapshot, thresholds: Mapping[str, float]) -> Iterator[Finding]:
    if snapshot.sysctls.get("nf_conntrack_acct") == 0:
        yield Finding(
            "accounting",
            "warn",
            evidence=("nf_conntrack_acct=0: no bytes in any listing",),
            advice="sysctl -w net.netfilter.nf_conntrack_acct=1",
        )


CHECKS: tuple[Check, ...] = (
    Check("table-full", "the table has room", ("counts",), _table_full, {"warn": 80, "crit": 95}),
    Check("accounting", "packets and bytes are counted", ("sysctls",), _accounting),
)


def examine(snapshot: Snapshot, only: Iterable[str] | None = None) -> list[Finding]:
    """Return what the checks conclude from ``snapshot``, at least one finding of each.

    ``only``: the codes of the checks to run, None for all.  Raises
    :class:`~pyconntrack.RequestError` for a code that is none.
    """
    known = {check.code: check for check in CHECKS}
    codes = list(known) if only is None else list(only)
    for code in codes:
        if code not in known:
            raise none_of("check", code, known)
    return [finding for code in codes for finding in known[code].findings(snapshot)]
