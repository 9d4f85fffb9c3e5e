"""A user's program that asks what is wrong."""

from pathlib import Path
from typing import assert_type

from pyconntrack import Conntrack, FlowTable
from pyconntrack.doctor import (
    CHECKS,
    Check,
    Finding,
    Listener,
    NatRange,
    Severity,
    Snapshot,
    anonymize,
    examine,
    load,
    save,
    snapshot,
)


def look(ct: Conntrack) -> None:
    seen = snapshot(ct, 2.5)
    assert_type(seen, Snapshot)
    assert_type(seen.counts, tuple[int, int])
    assert_type(seen.flows, FlowTable | None)
    assert_type(seen.listeners, tuple[Listener, ...])
    assert_type(seen.change("drop"), int | None)
    assert_type(seen.rate("drop"), float | None)
    assert_type(seen.growth, float | None)
    save(anonymize(seen), Path("seen"))
    assert_type(load("seen"), Snapshot)


def conclude(seen: Snapshot) -> None:
    findings = examine(seen, only=["table-full", "nat-ports"])
    assert_type(findings, list[Finding])
    for finding in findings:
        assert_type(finding.severity, Severity)
        assert_type(finding.value, float | None)
        assert_type(finding.evidence, tuple[str, ...])
        finding.severity = "ok"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert_type(CHECKS, tuple[Check, ...])


def by_hand() -> Snapshot:
    return Snapshot(
        seconds=5, counts=(10, 20), nat=(NatRange("203.0.113.7/32", ports=(1024, 2000)),)
    )
