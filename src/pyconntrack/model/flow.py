"""Flows: connections as the kernel tracks them."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink.convert import endpoint
from ..ctnetlink.field_names import TUPLE_NAMES
from ..ctnetlink.restore_rules import NAT, pin
from ..ctnetlink.schema import CONNTRACK
from ..ctnetlink.vocabulary import STATES
from ..escape import printable
from .entry import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Unpack

    from ..ctnetlink.literals import DccpState, ProtoName, SctpState, TcpState
    from ..ctnetlink.words import Unknown
    from .arguments import FlowFields
    from .declarations import FlowAttributes
    from .tuple import Tuple
else:
    FlowAttributes = object


#: the keywords that give a flow a tuple, or a part of one
_TUPLES = {"orig", "reply"} | {
    f"{side}_{name}" for side in ("orig", "reply") for name in TUPLE_NAMES
}


class Flag:
    """Whether a bit of ``status`` is set; False if there is no status."""

    __slots__ = ("bit",)

    def __init__(self, bit: int) -> None:
        self.bit: int = bit

    def __get__(self, value: Flow | None, owner: type | None = None) -> bool:
        if value is None:
            return self  # type: ignore[return-value]
        return bool((value.status_bits or 0) & self.bit)


class Flow(Entry, FlowAttributes):
    """A connection as the kernel tracks it.

    Flows come from the kernel's messages, or are made by hand: ``Flow(Tuple(...), mark=5,
    timeout=60, status="ASSURED", tcp_state="ESTABLISHED", labels=[1, 7])``.  Every field of the
    schema is an attribute under its schema name, None if absent.  Protocols, states and the family
    are words, ``status`` is a frozenset of words, and their numbers have names of their own
    (``proto_number``, ``tcp_state_number``, ``family_number``, ``status_bits``).  Times are
    nanoseconds since 1970 (``timestamp_*``) or remaining seconds (``timeout``).

    A flow whose ``reply`` is not the inverse of ``orig`` is translated (NAT), and is created so.
    ``src_nat="203.0.113.5:4000"`` requests the translation of the source, ``dst_nat`` that of the
    destination: an address, "ADDR:PORT" or "[ADDR]:PORT".  Without a port the kernel keeps the
    flow's own if it is free, and else chooses one.  ``is_src_nat`` and ``is_dst_nat`` show which
    ends the kernel translates, ``reply`` to what.

    ``==`` compares the identity of the connection: the original tuple and its zone, and the
    kernel's id if both sides have one; ``hash`` is of tuple and zone.  :meth:`same_as` compares
    every field.  Wrong names and values raise :class:`~pyconntrack.RequestError`.
    """

    __slots__ = ()
    _rows = CONNTRACK
    _kind = c.ct_msg(c.IPCTNL_MSG_CT_NEW)
    _part = "orig_"

    expected: Flag = Flag(c.IPS_EXPECTED)
    seen_reply: Flag = Flag(c.IPS_SEEN_REPLY)
    assured: Flag = Flag(c.IPS_ASSURED)
    confirmed: Flag = Flag(c.IPS_CONFIRMED)
    is_src_nat: Flag = Flag(c.IPS_SRC_NAT)
    is_dst_nat: Flag = Flag(c.IPS_DST_NAT)
    is_seq_adjusted: Flag = Flag(c.IPS_SEQ_ADJUST)
    dying: Flag = Flag(c.IPS_DYING)
    fixed_timeout: Flag = Flag(c.IPS_FIXED_TIMEOUT)
    offloaded: Flag = Flag(c.IPS_OFFLOAD)
    hw_offloaded: Flag = Flag(c.IPS_HW_OFFLOAD)

    def __init__(
        self,
        orig: Tuple | None = None,
        reply: Tuple | None = None,
        master: Tuple | None = None,
        **fields: Unpack[FlowFields],
    ) -> None:
        self._build({"orig": orig, "reply": reply, "master": master, **fields})

    def _build(
        self,
        given: Mapping[str, Any],
        raw: dict[str, Any] | None = None,
        family: int = 0,
        kept: Iterable[tuple[tuple[int, ...], bytes]] = (),
    ) -> None:
        if raw and any(given[name] is not None for name in _TUPLES & given.keys()):
            raw.pop("id", None)  # with another tuple it is another entry
        for nat in NAT:
            if nat in given:
                given = dict(given)
                target = given.pop(nat)
                pin(given, nat, *(None, None) if target is None else endpoint(target, nat))
        super()._build(given, raw, family, kept)

    @property
    def state(self) -> TcpState | SctpState | DccpState | Unknown | None:
        """Return the word of the TCP, SCTP or DCCP state, None if there is no state."""
        for name in STATES:
            if name in self._layout.slots:
                state: TcpState | SctpState | DccpState | Unknown = getattr(self, name)
                return state
        return None

    @property
    def proto(self) -> ProtoName | Unknown | None:
        """Return the protocol of the original tuple."""
        return self.orig_proto

    @property
    def proto_number(self) -> int | None:
        """Return the number of the protocol of the original tuple."""
        return self.orig_proto_number

    def __str__(self) -> str:
        """Return one line, much as ``conntrack -L -o id`` writes it."""
        parts = [f"{self.proto or '?'!s:8} {self.proto_number or 0}"]
        if self.timeout is not None:
            parts.append(str(self.timeout))
        if self.state is not None:
            parts.append(str(self.state))
        for name in ("orig", "reply"):
            one: Tuple | None = getattr(self, name)
            if one is not None:
                parts.append(str(one))
            for counter in ("packets", "bytes"):
                number = getattr(self, f"{name}_{counter}")
                if number is not None:
                    parts.append(f"{counter}={number}")
            if name == "orig" and self.status is not None and not self.seen_reply:
                parts.append("[UNREPLIED]")
        if self.hw_offloaded:
            parts.append("[HW_OFFLOAD]")
        elif self.offloaded:
            parts.append("[OFFLOAD]")
        elif self.assured:
            parts.append("[ASSURED]")
        for name in ("mark", "secctx", "zone", "use", "id", "helper"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={printable(str(value))}")
        if self.labels:
            parts.append("labels=" + ",".join(map(str, self.labels)))
        return " ".join(parts)
