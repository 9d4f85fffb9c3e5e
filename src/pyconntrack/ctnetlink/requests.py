"""Requests: the message type, flags and payload of each verb."""

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

#: the attributes that identify the entry of a dumped message
IDENTITY = ("CTA_TUPLE_ORIG", "CTA_ID", "CTA_ZONE")
#: the message types of each table's dump
_DUMPS = {
    "conntrack": c.ct_msg(c.IPCTNL_MSG_CT_GET),
    "dying": c.ct_msg(c.IPCTNL_MSG_CT_GET_DYING),
    "unconfirmed": c.ct_msg(c.IPCTNL_MSG_CT_GET_UNCONFIRMED),
    "expect": c.exp_msg(c.IPCTNL_MSG_EXP_GET),
}


class Request:
    """A message without sequence number: type, flags besides NLM_F_REQUEST, family, attributes.

    ``warnings``: what of its source text was left out.
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
        """Return the message with number ``seq``, NLM_F_REQUEST, its own flags and ``flags``."""
        flags |= self.flags | nl.NLM_F_REQUEST
        return message(self.kind, flags, seq, self.family, self.payload)

    def attribute_at(self, offset: int | None) -> str | None:
        """Return the name of the attribute at ``offset`` of the message: see :mod:`.layout`."""
        from .layout import attribute_at

        return attribute_at(self.message(0), offset)


def dump(
    table: str = "conntrack", family: int = 0, payload: bytes = b"", *, zero: bool = False
) -> Request:
    """Return the dump of a table; with ``zero`` it also resets the counters of "conntrack"."""
    kind = _DUMPS[table]
    if zero and kind == c.ct_msg(c.IPCTNL_MSG_CT_GET):
        kind = c.ct_msg(c.IPCTNL_MSG_CT_GET_CTRZERO)
    return Request(kind, 0, family, payload)


def _flow(values: Mapping[str, Any], family: int) -> bytes:
    # imported here: a listing sends its request before it imports what the answer needs
    from .layout import ATTRS
    from .moulds import make

    given = {name: value for name, value in values.items() if value is not None}
    return make(c.ct_msg(c.IPCTNL_MSG_CT_NEW), given, family)[0][ATTRS:]


def _expect(values: Mapping[str, Any], family: int) -> bytes:
    from .encode import encode
    from .schema import EXPECT

    return encode(EXPECT, values, family)


def _check_named(values: Mapping[str, Any], *sources: str) -> None:
    """Raise RequestError if no tuple has a source: a delete without a tuple is a flush."""
    if not any(values.get(name) for name in sources):
        raise RequestError("a delete request needs a tuple")


def get(values: Mapping[str, Any], family: int) -> Request:
    """Return the request for one flow, by one of its tuples (and zone)."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_GET), 0, family, _flow(values, family))


def create(values: Mapping[str, Any], family: int) -> Request:
    """Return the request that creates a flow; it fails with EEXIST if the flow exists."""
    flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_NEW), flags, family, _flow(values, family))


def add(values: Mapping[str, Any], family: int) -> Request:
    """Return the request that creates a flow, or has :mod:`.restoration` renew it if it exists.

    NLM_F_APPEND marks it; ctnetlink ignores that flag.
    """
    request = create(values, family)
    request.flags |= nl.NLM_F_APPEND
    return request


def update(values: Mapping[str, Any], family: int) -> Request:
    """Return the request that changes a flow; it fails with ENOENT if there is none."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_NEW), 0, family, _flow(values, family))


def delete(values: Mapping[str, Any], family: int) -> Request:
    """Return the request that deletes one flow; raise RequestError if ``values`` hold no tuple."""
    _check_named(values, "orig_src", "reply_src")
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_DELETE), 0, family, _flow(values, family))


def flush() -> Request:
    """Return the request that empties the conntrack table.

    It names no family, which a kernel before 5.2 ignores (ctnetlink_del_conntrack).
    """
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_DELETE))


def stats_cpu() -> Request:
    """Return the dump of statistics, one message per CPU."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS_CPU))


def stats_exp_cpu() -> Request:
    """Return the dump of expectation statistics, one message per CPU."""
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_GET_STATS_CPU))


def stats_global() -> Request:
    """Return the request for the number of entries and its limit."""
    return Request(c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS))


def expect_get(values: Mapping[str, Any], family: int) -> Request:
    """Return the request for one expectation, by its tuple."""
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_GET), 0, family, _expect(values, family))


def expect_create(values: Mapping[str, Any], family: int) -> Request:
    """Return the request that creates an expectation."""
    flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_NEW), flags, family, _expect(values, family))


def expect_delete(values: Mapping[str, Any], family: int) -> Request:
    """Return the request that deletes one expectation; raise RequestError if ``values`` hold no
    tuple."""
    _check_named(values, "tuple_src")
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_DELETE), 0, family, _expect(values, family))


def expect_flush(family: int = 0) -> Request:
    """Return the request that empties the expectation table."""
    return Request(c.exp_msg(c.IPCTNL_MSG_EXP_DELETE), 0, family)


def identity(layout: Layout, message: bytes) -> bytes:
    """Return the attributes that identify the entry of a dumped ``message``, unchanged.

    They are tuple, id and zone.  Raises :class:`~pyconntrack.DecodeError` if there is no original
    tuple: a request without one could flush.
    """
    spans = layout.spans
    if "CTA_TUPLE_ORIG" not in spans:
        raise DecodeError("an entry without its original tuple")
    return b"".join(message[slice(*spans[name])] for name in IDENTITY if name in spans)


def about_entry(kind: int, layout: Layout, message: bytes, tail: bytes = b"") -> Request:
    """Return a request of type ``kind`` about the entry of a dumped ``message``.

    ``tail``: further attributes.  A delete or a get fails with ENOENT if another entry has the
    tuple by now, unless the kernel made it in the same memory, with the same id; an update ignores
    the id.
    """
    return Request(kind, 0, layout.family, identity(layout, message) + tail)
