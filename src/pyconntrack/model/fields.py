"""The base of all values: a proven message, and descriptors that read its fields.

A value keeps the kernel's bytes and their layout; a field is read when it is accessed.  So an entry
of a dump costs little, and attributes of newer kernels are kept.
"""

from __future__ import annotations

from ..ctnetlink.field_names import flatten, number_name
from ..ctnetlink.kinds import (
    BYTES,
    HOST32,
    IPV4,
    IPV6,
    LABELS,
    TEXT,
    U8,
    U16,
    U32,
    U64,
    address,
    label_numbers,
)
from ..ctnetlink.layout import find
from ..ctnetlink.vocabulary import FAMILY
from ..ctnetlink.words import TABLES, Unknown
from ..errors import RequestError
from ..escape import shown
from ..netlink.messages import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from ..ctnetlink.kinds import Kind
    from ..ctnetlink.layout import Layout
    from ..ctnetlink.literals import FamilyName
    from ..ctnetlink.schema import Rows


_FAMILIES: dict[int, Any] = {0: None, **FAMILY}


class Value:
    """A message, its layout, and the prefix of its fields' names."""

    __slots__ = ("_layout", "_message")

    _layout: Layout
    _message: bytes
    _prefix = ""

    @classmethod
    def from_message(cls, message: bytes) -> Self:
        """Return the value of a netlink message, from its nlmsghdr on; DecodeError if malformed."""
        if message.__class__ is not bytes:
            raise RequestError(f"message: bytes are wanted, not {shown(message)}")
        self = cls.__new__(cls)
        self._layout = find(message)
        self._message = message
        return self

    @property
    def message(self) -> bytes:
        """Return the netlink message of this value."""
        return self._message

    @property
    def family(self) -> FamilyName | Unknown | None:
        """Return the layer 3 family: ``"ipv4"``, ``"ipv6"``, or None if there is none."""
        try:
            family: FamilyName | None = _FAMILIES[self._layout.family]
        except KeyError:
            return Unknown("family", self._layout.family)
        return family

    @property
    def family_number(self) -> int:
        """Return the layer 3 family: 2 (AF_INET), 10 (AF_INET6), or 0 if there is none."""
        return self._layout.family

    def raw(self, name: str) -> bytes | None:
        """Return the bytes of field ``name`` as in the message, None if it is absent."""
        slot = self._layout.slots.get(self._prefix + name)
        if slot is None:
            return None
        return self._message[slot.offset : slot.offset + slot.size]

    def _values(self) -> dict[str, Any]:
        """Return field name -> raw value."""
        return self._layout.values(self._message)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_message, (self._message,))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Field:
    """A descriptor of a field, whose bytes ``read`` converts; None if absent."""

    __slots__ = ("name", "read")

    def __init__(self, name: str, read: Callable[[bytes], Any]) -> None:
        self.name: str = name
        self.read: Callable[[bytes], Any] = read

    def __get__(self, value: Value | None, owner: type | None = None) -> Any:
        if value is None:
            return self
        slot = value._layout.slots.get(value._prefix + self.name)
        if slot is None:
            return None
        return self.read(value._message[slot.offset : slot.offset + slot.size])


def _labels(raw: bytes) -> tuple[int, ...]:
    return tuple(label_numbers(raw))


#: kind of a row -> the function from the bytes of a field to its value
_READERS: dict[Kind, Callable[[bytes], Any]] = {
    **dict.fromkeys((U8, U16, U32, U64), int.from_bytes),
    **dict.fromkeys((IPV4, IPV6), address),
    **dict.fromkeys((BYTES, HOST32), bytes),
    TEXT: text,
    LABELS: _labels,
}


def attribute(name: str) -> str:
    """Return the name of the attribute of field ``name``: ``class`` is a keyword."""
    return f"{name}_" if name == "class" else name


def attach(cls: type[Value], rows: Rows) -> None:
    """Give ``cls`` an attribute for each field of ``rows``, as declarations.pyi declares it.

    A field with words has a second one for its number (:func:`number_name`).
    """
    for name, (row, *_) in flatten(rows).items():
        read = _READERS[row.kind]
        if row.words is not None:
            setattr(cls, number_name(name, row), Field(name, read))
            read = TABLES[id(row.words)].__getitem__
        setattr(cls, attribute(name), Field(name, read))
