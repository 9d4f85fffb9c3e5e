"""The base of all values: a proven message, and descriptors that read its fields.

A value keeps the kernel's bytes and their layout; a field is read when it is accessed.  So an entry
of a dump costs little, and attributes of newer kernels are kept.
"""

from __future__ import annotations

from ..ctnetlink.field_names import flatten
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
from ..netlink.messages import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, Self, TypeVar

    from ..ctnetlink.kinds import Kind
    from ..ctnetlink.layout import Layout
    from ..ctnetlink.schema import Rows

    T_co = TypeVar("T_co", covariant=True)

    class Reads(Protocol[T_co]):
        """A descriptor of a field of type ``T_co``."""

        name: str

        def read(self, raw: bytes, /) -> T_co:
            """Return the value of a field's bytes."""


class Value:
    """A message, its layout, and the prefix of its fields' names."""

    __slots__ = ("_layout", "_message")

    _layout: Layout
    _message: bytes
    _prefix = ""

    @classmethod
    def from_message(cls, message: bytes) -> Self:
        """Return the value of a netlink message, from its nlmsghdr on; DecodeError if malformed."""
        self = cls.__new__(cls)
        self._layout = find(message)
        self._message = message
        return self

    @property
    def message(self) -> bytes:
        """Return the netlink message of this value."""
        return self._message

    @property
    def family(self) -> int:
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


class Named:
    """A descriptor of the field or group of fields ``name``."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name: str = name


class Field(Named):
    """A field of a message; None if absent."""

    __slots__ = ()

    def __get__(self: Reads[T_co], value: Value | None, owner: type | None = None) -> T_co | None:
        if value is None:
            return self  # type: ignore[return-value]
        slot = value._layout.slots.get(value._prefix + self.name)
        if slot is None:
            return None
        return self.read(value._message[slot.offset : slot.offset + slot.size])


class Number(Field):
    """A number; None if absent."""

    __slots__ = ()
    read: staticmethod[[bytes], int] = staticmethod(int.from_bytes)


class Octets(Field):
    """A field of bytes; None if absent."""

    __slots__ = ()
    read: staticmethod[[bytes], bytes] = staticmethod(bytes)


class Address(Field):
    """An address as text; None if absent."""

    __slots__ = ()
    read: staticmethod[[bytes], str] = staticmethod(address)


class String(Field):
    """A text of the kernel; None if absent."""

    __slots__ = ()
    read: staticmethod[[bytes], str] = staticmethod(text)


class Labels(Field):
    """The numbers of the labels that are set; None if the field is absent."""

    __slots__ = ()

    @staticmethod
    def read(raw: bytes) -> tuple[int, ...]:
        """Return the numbers of the labels in a bitmap."""
        return tuple(label_numbers(raw))


#: kind of a row -> its descriptor
READERS: dict[Kind, type[Field]] = {
    **dict.fromkeys((U8, U16, U32, U64), Number),
    **dict.fromkeys((IPV4, IPV6), Address),
    **dict.fromkeys((BYTES, HOST32), Octets),
    TEXT: String,
    LABELS: Labels,
}


def attach(cls: type[Value], rows: Rows) -> None:
    """Give ``cls`` an attribute for each field of ``rows``, as declarations.pyi declares it."""
    for name, (row, *_) in flatten(rows).items():
        setattr(cls, f"{name}_" if name == "class" else name, READERS[row.kind](name))
