"""Verbs to requests: which message type, flags and payload each takes."""

from __future__ import annotations

from ..errors import DecodeError, RequestError
from ..netlink import constants as nl
from ..netlink.messages import message
from . import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .layout import Layout

#: the attributes that name the very entry of a dumped message
IDENTITY = ("CTA_TUPLE_ORIG", "CTA_ID", "CTA_ZONE")
#: the message types of each table's dump
_DUMPS = {
    "conntrack": c.ct_msg(c.IPCTNL_MSG_CT_GET),
    "dying": c.ct_msg(c.IPCTNL_MSG_CT_GET_DYING),
    "unconfirmed": c.ct_msg(c.IPCTNL_MSG_CT_GET_UNCONFIRMED),
    "expect": c.exp_msg(c.IPCTNL_MSG_EXP_GET),
}


class Request:
    """One message to be: type, flags beside NLM_F_REQUEST, layer 3 family, attributes.

    ``warnings``: what was left out of the text that it was made of.
    """

    __slots__ = ("family", "flags", "kind", "payload", "warnings")

    kind: int
    flags: int
    family: int
    payload: bytes
    warnings: list[str]

    def __init__(self, kind: int, flags: int = 0, family: int = 0, payload: bytes = b"") -> None:
        self.kind, self.flags, self.family, self.payload = kind, flags, family, payload
        self.warnings = []

    def message(self, seq: int, flags: int = 0) -> bytes:
        """Return the message with number ``seq`` and NLM_F_REQUEST and ``flags`` beside its own."""
        flags |= self.flags | nl.NLM_F_REQUEST
        return message(self.kind, flags, seq, self.family, self.payload)


def dump(
    table: str = "conntrack", family: int = 0, payload: bytes = b"", *, zero: bool = False
) -> Request:
    """Ask for all entries of a table; ``zero`` sets the counters of "conntrack" to zero, too."""
    kind = _DUMPS[table]
    if zero and kind == c.ct_msg(c.IPCTNL_MSG_CT_GET):
        kind = c.ct_msg(c.IPCTNL_MSG_CT_GET_CTRZERO)
    return Request(kind, 0, family, payload)


def _flow(values: Mapping[str, Any], family: int) -> bytes:
    # imported here: a listing asks before it imports what the answer needs
    from .layout import ATTRS
    from .moulds import make

    given = {name: value for name, value in values.items() if value is not None}
    return make(c.ct_msg(c.IPCTNL_MSG_CT_NEW), given, family)[0][ATTRS:]


def _expect(values: Mapping[str, Any], family: int) -> bytes:
    from .encode import encode
    from .schema import EXPECT

    return encode(EXPECT, values, family)


def get(values: Mapping[str, Any], family: int) -> Request:
    """One flow, by one of its tuples (and zone)."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_GET), 0, family, _flow(values, family))


def create(values: Mapping[str, Any], family: int) -> Request:
    """A new flow; EEXIST where there is one already."""
    flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_NEW), flags, family, _flow(values, family))


def add(values: Mapping[str, Any], family: int) -> Request:
    """A new flow; where there is one already, :mod:`.restoration` renews it.

    ctnetlink ignores NLM_F_APPEND, which says so.
    """
    request = create(values, family)
    request.flags |= nl.NLM_F_APPEND
    return request


def update(values: Mapping[str, Any], family: int) -> Request:
    """A change of a flow that exists; ENOENT where it does not."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_NEW), 0, family, _flow(values, family))


def delete(values: Mapping[str, Any], family: int) -> Request:
    """Deletes one flow.  `values` must hold a tuple: without one the kernel would flush."""
    if not (values.get("orig_src") or values.get("reply_src")):
        raise RequestError("a delete request needs a tuple")
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_DELETE), 0, family, _flow(values, family))


def flush() -> Request:
    """Empties the conntrack table: all of it, as a kernel before 5.2 does whatever family is
    named (ctnetlink_del_conntrack)."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_DELETE))


def stats_cpu() -> Request:
    """Statistics, a message per CPU (dump)."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS_CPU))


def stats_exp_cpu() -> Request:
    """Expectation statistics, a message per CPU (dump)."""
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_GET_STATS_CPU))


def stats_global() -> Request:
    """The number of entries and its limit."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS))


def expect_get(values: Mapping[str, Any], family: int) -> Request:
    """One expectation, by its tuple."""
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_GET), 0, family, _expect(values, family))


def expect_create(values: Mapping[str, Any], family: int) -> Request:
    """A new expectation."""
    flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_NEW), flags, family, _expect(values, family))


def expect_delete(values: Mapping[str, Any], family: int) -> Request:
    """Deletes one expectation by its tuple, which must be there: without, the kernel flushes."""
    if not values.get("tuple_src"):
        raise RequestError("a delete request needs a tuple")
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_DELETE), 0, family, _expect(values, family))


def expect_flush(family: int = 0) -> Request:
    """Empties the expectation table."""
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_DELETE), 0, family)


def identity(layout: Layout, message: bytes) -> bytes:
    """The attributes that name the very entry of a dumped `message`: tuple, id and zone, verbatim.

    Raises :class:`~pyconntrack.DecodeError` where there is no original tuple: a request without
    one could flush.
    """
    spans = layout.spans
    if "CTA_TUPLE_ORIG" not in spans:
        raise DecodeError("an entry without its original tuple")
    return b"".join(message[slice(*spans[name])] for name in IDENTITY if name in spans)


def about_entry(kind: int, layout: Layout, message: bytes, tail: bytes = b"") -> Request:
    """A request of type ``kind`` about the entry of a dumped ``message``; ``tail``: the rest of it.

    A delete or a get draws ENOENT where another entry has the tuple now, unless the kernel made
    that in the memory of the first, with the same id; an update heeds no id.
    """
    return Request(kind, 0, layout.family, identity(layout, message) + tail)
