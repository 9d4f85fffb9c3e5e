"""Tuples: one direction of a connection, alone or in a flow or an expectation."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink.convert import json_converter, to_raw
from ..ctnetlink.field_names import FIELDS, TUPLE_NAMES
from ..ctnetlink.layout import find
from ..ctnetlink.moulds import make
from ..ctnetlink.restore_rules import inverse
from ..ctnetlink.schema import TUPLE
from ..errors import check_object, no_such
from .fields import Value, attach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Unpack

    from ..ctnetlink.layout import Layout
    from .arguments import AddressLike, TupleFields, Word
    from .declarations import TupleAttributes
else:
    TupleAttributes = object

_GET = c.ct_msg(c.IPCTNL_MSG_CT_GET)
_FIELDS = FIELDS[id(TUPLE)]


class Tuple(Value, TupleAttributes):
    """One direction of a connection: addresses, protocol, ports or ICMP fields, zone.

    ``src``, ``dst``: text, packed bytes or ``ipaddress`` values; ``proto``: a word such as
    ``"tcp"``, a number or an :class:`~pyconntrack.Unknown`; ``sport``, ``dport``: 0..65535, of
    protocols with ports; ``srckey``, ``dstkey``: the keys of GRE; ``icmp_id``, ``icmp_type``,
    ``icmp_code``; ``zone``: of this direction only.  Wrong names and values raise
    :class:`~pyconntrack.RequestError`.
    Source: CTA_TUPLE_*.
    """

    __slots__ = ("_prefix",)

    def __init__(
        self,
        src: AddressLike | None = None,
        dst: AddressLike | None = None,
        proto: Word | None = None,
        sport: int | None = None,
        dport: int | None = None,
        **fields: Unpack[TupleFields],
    ) -> None:
        given = {
            "src": src, "dst": dst, "proto": proto, "sport": sport, "dport": dport, **fields
        }  # fmt: skip
        raw = {}
        for name, value in given.items():
            if name not in _FIELDS:
                raise no_such("field", name, TUPLE_NAMES)
            if value is not None:
                raw[name] = to_raw(_FIELDS[name], name, value)
        self._message, self._layout = make(_GET, raw, 0, "orig_")
        self._prefix = "orig_"

    @classmethod
    def _view(cls, layout: Layout, message: bytes, prefix: str) -> Tuple:
        self = cls.__new__(cls)
        self._layout, self._message, self._prefix = layout, message, prefix
        return self

    def _values(self, prefix: str = "") -> dict[str, Any]:
        """Return ``prefix`` + field name -> raw value."""
        layout, here = self._layout, self._prefix
        plan = layout.writers.get((Tuple, here, prefix))
        if plan is None:
            names = [name for name in layout.slots
                     if name.startswith(here) and name[len(here) :] in TUPLE_NAMES]  # fmt: skip
            plan = layout.writers[Tuple, here, prefix] = (
                [prefix + name[len(here) :] for name in names],
                layout.part(names).unpack,
            )
        names, unpack = plan
        return dict(zip(names, unpack(self._message), strict=True))

    @property
    def key(self) -> tuple[bytes | None, ...]:
        """Return the values of the tuple, packed; it is hashable."""
        return identity(self._layout, self._message, self._prefix, own=True)

    def inverted(self) -> Tuple:
        """Return the inverse tuple: ends exchanged, ICMP types those of the answers."""
        answer = Tuple.__new__(Tuple)
        answer._message, answer._layout = make(_GET, inverse(self._values()), 0, "orig_")
        answer._prefix = "orig_"
        return answer

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: ``{"src": ..., "dst": ..., "proto": "tcp", "sport": ...}``."""
        found = self._values()
        for name, value in found.items():
            convert = json_converter(_FIELDS[name][0])
            if convert is not None:
                found[name] = convert(value)
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tuple:
        """Return the tuple of a JSON form; raise :class:`~pyconntrack.RequestError` if wrong."""
        check_object(data)
        return cls(**{str(name): value for name, value in data.items()})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tuple):
            return NotImplemented
        return self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_tuple_of, (self._message, self._prefix))

    def __repr__(self) -> str:
        parts = (f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"Tuple({', '.join(parts)})"

    def __str__(self) -> str:
        data = self.to_dict()
        data.pop("proto", None)
        return " ".join(f"{name}={value}" for name, value in data.items())


attach(Tuple, TUPLE)


def _tuple_of(message: bytes, prefix: str) -> Tuple:
    return Tuple._view(find(message), message, prefix)


class Part:
    """A descriptor of the tuple ``name`` in a message; None if absent."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __get__(self, value: Value | None, owner: type | None = None) -> Any:
        if value is None:
            return self
        layout, prefix = value._layout, self.name + "_"
        if any(prefix + name in layout.slots for name in ("src", "proto", "dst")):
            return Tuple._view(layout, value._message, prefix)
        return None


def identity(
    layout: Layout, message: bytes, prefix: str, *, own: bool = False
) -> tuple[bytes | None, ...]:
    """Return the identity of a tuple, packed; a missing zone is the entry's unless ``own``."""
    plan = layout.writers.get((identity, prefix, own))
    if plan is None:
        slots = [layout.slots.get(prefix + name) for name in TUPLE_NAMES]
        # the zone of this direction, or of both; zone 0 equals none
        if slots[-1] is None and not own:
            slots[-1] = layout.slots.get("zone")
        plan = layout.writers[identity, prefix, own] = [
            (slot.offset, slot.offset + slot.size) if slot else (0, 0) for slot in slots
        ]
    parts: list[bytes | None] = [message[at:end] or None for at, end in plan]
    if parts[-1] == b"\0\0":
        parts[-1] = None
    return tuple(parts)
