"""Entries of a table: the base of flows and expectations."""

from __future__ import annotations

import sys

from ..ctnetlink.convert import family_number, to_raw
from ..ctnetlink.field_names import FIELDS, TUPLE_NAMES
from ..ctnetlink.json_form import plain, read
from ..ctnetlink.layout import find, rows_of
from ..ctnetlink.moulds import make
from ..errors import DecodeError, RequestError, no_such
from ..escape import printable, shown
from ..netlink.messages import attr, nest
from ..netlink.messages import message as frame
from .fields import Value, attach, attribute
from .tuple import Part, Tuple, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Self

    from ..ctnetlink.schema import Attr, Rows


class Entry(Value):
    """The base of Flow and Expect, which programs may also make."""

    __slots__ = ()

    _rows: Rows
    _kind: int
    _fields: dict[str, tuple[Attr, ...]]
    #: the part that identifies it
    _part: str

    def __init_subclass__(cls) -> None:
        cls._fields = FIELDS[id(cls._rows)]
        attach(cls, cls._rows)
        for name in cls._fields:
            if name.endswith("_src"):
                part = Part(name.removesuffix("_src"))
                setattr(cls, part.name, part)

    def _build(
        self,
        given: Mapping[str, Any],
        raw: dict[str, Any] | None = None,
        family: int = 0,
        kept: Iterable[tuple[tuple[int, ...], bytes]] = (),
    ) -> None:
        """Make the message of ``raw``, overridden by ``given``, and of ``kept`` attributes."""
        raw = {} if raw is None else raw
        known = self._fields
        for name, value in given.items():
            rows = known.get(name)
            if value is None:
                raw.pop(name, None)
            elif rows is not None:
                raw[name] = to_raw(rows, name, value)
            elif name == "family":
                family = family_number(value)
            elif f"{name}_src" not in known:
                raise no_such("field", name, self._names())
            elif not isinstance(value, Tuple):
                raise RequestError(f"{name}: a Tuple is wanted, not {shown(value)}")
            else:
                raw.update(value._values(name + "_"))
        self._message, self._layout = make(self._kind, raw, family)
        for path, data in kept:
            part = attr(path[-1], data)
            for number in reversed(path[:-1]):
                part = nest(number, part)
            self._message = frame(self._kind, 0, 0, self._layout.family, self._message[20:] + part)
            self._layout = find(self._message)

    @classmethod
    def _names(cls) -> list[str]:
        """Return the names of the fields and tuples that an entry may be given."""
        tuples = [name.removesuffix("_src") for name in cls._fields if name.endswith("_src")]
        return ["family", *tuples, *cls._fields]

    @classmethod
    def from_message(cls, message: bytes) -> Self:
        """Return the value of a netlink message (from its nlmsghdr on).

        Raises :class:`~pyconntrack.DecodeError` if it is malformed or of another type.
        """
        self = super().from_message(message)
        kind = int.from_bytes(message[4:6], sys.byteorder)
        if rows_of(kind) is not cls._rows:
            raise DecodeError(f"message type {kind:#x} is not that of {cls.__name__}")
        return self

    @classmethod
    def from_raw(cls, values: Mapping[str, Any], family: int) -> Self:
        """Return the value of raw field values: packed addresses, flags and states as numbers."""
        self = cls.__new__(cls)
        self._build(values, family=family)
        return self

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the value of a JSON form; issue a UserWarning for unknown members.

        Raises :class:`~pyconntrack.RequestError` for misspelt members and values that do not fit.
        """
        reading = read(data, cls._rows)
        if reading.ignored:
            from warnings import warn

            warn(f"not known, and left out: {', '.join(reading.ignored)}", stacklevel=2)
        self = cls.__new__(cls)
        self._build({}, reading.values, reading.family, reading.unknown)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as ``conntrack -o json`` writes it.

        A tuple and its counters are an object; addresses and words are text; absent fields are left
        out.
        """
        return plain(self._layout, self._message)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with fields changed, by name or ``orig=Tuple(...)``; None removes one.

        Raises :class:`~pyconntrack.RequestError` for a name or value that does not fit.
        """
        layout = self._layout
        raw = layout.raw(self._message)
        for name in changes:
            if f"{name}_src" in self._fields:
                for inner in TUPLE_NAMES:
                    raw.pop(f"{name}_{inner}", None)
        new = type(self).__new__(type(self))
        new._build(changes, raw, 0 if "family" in changes else layout.family, self.unknown)
        return new

    @property
    def unknown(self) -> tuple[tuple[tuple[int, ...], bytes], ...]:
        """Return the attributes that the schema lacks: (path of attribute numbers, payload)."""
        return self._layout.kept(self._message)

    @property
    def key(self) -> tuple[bytes | None, ...]:
        """Return the identity of the entry: a tuple and the zone, packed; it is hashable."""
        return identity(self._layout, self._message, self._part)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        mine, theirs = self.raw("id"), other.raw("id")
        if mine is not None and theirs is not None and mine != theirs:
            return False
        return self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def same_as(self, other: object) -> bool:
        """Return whether ``other`` is equal in every field; ``==`` compares identity only."""
        return (
            type(self) is type(other)
            and isinstance(other, Entry)
            and self._layout.family == other._layout.family
            and self._values() == other._values()
            and set(self.unknown) == set(other.unknown)
        )

    def differences(self, other: Self) -> dict[str, tuple[Any, Any]]:
        """Return field name -> (value, value in ``other``) of every field that differs."""
        mine, theirs = self._values(), other._values()
        return {
            name: (getattr(self, attribute(name)), getattr(other, attribute(name)))
            for name in (*mine, *(name for name in theirs if name not in mine))
            if mine.get(name) != theirs.get(name)
        }

    def __repr__(self) -> str:
        data = self.to_dict()
        parts = []
        for name, value in data.items():
            if isinstance(value, dict):
                view = Tuple._view(self._layout, self._message, name + "_")
                parts.append(f"{name}={view!r}")
                parts += [f"{name}_{k}={value[k]}" for k in ("packets", "bytes") if k in value]
            elif name == "status":
                parts.append("status=" + "|".join(map(str, value)))
            elif name != "family":
                parts.append(f"{name}={printable(str(value))}")
        return f"{type(self).__name__}({', '.join(parts)})"
