"""Checks of what is in the table: who fills it, and what lies idle there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...columnar.arrangement import members
from ..finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..examination import Examination

    Thresholds = Mapping[str, float]


def unanswered(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether most entries saw no answer: a scan, a flood, or servers that are down."""
    flows = examination.snapshot.flows
    if flows is None or not len(flows):
        return
    silent = flows[~flows["status"].has("SEEN_REPLY")]
    number, share = len(silent), 100 * len(silent) / len(flows)
    text = f"{number:,} of {len(flows):,} entries saw no answer ({share:.0f} %)"
    if share < thresholds["warn"] or number < thresholds["least"]:
        yield Finding("unanswered", "ok", "", number, len(flows), (text,))
        return
    lines = [text]
    for name, word in (("orig_dst", "go to"), ("orig_src", "come from")):
        rows = members(silent, [name], number // 10)
        if rows:
            address = silent[name][int(rows[0][0])]
            lines.append(f"{100 * len(rows[0]) / number:.0f} % of them {word} {address}")
    advice = "Look at them: conntrack -L --unreplied; do the servers answer, and by this way?"
    yield Finding("unanswered", "warn", "", number, len(flows), tuple(lines), advice)


def one_client(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether one source takes a great part of the maximum."""
    snapshot = examination.snapshot
    flows, most = snapshot.flows, snapshot.maximum
    if flows is None or not most:
        return
    least = max(1, _ceil(thresholds["warn"] * most / 100))
    for rows in members(flows, ["orig_src"], least):
        client = str(flows["orig_src"][int(rows[0])])
        text = f"holds {len(rows):,} entries, {100 * len(rows) / most:.0f} % of the maximum"
        advice = f"Look at them: conntrack -L -s {client}; limit them by ct count in nft"
        yield Finding("one-client", "warn", client, len(rows), most, (text,), advice)


def one_destination(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether one service takes most of the maximum."""
    snapshot = examination.snapshot
    flows, most = snapshot.flows, snapshot.maximum
    if flows is None or not most:
        return
    least = max(1, _ceil(thresholds["warn"] * most / 100))
    for rows in members(flows, ["orig_proto", "orig_dst", "orig_dport"], least):
        first = flows[rows[:1]]
        address, protocol = str(first["orig_dst"][0]), first["orig_proto"][0]
        service, option = f"[{address}]" if ":" in address else address, ""
        if first.mask("orig_dport")[0]:
            port = int(first["orig_dport"][0])
            service, option = f"{service}:{port}", f" --dport {port}"
        text = f"holds {len(rows):,} entries, {100 * len(rows) / most:.0f} % of the maximum"
        advice = f"Look at them: conntrack -L -p {protocol} -d {address}{option}"
        yield Finding("one-destination", "warn", f"{service}/{protocol}", len(rows), most, (text,),
                      advice)  # fmt: skip


def idle_timeouts(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Whether connections that have been idle for long take a great part of the maximum.

    An entry is idle for the timeout of its state less what is left of its own.
    """
    snapshot = examination.snapshot
    flows, most = snapshot.flows, snapshot.maximum
    timeout = snapshot.sysctls.get(_ESTABLISHED)
    if flows is None or timeout is None:
        return
    idle = int(thresholds["idle"])
    if timeout <= idle:
        yield Finding("idle-timeouts", "ok", evidence=(f"{_ESTABLISHED} is {timeout} s",))
        return
    open_ones = (flows["tcp_state"] == "ESTABLISHED") & flows.mask("timeout")
    number = int((open_ones & (flows["timeout"] <= timeout - idle)).sum())
    text = f"{number:,} TCP connections have been idle for {_duration(idle)} or more"
    if most:
        text += f" and take {100 * number / most:.0f} % of the maximum"
    line = f"They stay for {_duration(timeout)} ({_ESTABLISHED})"
    if most and 100 * number >= thresholds["warn"] * most:
        advice = f"sysctl -w net.netfilter.{_ESTABLISHED}={idle} (RFC 5382, REQ-5)"
        yield Finding("idle-timeouts", "warn", "", number, most, (text, line), advice)
    else:
        yield Finding("idle-timeouts", "ok", "", number, most or None, (text,))


def helpers(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """Which helpers are in use, and whether the kernel assigns them by port alone.

    A helper lets in what the payload of a connection announces; Linux 6.0 and newer assign none by
    themselves.
    """
    snapshot = examination.snapshot
    flows, counts = snapshot.flows, []
    if flows is not None and flows.mask("helper").any():
        with_helper = flows[flows.mask("helper")]
        counts = list(with_helper.group_sum("helper").rows("helper", "flows"))
    text = ", ".join(f"{name}: {number:,} entries" for name, number in counts) or "none in use"
    if snapshot.sysctls.get(_AUTOMATIC):
        line = f"{_AUTOMATIC}=1: helpers are assigned by port alone, and open ports"
        advice = f"sysctl -w net.netfilter.{_AUTOMATIC}=0, and assign them by rules"
        yield Finding("helpers", "warn", evidence=(line, text), advice=advice)
    else:
        yield Finding("helpers", "ok", evidence=(text,))


def offload(examination: Examination, thresholds: Thresholds) -> Iterator[Finding]:
    """How many entries are offloaded to a flow table; their counters stand still there."""
    flows = examination.snapshot.flows
    if flows is None:
        return
    number = int(flows["status"].has_any("OFFLOAD", "HW_OFFLOAD").sum())
    text = "no entries are offloaded"
    if number:
        text = (
            f"{number:,} entries are offloaded: their counters stand still, unless the flow table"
        )
        text += " has `counter`"
    yield Finding("offload", "ok", "", number, None, (text,))


_ESTABLISHED = "nf_conntrack_tcp_timeout_established"
_AUTOMATIC = "nf_conntrack_helper"


def _ceil(number: float) -> int:
    return -int(-number // 1)


def _duration(seconds: int) -> str:
    """Return "2 h 4 min", "5 d"."""
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"
