"""The table of checks with their thresholds, and ``examine``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import none_of
from ..examination import FAILING, FAILING_WHOLE, FULL, PRESSED, Examination
from ..finding import Check, Finding
from . import failures, settings, traffic, usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..observation import Snapshot

#: rates are each second, shares in percent; names stand for those that several checks take into
#: account
CHECKS: tuple[Check, ...] = (
    # at 80 % there is time to act; at 95 % a burst fills the rest.  That it is full in a minute, or
    # in ten, counts if half or a quarter is used: an empty table fills fast until its first entries
    # expire.  A growth of fewer than 32 entries is chance
    Check(
        "table-full", "the table has room", ("counts",), usage.table_full,
        {
            "warn": 80, "warn_soon": 25, "warn_seconds": 600,
            "crit": FULL, "crit_soon": 50, "crit_seconds": 60, "chance": 32,
        },
    ),
    # the collector may be a minute late; that matters where it takes a fifth of all places
    Check(
        "gc-late", "expired entries are removed in time", ("counts", "flows"), usage.gc_late,
        {"warn": 20},
    ),
    # an entry stands in two chains.  From 4 entries a bucket each look-up compares 8 on average;
    # with 12 some of many chains reach 50, the length at which new connections begin to fail
    Check(
        "buckets", "chains are short", ("counts", "sysctls"), usage.buckets,
        {"warn": 4, "crit": 12},
    ),
    Check(
        "nat-ports", "no ports of NAT are nearly used up", ("flows",), failures.nat_ports,
        {"warn": PRESSED, "crit": FAILING, "crit_whole": FAILING_WHOLE},
    ),
    # one failure is a connection that somebody misses; one each second is an outage
    Check(
        "insert-failed", "no connection failed for lack of a port", ("counters",),
        failures.insert_failed, {"crit": 1},
    ),
    Check(
        "chain-too-long", "no connection failed for a long chain", ("counters",),
        failures.chain_too_long, {"crit": 1},
    ),
    Check("drop", "no packet was dropped", ("counters",), failures.drop, {"crit": 1}),
    # they gave way to others: nothing that was assured is lost, unless it goes on
    Check(
        "early-drop", "no entry gave way to another", ("counters",), failures.early_drop,
        {"crit": 100},
    ),
    # a few damaged, late or scanning packets come from the internet at any time
    Check("error", "few packets of ICMP are wrong", ("counters",), failures.error, {"warn": 10}),
    Check("invalid", "few packets are invalid", ("counters",), failures.invalid, {"warn": 10}),
    Check("clash-resolve", "no clashes", ("counters",), failures.clash_resolve),
    # below a thousand a scan from outside is most of a small table
    Check(
        "unanswered", "most entries saw an answer", ("flows",), traffic.unanswered,
        {"warn": 50, "least": 1000},
    ),
    # four such clients fill the table
    Check(
        "one-client", "no client takes a great part of the maximum", ("flows",),
        traffic.one_client, {"warn": 25},
    ),
    # that most entries of a gateway of a service go to it is normal, up to half of what it can hold
    Check(
        "one-destination", "no service takes most of the maximum", ("flows",),
        traffic.one_destination, {"warn": 50},
    ),
    # RFC 5382, REQ-5: a TCP connection must not be forgotten before 2 h 4 min
    Check(
        "idle-timeouts", "few connections are idle for long", ("flows", "sysctls"),
        traffic.idle_timeouts, {"warn": 20, "idle": 7440},
    ),
    Check("accounting", "packets and bytes are counted", ("sysctls",), settings.accounting),
    Check("timestamps", "flows have start and stop times", ("sysctls",), settings.timestamps),
    Check("events", "listeners get events", ("sysctls", "listeners"), settings.events),
    Check("checksum", "checksums are verified", ("sysctls",), settings.checksum),
    Check("be-liberal", "windows of TCP are checked", ("sysctls",), settings.be_liberal),
    Check(
        "loose", "connections that began unseen are taken up", ("sysctls",), settings.loose,
        {"warn": 10},
    ),
    Check(
        "log-invalid", "invalid packets are not logged", ("sysctls",), settings.log_invalid,
        {"warn": 10},
    ),
    Check(
        "events-lost", "nobody listens to events", ("listeners",), settings.events_lost,
        {"warn": 1},
    ),
    # at the maximum a helper's next connection is not let in
    Check(
        "expectations-full", "there is room for expectations", ("expectations",),
        usage.expectations_full, {"warn": 80, "crit": 95},
    ),
    Check("helpers", "no helpers in use", ("flows",), traffic.helpers),
    Check("offload", "no entries are offloaded", ("flows",), traffic.offload),
    # half of the maximum for one zone, where there are several, is taken from the others
    Check("zones", "no zones in use", ("flows",), usage.zones, {"warn": 50}),
    Check("no-module", "nf_conntrack is loaded", (), settings.no_module),
    Check("no-rules", "something is tracked", ("needed_by", "counts"), settings.no_rules),
    Check("permission", "all could be looked at", (), settings.permission),
)  # fmt: skip


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
    examination = Examination(snapshot)
    return [finding for code in codes for finding in known[code].findings(examination)]
