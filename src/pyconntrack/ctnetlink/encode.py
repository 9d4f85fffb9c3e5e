"""Encode values as attributes, in kernel order, by the rows of the schema.

Numbers are int, texts str or bytes, addresses packed, all else bytes (HOST32 also int).
"""

from __future__ import annotations

from ..errors import RequestError
from ..netlink.messages import attr, nest
from . import vocabulary
from .kinds import HOST32, TEXT
from .schema import Attr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .schema import Rows


def encode(rows: Rows, values: Mapping[str, Any], family: int = 0) -> bytes:
    """Return the attributes of ``values`` (field name -> raw value); None counts as absent.

    ``family`` selects among rows bound to one.  Raises :class:`RequestError` for a value that does
    not fit its row and for an unknown name.
    """
    todo = {name: value for name, value in values.items() if value is not None}
    payload = _encode(rows, todo, family, "")
    if todo:
        raise RequestError(f"no such field: {', '.join(sorted(todo))}")
    return payload


def _encode(rows: Rows, todo: dict[str, Any], family: int, prefix: str) -> bytes:
    parts = []
    protocol = None
    for row in rows.values():
        if not todo:
            break
        if isinstance(row, Attr):
            name = prefix + row.name
            if name in todo and (not row.only or not family or row.only == family):
                value = todo[name]
                if row.only and isinstance(value, bytes) and len(value) != row.kind.size:
                    continue  # the other family's row of the same name
                if row.protocols and protocol not in row.protocols:
                    raise RequestError(f"{name}: {_instead(rows, row, protocol, prefix)}")
                if row.shape:
                    protocol = value
                parts.append(attr(row.number, pack(row, value, name)))
                del todo[name]
        else:
            inner = prefix + row.name + "_" if row.name else prefix
            if row.name and not any(name.startswith(inner) for name in todo):
                continue
            payload = _encode(row.rows, todo, family, inner)
            if payload:
                parts.append(nest(row.number, payload))
    return b"".join(parts)


def _instead(rows: Rows, row: Attr, protocol: int | None, prefix: str) -> str:
    """Return what a tuple of ``protocol`` has instead of ``row``, for an error message."""
    if protocol is None:
        return f"only together with {prefix}proto"
    word = vocabulary.PROTO.get(protocol, f"protocol {protocol}")
    for other in rows.values():
        if isinstance(other, Attr) and other.number == row.number and protocol in other.protocols:
            return f"{word} has {prefix}{other.name} instead"
    return f"{word} has no such field"


def pack(row: Attr, value: Any, name: str) -> bytes:
    """Return the payload of one attribute; raise RequestError if ``value`` does not fit."""
    kind = row.kind
    if kind.number:
        if not isinstance(value, int):
            raise RequestError(f"{name}: a whole number is wanted, not {value!r}")
        if not 0 <= value <= kind.limit:
            raise RequestError(f"{name}: {value} is not in 0..{kind.limit}")
        return value.to_bytes(kind.size)
    if kind is HOST32 and isinstance(value, int):
        import sys

        return value.to_bytes(4, sys.byteorder)
    if kind is TEXT and isinstance(value, str) and "\0" not in value:
        return value.encode() + b"\0"
    if not isinstance(value, (bytes, bytearray)):
        what = "a text is" if kind is TEXT else "bytes are"
        raise RequestError(f"{name}: {what} wanted, not {value!r}")
    if kind.size and len(value) != kind.size:
        raise RequestError(f"{name}: {kind.size} bytes are wanted, not {len(value)}")
    return bytes(value)
