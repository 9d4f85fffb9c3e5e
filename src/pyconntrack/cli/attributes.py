"""Convert options to values: the flow that a command line describes, and the changes it requests.

A missing direction is the reverse of the other one, as in conntrack(8).
"""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink.kinds import LABEL_BYTES, label_bitmap
from ..ctnetlink.restore_rules import complete, pin
from ..ctnetlink.schema import TURNED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ctnetlink.layout import Layout
    from .parser import Command

_NAMES = {f"{side}_{name}" for side in ("orig", "reply")
          for name in (*TURNED, "icmp_type", "icmp_code", "icmp_id")}  # fmt: skip
_PLAIN = (
    "timeout", "zone", "orig_zone", "reply_zone", "tcp_state", "sctp_state", "dccp_state",
    "dccp_role", "sctp_vtag_orig", "sctp_vtag_reply", "helper",
)  # fmt: skip


def flow_tuple(command: Command) -> tuple[dict[str, Any], int]:
    """Return the tuples (one or both) and the zone that identify a flow, and its family."""
    values = {name: v for name, v in command.opts.items() if name in _NAMES or "zone" in name}
    for side in ("orig", "reply"):
        if f"{side}_src" in values:
            values[f"{side}_proto"] = command.proto
            if f"{side}_icmp_type" in values:
                values.setdefault(f"{side}_icmp_id", 0)
        else:
            for name in [n for n in values if n.startswith(side) and n != f"{side}_zone"]:
                del values[name]
    return values, command.family or c.AF_INET


def flow_values(command: Command) -> tuple[dict[str, Any], int]:
    """Return all attributes of a flow to create, and its family."""
    opts = command.opts
    family = command.family or c.AF_INET
    values = {name: opts[name] for name in (*_PLAIN, *_NAMES) if name in opts}
    values["orig_proto"] = values["reply_proto"] = command.proto
    if "mark" in opts:
        values["mark"] = opts["mark"][0]
    if "status" in opts:
        values["status"] = opts["status"][0] | c.IPS_CONFIRMED
    bits = [*opts.get("labels", ()), *opts.get("label_add", ())]
    if bits:
        values["labels"] = label_bitmap(bits)
    for name, shown in (("src_nat", "reply_dport"), ("dst_nat", "reply_sport")):
        if name in opts:
            address, port = opts[name]
            if port is None:
                port = opts.get(shown)  # a saved entry: pinned, or the kernel may choose another
            pin(values, name, address, port)
    complete(values)
    return values, family


def changes(command: Command, layout: Layout, message: bytes) -> dict[str, Any]:
    """Return the values that an update changes in the entry ``message``, or {} if none differs."""
    opts = command.opts
    old = layout.values(message)
    new: dict[str, Any] = {}
    for name in ("timeout", "tcp_state", "sctp_state", "dccp_state"):
        if name in opts and opts[name] != old.get(name):
            new[name] = opts[name]
    if "mark" in opts:
        value, mask = opts["mark"]
        was = old.get("mark", 0)
        mark = value if mask is None else was & ~mask & 0xFFFFFFFF ^ value
        if mark != was:
            new["mark"] = mark
    if "status" in opts:
        was = old.get("status", 0)
        status = was | opts["status"][0]
        if status != was:
            new["status"] = status
    if "label_add" in opts or "label_del" in opts:
        new.update(_label_changes(opts, old.get("labels", b"")))
    if "dccp_state" in new:
        new["dccp_role"] = old.get("dccp_role", 0)
        new["dccp_handshake_seq"] = old.get("dccp_handshake_seq", 0)
    if "sctp_state" in new:
        new["sctp_vtag_orig"] = old.get("sctp_vtag_orig", 0)
        new["sctp_vtag_reply"] = old.get("sctp_vtag_reply", 0)
    return new


def _label_changes(opts: dict[str, Any], was: bytes) -> dict[str, Any]:
    was = was.ljust(LABEL_BYTES, b"\0")
    remove = opts.get("label_del")
    clears_all = remove is not None and not remove
    gone = b"\xff" * LABEL_BYTES if clears_all else label_bitmap(remove or ())
    kept = bytes(a & ~b & 0xFF for a, b in zip(was, gone, strict=True))
    labels = label_bitmap(opts.get("label_add", []), kept)
    if labels == was and not ("label_add" in opts or (remove and any(was))):
        return {}  # what changes nothing counts as an update elsewhere, as in conntrack(8)
    mask = bytes(a ^ b for a, b in zip(labels, was, strict=True))
    # the kernel computes (old & ~mask) ^ labels: a bit outside the mask would be inverted
    return {"labels": bytes(a & b for a, b in zip(labels, mask, strict=True)), "labels_mask": mask}


def expect_tuple(command: Command) -> tuple[dict[str, Any], int]:
    """Return the tuple of an expectation, given as the original one, and its family."""
    values = {
        "tuple_" + name: command.opts["orig_" + name]
        for name in TURNED
        if "orig_" + name in command.opts
    }
    values["tuple_proto"] = command.proto
    return values, command.family or c.AF_INET


def expect_values(command: Command) -> tuple[dict[str, Any], int]:
    """Return all attributes of an expectation to create (master, tuple, mask, timeout), and its
    family."""
    opts = command.opts
    values: dict[str, Any] = {"timeout": opts.get("timeout"), "zone": opts.get("zone")}
    for ours, theirs in (("master", "orig"), ("tuple", "tuple"), ("mask", "mask")):
        for name in TURNED:
            values[f"{ours}_{name}"] = opts.get(f"{theirs}_{name}")
        values[f"{ours}_proto"] = command.proto
    return values, command.family or c.AF_INET
