"""Checks of the settings, of who listens, and of what could not be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..examination import Examination

    Thresholds = Mapping[str, float]


def accounting(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether packets and bytes of flows are counted."""
    yield from _switch(
        examination, "accounting", "nf_conntrack_acct", bad=0, text="no bytes in any listing"
    )


def timestamps(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether flows have a start and a stop time; few need them."""
    value = examination.snapshot.sysctls.get("nf_conntrack_timestamp")
    if value is None:
        yield _absent("timestamps", "nf_conntrack_timestamp")
    elif not value:
        line = "nf_conntrack_timestamp=0: no start and stop times, in listings and in logs of flows"
        yield Finding("timestamps", "ok", evidence=(line,))


def events(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether those who listen to events can get any."""
    value = examination.snapshot.sysctls.get("nf_conntrack_events")
    if value is None:
        yield _absent("events", "nf_conntrack_events")
        return
    listeners = examination.snapshot.listeners
    if value == 0 and listeners:
        line = f"nf_conntrack_events=0: {len(listeners)} listeners get none: "
        line += ", ".join(f"{each.name or '?'} (pid {each.pid})" for each in listeners[:5])
        yield Finding("events", "warn", evidence=(line,),
                      advice="sysctl -w net.netfilter.nf_conntrack_events=2")  # fmt: skip
    elif value == 0:
        yield Finding("events", "ok", evidence=("nf_conntrack_events=0, and nobody listens",))


def checksum(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether checksums of packets are verified."""
    yield from _switch(
        examination, "checksum", "nf_conntrack_checksum", bad=0,
        text="damaged packets change the state of connections",
    )  # fmt: skip


def be_liberal(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether the windows of TCP are checked."""
    yield from _switch(
        examination, "be-liberal", "nf_conntrack_tcp_be_liberal", bad=1,
        text="packets outside the windows of TCP belong to the connection, too",
    )  # fmt: skip


def loose(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether connections that began unseen are lost, and some are there."""
    value = examination.snapshot.sysctls.get("nf_conntrack_tcp_loose")
    rate = examination.snapshot.rate("invalid")
    if value is None:
        yield _absent("loose", "nf_conntrack_tcp_loose")
    elif value == 0 and rate is not None and rate >= thresholds["warn"]:
        line = f"nf_conntrack_tcp_loose=0 and {rate:,.0f} invalid packets each second: connections"
        line += " that began before the rules, or elsewhere, are not taken up"
        yield Finding("loose", "warn", "", rate, thresholds["warn"], (line,),
                      "sysctl -w net.netfilter.nf_conntrack_tcp_loose=1")  # fmt: skip
    elif value == 0:
        line = "nf_conntrack_tcp_loose=0: a TCP connection must be seen from its start"
        yield Finding("loose", "ok", evidence=(line,))


def log_invalid(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether invalid packets fill the kernel's log."""
    value = examination.snapshot.sysctls.get("nf_conntrack_log_invalid")
    rate = examination.snapshot.rate("invalid")
    if value is None:
        yield _absent("log-invalid", "nf_conntrack_log_invalid")
    elif value and rate is not None and rate >= thresholds["warn"]:
        line = (
            f"nf_conntrack_log_invalid={value}: {rate:,.0f} lines each second in the kernel's log"
        )
        yield Finding("log-invalid", "warn", "", rate, thresholds["warn"], (line,),
                      "sysctl -w net.netfilter.nf_conntrack_log_invalid=0")  # fmt: skip
    elif value:
        line = f"nf_conntrack_log_invalid={value}: invalid packets are logged"
        yield Finding("log-invalid", "ok", evidence=(line,))


def events_lost(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Who listens to events, and who lost some since its socket was opened."""
    snapshot = examination.snapshot
    losers = [each for each in snapshot.listeners if each.drops[1] >= thresholds["warn"]]
    for each in losers:
        who = f"pid {each.pid}, {each.name}" if each.pid else "its process was not found"
        line = f"a listener ({who}) has lost {each.drops[1]:,} events"
        if snapshot.seconds:
            line += f", {each.drops[1] - each.drops[0]:,} of them {examination.during}"
        yield Finding("events-lost", "warn", "", each.drops[1], None, (line,),
                      "Give it a larger receive buffer (conntrack -E --buffer-size, ulogd's"
                      " netlink_socket_buffer_size), or let it work faster")  # fmt: skip
    if snapshot.listeners and not losers:
        names = ", ".join(f"{each.name or '?'} (pid {each.pid})" for each in snapshot.listeners[:5])
        line = f"{len(snapshot.listeners)} listeners, none lost an event: {names}"
        yield Finding("events-lost", "ok", evidence=(line,))


def no_module(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether connection tracking is there at all."""
    snapshot = examination.snapshot
    if "nf_conntrack" in snapshot.modules or snapshot.sysctls or snapshot.maximum:
        return
    yield Finding("no-module", "warn", evidence=("nf_conntrack is not loaded: nothing is tracked",),
                  advice="modprobe nf_conntrack; a rule that needs it loads it, too")  # fmt: skip


def no_rules(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether an empty table is empty because no rule asks for tracking."""
    snapshot = examination.snapshot
    if snapshot.needed_by or any(snapshot.counts):
        return
    line = "no rule of nft or iptables needs connection tracking here: nothing is tracked"
    yield Finding("no-rules", "warn", evidence=(line,),
                  advice="A rule with `ct state', or one that translates, starts it")  # fmt: skip


def permission(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether all could be looked at."""
    refused = {
        field: reason
        for field, reason in examination.snapshot.unknown.items()
        if "ermission" in reason
    }
    if refused:
        lines = [f"{field}: {reason}" for field, reason in refused.items()]
        yield Finding("permission", "unknown", evidence=tuple(lines),
                      advice="Run it as root, or with CAP_NET_ADMIN")  # fmt: skip


def _switch(
    examination: Examination, code: str, name: str, *, bad: int, text: str
) -> Iterator[Finding]:
    """Yield a finding if the setting ``name`` is ``bad``."""
    value = examination.snapshot.sysctls.get(name)
    if value is None:
        yield _absent(code, name)
    elif value == bad:
        yield Finding(code, "warn", "", value, None, (f"{name}={value}: {text}",),
                      f"sysctl -w net.netfilter.{name}={1 - bad}")  # fmt: skip


def _absent(code: str, name: str) -> Finding:
    return Finding(code, "unknown", evidence=(f"{name}: this kernel does not have it",))
