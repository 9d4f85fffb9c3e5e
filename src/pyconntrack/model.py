"""Typed values: flows, tuples, expectations, events, statistics.

A :class:`Flow` is a proven message: it keeps the kernel's bytes and their layout, and a field is
read out of them when somebody asks for it.  So a dump costs little an entry, whatever a newer
kernel adds is kept, and a value is immutable.  Values made by hand are encoded to the same bytes,
which is also what checks them.

Owns what a user sees of a message: names, words, identity, the JSON form.  Sends nothing.
Everything here is immutable; absent is None and zero is zero.
"""

from __future__ import annotations

import sys
from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct
from time import time_ns

from . import vocab
from .encode import encode
from .errors import DecodeError, RequestError
from .fields import BYTES, HOST32, IPV4, IPV6, TEXT
from .filter import bind, label_byte
from .layout import Layout, find, text
from .schema import CONNTRACK, COUNTERS, EXPECT, STATS_CPU, TUPLE, Attr, Nest
from .wire import consts as c
from .wire.frame import message as frame
from .wire.tlv import attr, nest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from ipaddress import IPv4Address, IPv6Address
    from typing import Any, Self, TypedDict, TypeVar, Unpack

    from .filter import Node
    from .schema import Rows

    E = TypeVar("E", "Flow", "Expect")
    AddressLike = str | bytes | IPv4Address | IPv6Address
    Words = int | str | Iterable[str | int]

    class Changes(TypedDict, total=False):
        """The fields of a flow that exists which the kernel lets a program change."""

        status: Words | None
        timeout: int | None
        mark: int | None
        mark_mask: int | None
        helper: str | None
        helper_info: bytes | None
        labels: Iterable[int] | bytes | None
        labels_mask: Iterable[int] | bytes | None
        tcp_state: int | str | None
        tcp_wscale_orig: int | None
        tcp_wscale_reply: int | None
        tcp_flags_orig: int | None
        tcp_flags_reply: int | None
        dccp_state: int | str | None
        dccp_role: int | str | None
        dccp_handshake_seq: int | None
        sctp_state: int | str | None
        sctp_vtag_orig: int | None
        sctp_vtag_reply: int | None
        orig_seqadj_correction_pos: int | None
        orig_seqadj_offset_before: int | None
        orig_seqadj_offset_after: int | None
        reply_seqadj_correction_pos: int | None
        reply_seqadj_offset_before: int | None
        reply_seqadj_offset_after: int | None
        synproxy_isn: int | None
        synproxy_its: int | None
        synproxy_tsoff: int | None

    class FlowFields(Changes, total=False):
        """The fields that a program may give a flow; any other schema name works as well."""

        family: int | str | None
        zone: int | None
        id: int | None
        secmark: int | None
        secctx: str | None
        use: int | None
        orig_packets: int | None
        orig_bytes: int | None
        reply_packets: int | None
        reply_bytes: int | None
        src_nat_min_addr: AddressLike | None
        src_nat_max_addr: AddressLike | None
        src_nat_min_port: int | None
        src_nat_max_port: int | None
        dst_nat_min_addr: AddressLike | None
        dst_nat_max_addr: AddressLike | None
        dst_nat_min_port: int | None
        dst_nat_max_port: int | None
        timestamp_start: int | None
        timestamp_stop: int | None
        timestamp_event: int | None


FAMILIES = {c.AF_INET: "ipv4", c.AF_INET6: "ipv6"}
_FLAGS = (vocab.STATUS, vocab.EXPECT_FLAGS)
_LABELS = ("labels", "labels_mask")
_LENGTH = Struct("=I").unpack_from
_LABEL_BYTES = 16  # NF_CT_LABELS_MAX_SIZE
#: what tells connections apart, in one direction
_KEY = ("src", "dst", "proto", "sport", "dport", "icmp_id", "icmp_type", "icmp_code")


# -- the schema, by name ------------------------------------------------------------------------


def flatten(rows: Rows) -> dict[str, tuple[Attr, ...]]:
    """Public field name -> the schema rows that carry it."""
    found: dict[str, tuple[Attr, ...]] = {}
    for name, _, row in _leaves(rows, "", ""):
        found[name] = (*found.get(name, ()), row)
    return found


def _leaves(rows: Rows, prefix: str, group: str) -> Iterator[tuple[str, str, Attr]]:
    """(field name, the JSON object it lies in or "", row) of every leaf, in kernel order."""
    for row in rows.values():
        if isinstance(row, Nest):
            name = prefix + row.name + "_" if row.name else prefix
            inner = name[:-1] if row.rows is TUPLE or row.rows is COUNTERS else group
            yield from _leaves(row.rows, name, inner)
        else:
            yield prefix + row.name, group, row


FIELDS = {id(rows): flatten(rows) for rows in (CONNTRACK, EXPECT, TUPLE)}
_GROUPS = {
    id(rows): {name: group for name, group, _ in _leaves(rows, "", "")}
    for rows in (CONNTRACK, EXPECT)
}


def to_raw(rows: tuple[Attr, ...], name: str, value: Any) -> Any:
    """A user's value as `encode` wants it; RequestError names the field and what would be right."""
    row = rows[0]
    kind = row.kind
    if kind is IPV4 or kind is IPV6:
        return packed(value, name)
    if kind is TEXT:
        if not isinstance(value, str) or "\0" in value:
            raise RequestError(f"{name}: a text is wanted, not {value!r}")
        return value
    if kind is BYTES or kind is HOST32:
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if name in _LABELS:
            return _label_bytes(value, name)
        if isinstance(value, str):
            try:
                return bytes.fromhex(value)
            except ValueError:
                pass
        raise RequestError(f"{name}: bytes or hexadecimal text are wanted, not {value!r}")
    if row.words is not None and not isinstance(value, int):
        return _number_of_words(row, name, value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{name}: a whole number is wanted, not {value!r}")
    limit = max(each.kind.limit for each in rows)
    if not 0 <= value <= limit:
        raise RequestError(f"{name}: {value} is not in 0..{limit}")
    return value


def _number_of_words(row: Attr, name: str, value: Any) -> int:
    assert row.words is not None
    flags = row.words in _FLAGS
    numbers = {word.upper(): number for number, word in row.words.items()}
    known = ", ".join(row.words.values())
    if isinstance(value, str):
        number = numbers.get(value.upper())
        if number is not None:
            return number
        raise RequestError(f"{name}: {value!r} is none of {known}")
    if not flags or not hasattr(value, "__iter__"):
        raise RequestError(f"{name}: a number or one of {known} is wanted, not {value!r}")
    total = 0
    for word in value:
        total |= word if isinstance(word, int) else _number_of_words(row, name, word)
    return total


def packed(value: AddressLike, name: str) -> bytes:
    """An address in packed form, from text, packed bytes or an ``ipaddress`` value."""
    if isinstance(value, str):
        family = AF_INET6 if ":" in value else AF_INET
        try:
            return inet_pton(family, value)
        except (OSError, ValueError):
            pass
    else:
        raw = getattr(value, "packed", value)
        if isinstance(raw, bytes) and len(raw) in (4, 16):
            return raw
    raise RequestError(f"{name}: an IPv4 or IPv6 address is wanted, not {value!r}")


def unpacked(raw: bytes) -> str:
    """The text of a packed address."""
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)


def _label_bytes(value: Any, name: str) -> bytes:
    raw = bytearray(_LABEL_BYTES)
    try:
        bits = list(value)
    except TypeError:
        bits = [None]
    for bit in bits:
        if not isinstance(bit, int) or isinstance(bit, bool) or not 0 <= bit < 8 * _LABEL_BYTES:
            raise RequestError(f"{name}: label numbers 0..{8 * _LABEL_BYTES - 1} are wanted, "
                               f"not {value!r}")  # fmt: skip
        raw[label_byte(bit // 8)] |= 1 << bit % 8
    return bytes(raw)


def labels_of(raw: bytes) -> tuple[int, ...]:
    """The numbers of the labels that are set in a CTA_LABELS bitmap."""
    if not int.from_bytes(raw):
        return ()
    return tuple(
        bit for bit in range(8 * len(raw)) if raw[label_byte(bit // 8)] >> bit % 8 & 1
    )  # fmt: skip


def words_of(words: Mapping[int, str], value: int) -> list[str | int]:
    """The words of the bits set in `value`; a bit without a word stays a number."""
    found: list[str | int] = []
    bit = 1
    while bit <= value:
        if value & bit:
            found.append(words.get(bit, bit))
        bit <<= 1
    return found


def _family_of(values: Mapping[str, Any], family: Any) -> int:
    if isinstance(family, str):
        known = {word: number for number, word in FAMILIES.items()}
        if family not in known:
            raise RequestError(f"family: {family!r} is none of {', '.join(known)}")
        family = known[family]
    elif family is not None and (
        not isinstance(family, int) or isinstance(family, bool) or family not in (0, *FAMILIES)
    ):
        raise RequestError(f"family: {family!r} is none of 2 (ipv4), 10 (ipv6)")
    for name, value in values.items():
        if isinstance(value, bytes) and name.endswith(("src", "dst", "addr")):
            here = c.AF_INET if len(value) == 4 else c.AF_INET6
            if family and family != here:
                words = FAMILIES[family]
                raise RequestError(f"{name}: {unpacked(value)} is not an {words} address")
            family = here
    return int(family or 0)


# -- a message as JSON --------------------------------------------------------------------------

_Step = tuple[str, str, int, "Callable[[Any], Any] | None"]


def plain(layout: Layout, message: bytes) -> dict[str, Any]:
    """A proven message in its JSON form: numbers as numbers, addresses and words as text.

    The fields of tuples and counters lie in objects of their own (``orig``, ``reply``,
    ``master``...), all others beside them under their schema names; absent is absent.
    """
    plan = layout.writers.get(plain)
    if plan is None:
        plan = layout.writers[plain] = _plan(layout)
    head, groups, steps = plan
    result: dict[str, Any] = dict(head)
    places: dict[str, dict[str, Any]] = {"": result}
    for group in groups:
        places[group] = result[group] = {}
    for (group, key, convert), value in zip(steps, layout.struct.unpack(message), strict=True):
        places[group][key] = value if convert is None else convert(value)
    if layout.unknown:
        result["unknown"] = [
            {"path": list(path), "data": data.hex()} for path, data in layout.kept(message)
        ]
    return result


def _plan(layout: Layout) -> tuple[dict[str, str], list[str], list[Any]]:
    head = {"family": FAMILIES[layout.family]} if layout.family in FAMILIES else {}
    groups: list[str] = []
    steps = []
    for name, slot in layout.slots.items():
        group = ""
        for table in _GROUPS.values():
            group = table.get(name, "") or group
        if group and group not in groups:
            groups.append(group)
        key = name[len(group) + 1 :] if group else name
        steps.append((group, key, _converter(slot.attr, name)))
    return head, groups, steps


def _converter(row: Attr, name: str) -> Callable[[Any], Any] | None:
    kind, words = row.kind, row.words
    if kind is IPV4 or kind is IPV6:
        return unpacked
    if kind is TEXT:
        return text
    if name in _LABELS:
        return lambda raw: list(labels_of(raw))
    if not kind.number:
        return bytes.hex
    if words is None:
        return None
    if words in _FLAGS:
        return lambda value: words_of(words, value)
    return lambda value: words.get(value, value)


def _flat(data: Mapping[str, Any], rows: Rows) -> tuple[dict[str, Any], list[Any]]:
    groups = set(_GROUPS[id(rows)].values()) - {""}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if key in groups:
            if not isinstance(value, dict):
                raise RequestError(f"{key}: an object is wanted, not {value!r}")
            for inner, each in value.items():
                flat[f"{key}_{inner}"] = each
        elif key != "unknown":
            flat[key] = value
    kept = []
    for item in data.get("unknown", ()):
        try:
            kept.append((tuple(item["path"]), bytes.fromhex(item["data"])))
        except (TypeError, KeyError, ValueError):
            raise RequestError(f"unknown: {{path, data}} is wanted, not {item!r}") from None
    return flat, kept


# -- fields -------------------------------------------------------------------------------------


class _Field:
    __slots__ = ("name",)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name.removesuffix("_")


class Number(_Field):
    """A numeric field of a message; None where it is absent."""

    __slots__ = ()

    def __get__(self, value: Value | None, owner: type | None = None) -> int | None:
        if value is None:
            return self  # type: ignore[return-value]
        slot = value._layout.slots.get(value._prefix + self.name)
        if slot is None:
            return None
        return int.from_bytes(value._message[slot.offset : slot.offset + slot.size])


class Octets(_Field):
    """A field of bytes; None where it is absent."""

    __slots__ = ()

    def __get__(self, value: Value | None, owner: type | None = None) -> bytes | None:
        if value is None:
            return self  # type: ignore[return-value]
        return value.raw(self.name)


class Address(_Field):
    """An address as text; None where it is absent."""

    __slots__ = ()

    def __get__(self, value: Value | None, owner: type | None = None) -> str | None:
        if value is None:
            return self  # type: ignore[return-value]
        raw = value.raw(self.name)
        return None if raw is None else unpacked(raw)


class String(_Field):
    """A text of the kernel; None where it is absent."""

    __slots__ = ()

    def __get__(self, value: Value | None, owner: type | None = None) -> str | None:
        if value is None:
            return self  # type: ignore[return-value]
        raw = value.raw(self.name)
        return None if raw is None else text(raw)


class Labels(_Field):
    """The numbers of the labels that are set; None where the field is absent."""

    __slots__ = ()

    def __get__(self, value: Value | None, owner: type | None = None) -> tuple[int, ...] | None:
        if value is None:
            return self  # type: ignore[return-value]
        raw = value.raw(self.name)
        return None if raw is None else labels_of(raw)


class Part(_Field):
    """A tuple inside a message; None where it is absent."""

    __slots__ = ()

    def __get__(self, value: Value | None, owner: type | None = None) -> Tuple | None:
        if value is None:
            return self  # type: ignore[return-value]
        prefix = self.name + "_"
        slots = value._layout.slots
        if prefix + "src" in slots or prefix + "proto" in slots or prefix + "dst" in slots:
            return Tuple._view(value._layout, value._message, prefix)
        return None


class Flag:
    """Whether a bit of ``status`` is set; False where there is no status."""

    __slots__ = ("bit",)

    def __init__(self, bit: int) -> None:
        self.bit = bit

    def __get__(self, value: Flow | None, owner: type | None = None) -> bool:
        if value is None:
            return self  # type: ignore[return-value]
        return bool((value.status or 0) & self.bit)


class Value:
    """What all values have in common: a message, its layout, and reading fields out of it."""

    __slots__ = ("_layout", "_message")

    _layout: Layout
    _message: bytes
    _prefix = ""

    @classmethod
    def from_message(cls, message: bytes) -> Self:
        """The value of a netlink message (from its nlmsghdr on); DecodeError if it is broken."""
        self = cls.__new__(cls)
        self._layout = find(message)
        self._message = message
        return self

    @property
    def message(self) -> bytes:
        """The netlink message that this value is made of."""
        return self._message

    @property
    def family(self) -> int:
        """The layer 3 family: 2 (AF_INET) or 10 (AF_INET6); 0 where it does not matter."""
        return self._layout.family

    def raw(self, name: str) -> bytes | None:
        """The bytes of field `name` as the kernel sent them; None where it is absent."""
        slot = self._layout.slots.get(self._prefix + name)
        if slot is None:
            return None
        return self._message[slot.offset : slot.offset + slot.size]

    def _values(self) -> dict[str, Any]:
        return self._layout.values(self._message)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_message, (self._message,))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class _Entry(Value):
    """A value that a program may also make: Flow and Expect."""

    __slots__ = ()

    _rows: Rows
    _kind: int

    def _build(self, values: Mapping[str, Any], kept: Iterable[Any] = ()) -> None:
        known = FIELDS[id(self._rows)]
        raw: dict[str, Any] = {}
        given = None
        for name, value in values.items():
            if value is None:
                continue
            if name == "family":
                given = value
            elif isinstance(value, Tuple):
                for inner, each in value._values().items():
                    if f"{name}_{inner}" not in known:
                        raise RequestError(f"no such field: {name}")
                    raw[f"{name}_{inner}"] = each
            elif name not in known:
                if any(field.startswith(name + "_") for field in known):
                    raise RequestError(f"{name}: a Tuple is wanted, not {value!r}")
                raise RequestError(f"no such field: {name}")
            else:
                raw[name] = to_raw(known[name], name, value)
        family = _family_of(raw, given)
        payload = encode(self._rows, raw, family)
        for path, data in kept:
            part = attr(path[-1], data)
            for number in reversed(path[:-1]):
                part = nest(number, part)
            payload += part
        self._message = frame(self._kind, 0, 0, family, payload)
        self._layout = find(self._message)

    @classmethod
    def from_raw(cls, values: Mapping[str, Any], family: int) -> Self:
        """The value of raw field values (addresses packed, flags and states as numbers)."""
        self = cls.__new__(cls)
        self._build({**values, "family": family or None})
        return self

    def replace(self, **changes: Any) -> Self:
        """A copy with fields changed (by schema name, or ``orig=Tuple(...)``); None removes one.

        Raises :class:`~pyconntrack.RequestError` for a name or value that does not fit.
        """
        values: dict[str, Any] = self._values()
        for name, value in changes.items():
            if isinstance(value, Tuple) or (value is None and name + "_src" in values):
                for inner in (*_KEY, "zone"):
                    values.pop(f"{name}_{inner}", None)
            values[name] = value
        values.setdefault("family", self.family or None)
        new = type(self).__new__(type(self))
        new._build(values, self.unknown)
        return new

    @property
    def unknown(self) -> tuple[tuple[tuple[int, ...], bytes], ...]:
        """Attributes that the schema does not know: (path of attribute numbers, payload)."""
        return self._layout.kept(self._message)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: see :func:`plain`."""
        return plain(self._layout, self._message)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The value of a JSON form.  Raises :class:`~pyconntrack.RequestError`."""
        if not isinstance(data, dict):
            raise RequestError(f"an object is wanted, not {data!r}")
        flat, kept = _flat(data, cls._rows)
        self = cls.__new__(cls)
        self._build(flat, kept)
        return self

    def same_as(self, other: object) -> bool:
        """Whether `other` is equal in every field, unlike ``==`` which asks for identity."""
        return (
            type(self) is type(other)
            and isinstance(other, _Entry)
            and self.family == other.family
            and self._values() == other._values()
            and set(self.unknown) == set(other.unknown)
        )

    def differences(self, other: Self) -> dict[str, tuple[Any, Any]]:
        """Field name -> (here, there) of every field that differs, as raw values."""
        mine, theirs = self._values(), other._values()
        return {
            name: (mine.get(name), theirs.get(name))
            for name in (*mine, *(name for name in theirs if name not in mine))
            if mine.get(name) != theirs.get(name)
        }

    def __repr__(self) -> str:
        data = self.to_dict()
        parts = []
        for name, value in data.items():
            if isinstance(value, dict):
                view = Tuple._view(self._layout, self._message, name + "_")
                parts.append(f"{name}={view!r}" if view._layout.slots else "")
                parts += [f"{name}_{k}={value[k]}" for k in ("packets", "bytes") if k in value]
            elif name == "status":
                parts.append("status=" + "|".join(map(str, value)))
            elif name != "family":
                parts.append(f"{name}={value}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Tuple(Value):
    """One direction of a connection: addresses, protocol, ports or ICMP fields, zone.

    `src`, `dst`: text, packed bytes or ``ipaddress`` values; `proto`: a number or a word such as
    ``"tcp"``; `sport`, `dport`: 0..65535; `icmp_id`, `icmp_type`, `icmp_code`; `zone`: of this
    direction alone.  Source: CTA_TUPLE_*.
    """

    __slots__ = ("_prefix",)

    src = Address()
    dst = Address()
    proto = Number()
    sport = Number()
    dport = Number()
    icmp_id = Number()
    icmp_type = Number()
    icmp_code = Number()
    zone = Number()

    def __init__(
        self,
        src: AddressLike | None = None,
        dst: AddressLike | None = None,
        proto: int | str | None = None,
        sport: int | None = None,
        dport: int | None = None,
        *,
        icmp_id: int | None = None,
        icmp_type: int | None = None,
        icmp_code: int | None = None,
        zone: int | None = None,
    ) -> None:
        given = {
            "src": src, "dst": dst, "proto": proto, "sport": sport, "dport": dport,
            "icmp_id": icmp_id, "icmp_type": icmp_type, "icmp_code": icmp_code, "zone": zone,
        }  # fmt: skip
        fields = FIELDS[id(TUPLE)]
        raw = {
            name: to_raw(fields[name], name, value)
            for name, value in given.items()
            if value is not None
        }
        family = _family_of(raw, None)
        payload = nest(1, encode(TUPLE, raw, family))
        self._message = frame(c.ct_msg(c.IPCTNL_MSG_CT_GET), 0, 0, family, payload)
        self._layout = find(self._message)
        self._prefix = "orig_"

    @classmethod
    def _view(cls, layout: Layout, message: bytes, prefix: str) -> Tuple:
        self = cls.__new__(cls)
        self._layout, self._message, self._prefix = layout, message, prefix
        return self

    def _values(self) -> dict[str, Any]:
        found = {}
        for name in (*_KEY, "zone"):
            raw = self.raw(name)
            if raw is not None:
                found[name] = raw if name in ("src", "dst") else int.from_bytes(raw)
        return found

    @property
    def key(self) -> tuple[bytes | None, ...]:
        """The values that make this tuple what it is, packed; fit for a dictionary."""
        return _key(self._layout, self._message, self._prefix, own=True)

    @property
    def proto_name(self) -> str | None:
        """The protocol as a word; its number as text where it has none."""
        number = self.proto
        return None if number is None else vocab.PROTO.get(number, str(number))

    def inverted(self) -> Tuple:
        """The tuple of the answer: ends exchanged, ICMP requests turned to replies."""
        answer = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
        if self.family == c.AF_INET6:
            answer = {128: 129, 129: 128, 139: 140, 140: 139}
        kind = self.icmp_type
        return Tuple(
            self.raw("dst"), self.raw("src"), self.proto, self.dport, self.sport,
            icmp_id=self.icmp_id, icmp_type=None if kind is None else answer.get(kind, kind),
            icmp_code=self.icmp_code,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: ``{"src": ..., "dst": ..., "proto": "tcp", "sport": ...}``."""
        found: dict[str, Any] = {}
        for name, value in self._values().items():
            convert = _converter(FIELDS[id(TUPLE)][name][0], name)
            found[name] = value if convert is None else convert(value)
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tuple:
        """The tuple of a JSON form.  Raises :class:`~pyconntrack.RequestError`."""
        wrong = set(data) - set(FIELDS[id(TUPLE)])
        if wrong:
            raise RequestError(f"no such field: {', '.join(sorted(wrong))}")
        return cls(**data)

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


def _tuple_of(message: bytes, prefix: str) -> Tuple:
    return Tuple._view(find(message), message, prefix)


def _key(
    layout: Layout, message: bytes, prefix: str, *, own: bool = False
) -> tuple[bytes | None, ...]:
    plan = layout.writers.get((_key, prefix, own))
    if plan is None:
        plan = []
        for name in _KEY:
            slot = layout.slots.get(prefix + name)
            plan.append((slot.offset, slot.offset + slot.size) if slot else (0, 0))
        # a zone of this direction, or of both; 0 is what it is to have none
        zone = layout.slots.get(prefix + "zone")
        if zone is None and prefix == "orig_" and not own:
            zone = layout.slots.get("zone")
        plan.append((zone.offset, zone.offset + zone.size) if zone else (0, 0))
        layout.writers[_key, prefix, own] = plan
    parts: list[bytes | None] = [message[at:end] or None for at, end in plan]
    if parts[-1] == b"\0\0":
        parts[-1] = None
    return tuple(parts)


class Flow(_Entry):
    """A connection as the kernel tracks it.

    Made by the kernel's messages, or by hand: ``Flow(Tuple(...), mark=5, timeout=60,
    status="ASSURED", tcp_state="ESTABLISHED", labels=[1, 7])``.  Every field of the schema is an
    attribute under its schema name; None where it is absent.  Times are nanoseconds since 1970
    (``timestamp_*``) or seconds that are left (``timeout``).

    ``==`` and ``hash`` go by the identity of the connection: the original tuple and its zone, and
    the kernel's id where both sides have one.  :meth:`same_as` compares every field.
    Wrong names and values raise :class:`~pyconntrack.RequestError`.
    """

    __slots__ = ()
    _rows = CONNTRACK
    _kind = c.ct_msg(c.IPCTNL_MSG_CT_NEW)

    orig = Part()
    reply = Part()
    master = Part()

    orig_src = Address()
    orig_dst = Address()
    orig_proto = Number()
    orig_sport = Number()
    orig_dport = Number()
    orig_icmp_id = Number()
    orig_icmp_type = Number()
    orig_icmp_code = Number()
    orig_zone = Number()
    reply_src = Address()
    reply_dst = Address()
    reply_proto = Number()
    reply_sport = Number()
    reply_dport = Number()
    reply_icmp_id = Number()
    reply_icmp_type = Number()
    reply_icmp_code = Number()
    reply_zone = Number()
    status = Number()
    tcp_state = Number()
    tcp_wscale_orig = Number()
    tcp_wscale_reply = Number()
    tcp_flags_orig = Number()
    tcp_flags_reply = Number()
    dccp_state = Number()
    dccp_role = Number()
    dccp_handshake_seq = Number()
    sctp_state = Number()
    sctp_vtag_orig = Number()
    sctp_vtag_reply = Number()
    helper = String()
    helper_info = Octets()
    src_nat_min_addr = Address()
    src_nat_max_addr = Address()
    src_nat_min_port = Number()
    src_nat_max_port = Number()
    timeout = Number()
    mark = Number()
    orig_packets = Number()
    orig_bytes = Number()
    reply_packets = Number()
    reply_bytes = Number()
    use = Number()
    id = Number()
    dst_nat_min_addr = Address()
    dst_nat_max_addr = Address()
    dst_nat_min_port = Number()
    dst_nat_max_port = Number()
    master_src = Address()
    master_dst = Address()
    master_proto = Number()
    master_sport = Number()
    master_dport = Number()
    master_icmp_id = Number()
    master_icmp_type = Number()
    master_icmp_code = Number()
    master_zone = Number()
    orig_seqadj_correction_pos = Number()
    orig_seqadj_offset_before = Number()
    orig_seqadj_offset_after = Number()
    reply_seqadj_correction_pos = Number()
    reply_seqadj_offset_before = Number()
    reply_seqadj_offset_after = Number()
    secmark = Number()
    zone = Number()
    secctx = String()
    timestamp_start = Number()
    timestamp_stop = Number()
    mark_mask = Number()
    labels = Labels()
    labels_mask = Labels()
    synproxy_isn = Number()
    synproxy_its = Number()
    synproxy_tsoff = Number()
    filter_orig_flags = Octets()
    filter_reply_flags = Octets()
    status_mask = Number()
    timestamp_event = Number()

    expected = Flag(c.IPS_EXPECTED)
    seen_reply = Flag(c.IPS_SEEN_REPLY)
    assured = Flag(c.IPS_ASSURED)
    confirmed = Flag(c.IPS_CONFIRMED)
    is_src_nat = Flag(c.IPS_SRC_NAT)
    is_dst_nat = Flag(c.IPS_DST_NAT)
    is_seq_adjusted = Flag(c.IPS_SEQ_ADJUST)
    dying = Flag(c.IPS_DYING)
    fixed_timeout = Flag(c.IPS_FIXED_TIMEOUT)
    offloaded = Flag(c.IPS_OFFLOAD)
    hw_offloaded = Flag(c.IPS_HW_OFFLOAD)

    def __init__(
        self,
        orig: Tuple | None = None,
        reply: Tuple | None = None,
        master: Tuple | None = None,
        **fields: Unpack[FlowFields],
    ) -> None:
        for name, value in (("orig", orig), ("reply", reply), ("master", master)):
            if value is not None and not isinstance(value, Tuple):
                raise RequestError(f"{name}: a Tuple is wanted, not {value!r}")
        self._build({"orig": orig, "reply": reply, "master": master, **fields})

    @property
    def key(self) -> tuple[bytes | None, ...]:
        """The identity of the connection: its original tuple and zone, fit for a dictionary."""
        return _key(self._layout, self._message, "orig_")

    @property
    def status_words(self) -> list[str | int]:
        """The words of ``status``; a bit that has none stays a number."""
        return words_of(vocab.STATUS, self.status or 0)

    @property
    def state(self) -> str | None:
        """The word of the TCP, SCTP or DCCP state; None where the protocol has none."""
        for name, words in _STATES:
            raw = self.raw(name)
            if raw is not None:
                number = int.from_bytes(raw)
                return words.get(number, str(number))
        return None

    @property
    def proto(self) -> str | None:
        """The protocol as a word; its number as text where it has none."""
        number = self.orig_proto
        return None if number is None else vocab.PROTO.get(number, str(number))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flow):
            return NotImplemented
        mine, theirs = self.raw("id"), other.raw("id")
        if mine is not None and theirs is not None and mine != theirs:
            return False
        return self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        """One line, much as ``conntrack -L -o id`` writes it."""
        parts = [f"{self.proto or '?':8} {self.orig_proto or 0}"]
        if self.timeout is not None:
            parts.append(str(self.timeout))
        if self.state is not None:
            parts.append(self.state)
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
        if self.assured:
            parts.append("[ASSURED]")
        for name in ("mark", "secctx", "zone", "use", "id", "helper"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={value}")
        if self.labels:
            parts.append("labels=" + ",".join(map(str, self.labels)))
        return " ".join(parts)


_STATES = (
    ("tcp_state", vocab.TCP_STATE),
    ("sctp_state", vocab.SCTP_STATE),
    ("dccp_state", vocab.DCCP_STATE),
)


class Expect(_Entry):
    """A connection that a helper expects.

    `tuple` under `mask` is what will match, `master` the connection that it belongs to; `timeout`
    in seconds; `flags` numbers or words (PERMANENT, INACTIVE, USERSPACE).  The kernel's ``class``
    is :attr:`class_`.  Source: CTA_EXPECT_*.
    """

    __slots__ = ()
    _rows = EXPECT
    _kind = c.exp_msg(c.IPCTNL_MSG_EXP_NEW)

    master = Part()
    tuple = Part()
    mask = Part()
    nat_tuple = Part()
    master_src = Address()
    master_dst = Address()
    master_proto = Number()
    master_sport = Number()
    master_dport = Number()
    master_icmp_id = Number()
    master_icmp_type = Number()
    master_icmp_code = Number()
    master_zone = Number()
    tuple_src = Address()
    tuple_dst = Address()
    tuple_proto = Number()
    tuple_sport = Number()
    tuple_dport = Number()
    tuple_icmp_id = Number()
    tuple_icmp_type = Number()
    tuple_icmp_code = Number()
    tuple_zone = Number()
    mask_src = Address()
    mask_dst = Address()
    mask_proto = Number()
    mask_sport = Number()
    mask_dport = Number()
    mask_icmp_id = Number()
    mask_icmp_type = Number()
    mask_icmp_code = Number()
    mask_zone = Number()
    timeout = Number()
    id = Number()
    helper = String()
    zone = Number()
    flags = Number()
    class_ = Number()
    nat_dir = Number()
    nat_tuple_src = Address()
    nat_tuple_dst = Address()
    nat_tuple_proto = Number()
    nat_tuple_sport = Number()
    nat_tuple_dport = Number()
    nat_tuple_icmp_id = Number()
    nat_tuple_icmp_type = Number()
    nat_tuple_icmp_code = Number()
    nat_tuple_zone = Number()
    fn = String()

    def __init__(
        self,
        tuple: Tuple | None = None,
        mask: Tuple | None = None,
        master: Tuple | None = None,
        *,
        timeout: int | None = None,
        helper: str | None = None,
        zone: int | None = None,
        flags: Words | None = None,
        class_: int | None = None,
        id: int | None = None,
        nat_dir: int | None = None,
        nat_tuple: Tuple | None = None,
        fn: str | None = None,
    ) -> None:
        parts = {"tuple": tuple, "mask": mask, "master": master, "nat_tuple": nat_tuple}
        for name, value in parts.items():
            if value is not None and not isinstance(value, Tuple):
                raise RequestError(f"{name}: a Tuple is wanted, not {value!r}")
        self._build({
            **parts, "timeout": timeout, "helper": helper, "zone": zone, "flags": flags,
            "class": class_, "id": id, "nat_dir": nat_dir, "fn": fn,
        })  # fmt: skip

    @property
    def key(self) -> Any:
        """The identity of the expectation: its tuple and zone, fit for a dictionary."""
        zone = self.raw("zone")
        expected = _key(self._layout, self._message, "tuple_")
        return (*expected, None if zone == b"\0\0" else zone)

    @property
    def flag_words(self) -> list[str | int]:
        """The words of ``flags``."""
        return words_of(vocab.EXPECT_FLAGS, self.flags or 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expect):
            return NotImplemented
        mine, theirs = self.raw("id"), other.raw("id")
        if mine is not None and theirs is not None and mine != theirs:
            return False
        return bool(self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        parts = [] if self.timeout is None else [str(self.timeout)]
        parts.append(f"proto={self.tuple_proto or 0}")
        for name in ("tuple", "mask", "master"):
            one = getattr(self, name)
            if one is not None:
                parts.append(str(one) if name == "tuple" else f"{name}: {one}")
        if self.helper:
            parts.append(f"helper={self.helper}")
        return " ".join(parts)


# -- events and statistics ----------------------------------------------------------------------


_EVENTS = ("NEW", "UPDATE", "DESTROY")


class Event:
    """Something that happened to a flow or an expectation.

    `kind`: ``"NEW"``, ``"UPDATE"`` or ``"DESTROY"``; `flow` or `expect`: the entry as the event
    tells it (an update may carry only what changed); `synthetic`: whether it was found by a dump
    instead of reported (``events(resync=True)``); `time`: when it was seen, ns since 1970 (None:
    now).
    """

    __slots__ = ("_entry", "_kind", "_synthetic", "_time")

    _entry: Flow | Expect
    _kind: str
    _synthetic: bool
    _time: int

    def __init__(
        self,
        kind: str,
        entry: Flow | Expect,
        *,
        synthetic: bool = False,
        time: int | None = None,
    ) -> None:
        if kind not in _EVENTS:
            raise RequestError(f"kind: {kind!r} is none of {', '.join(_EVENTS)}")
        self._kind, self._entry, self._synthetic = kind, entry, synthetic
        self._time = time_ns() if time is None else time

    @property
    def kind(self) -> str:
        """``"NEW"``, ``"UPDATE"`` or ``"DESTROY"``."""
        return self._kind

    @property
    def synthetic(self) -> bool:
        """Whether a dump found it, instead of the kernel reporting it."""
        return self._synthetic

    @property
    def flow(self) -> Flow | None:
        """The flow concerned; None where it is an expectation."""
        return self._entry if isinstance(self._entry, Flow) else None

    @property
    def expect(self) -> Expect | None:
        """The expectation concerned; None where it is a flow."""
        return self._entry if isinstance(self._entry, Expect) else None

    @property
    def entry(self) -> Flow | Expect:
        """The flow or expectation concerned."""
        return self._entry

    @property
    def time(self) -> int:
        """When it happened, ns since 1970, or else when it was seen.

        The kernel tells it from Linux 6.14 on, with nf_conntrack_timestamp=1; where it does not,
        ``flow.timestamp_event`` is None.
        """
        told = self._entry.timestamp_event if isinstance(self._entry, Flow) else None
        return self._time if told is None else told

    @property
    def portid(self) -> int:
        """The netlink port of the program that caused it; 0 for packets and the kernel."""
        return int.from_bytes(self._entry.message[12:16], sys.byteorder)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, as ``conntrack -E -o json`` writes it: the entry's after ``event``,
        ``time`` (and ``synthetic``, which the command has not).
        """
        head: dict[str, Any] = {"event": self._kind.lower(), "time": self.time}
        if self._synthetic:
            head["synthetic"] = True
        return head | self._entry.to_dict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """The event of a JSON form.  Raises :class:`~pyconntrack.RequestError`."""
        rest = dict(data)
        word, time = rest.pop("event", None), rest.pop("time", None)
        synthetic = bool(rest.pop("synthetic", False))
        known = {kind.lower(): kind for kind in _EVENTS}
        if not isinstance(word, str) or word not in known:
            raise RequestError(f"event: {word!r} is none of {', '.join(known)}")
        if time is not None and (not isinstance(time, int) or isinstance(time, bool)):
            raise RequestError(f"time: a whole number is wanted, not {time!r}")
        entry: type[Flow | Expect] = Expect if "tuple" in rest else Flow
        return cls(known[word], entry.from_dict(rest), synthetic=synthetic, time=time)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return (
            self._kind == other._kind
            and self._synthetic == other._synthetic
            and self._entry.same_as(other._entry)
        )

    def __hash__(self) -> int:
        return hash((self._kind, self._entry))

    def __repr__(self) -> str:
        mark = ", synthetic=True" if self._synthetic else ""
        return f"Event({self._kind!r}, {self._entry!r}{mark})"

    def __str__(self) -> str:
        return f"[{self._kind}]{'*' if self._synthetic else ''} {self._entry}"


class CpuStats(Value):
    """Counters of one CPU since the namespace was made.  Source: CTA_STATS_*, CTA_STATS_EXP_*.

    Counters that the running kernel does not keep are None.
    """

    __slots__ = ()

    searched = Number()
    found = Number()
    new = Number()
    invalid = Number()
    ignore = Number()
    delete = Number()
    delete_list = Number()
    insert = Number()
    insert_failed = Number()
    drop = Number()
    early_drop = Number()
    error = Number()
    search_restart = Number()
    clash_resolve = Number()
    chain_toolong = Number()
    create = Number()

    @property
    def cpu(self) -> int:
        """The number of the CPU."""
        return int.from_bytes(self._message[18:20])

    def to_dict(self) -> dict[str, int]:
        """The counters by name, with ``cpu`` first."""
        return {"cpu": self.cpu, **self._values()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CpuStats):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.to_dict().items()))

    def __repr__(self) -> str:
        return f"CpuStats({', '.join(f'{k}={v}' for k, v in self.to_dict().items())})"


class Stats:
    """Statistics of connection tracking: `entries` of at most `max_entries`, counters by CPU."""

    __slots__ = ("_cpus", "_entries", "_expect_cpus", "_max")

    def __init__(
        self,
        entries: int,
        max_entries: int | None,
        cpus: Iterable[CpuStats] = (),
        expect_cpus: Iterable[CpuStats] = (),
    ) -> None:
        self._entries, self._max = entries, max_entries
        self._cpus, self._expect_cpus = tuple(cpus), tuple(expect_cpus)

    @property
    def entries(self) -> int:
        """The number of flows in the table."""
        return self._entries

    @property
    def max_entries(self) -> int | None:
        """The limit (nf_conntrack_max); None before Linux 4.18."""
        return self._max

    @property
    def cpus(self) -> tuple[CpuStats, ...]:
        """The counters of each CPU."""
        return self._cpus

    @property
    def expect_cpus(self) -> tuple[CpuStats, ...]:
        """The counters of expectations of each CPU."""
        return self._expect_cpus

    def total(self, name: str) -> int:
        """The sum of one counter over all CPUs.  Raises RequestError for a name that is none."""
        if name not in {row.name for row in STATS_CPU.values()}:
            raise RequestError(f"no such counter: {name}")
        return sum(getattr(cpu, name) or 0 for cpu in self._cpus)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "entries": self._entries,
            "max_entries": self._max,
            "cpus": [cpu.to_dict() for cpu in self._cpus],
            "expect_cpus": [cpu.to_dict() for cpu in self._expect_cpus],
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stats):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self._entries, self._max, self._cpus, self._expect_cpus))

    def __repr__(self) -> str:
        return (
            f"Stats(entries={self._entries}, max_entries={self._max}, "
            f"cpus={self._cpus!r}, expect_cpus={self._expect_cpus!r})"
        )


# -- decoding many ------------------------------------------------------------------------------


def decode(
    cls: type[E], data: bytes, end: int, node: Node | None = None
) -> Iterator[E]:
    """The entries (:class:`Flow`, :class:`Expect`) in ``data[:end]`` that meet `node`.

    Raises :class:`~pyconntrack.DecodeError` where a message does not keep to the format.
    """
    new = cls.__new__
    pos = 0
    while pos < end:
        length = _LENGTH(data, pos)[0]
        if length < 20 or length > end - pos:
            raise DecodeError(f"message at byte {pos}: length {length} of {end - pos}")
        message = data[pos : pos + length]
        pos += length + 3 & ~3
        layout = find(message)
        if node is not None and not meets(node, layout, message):
            continue
        value = new(cls)
        value._layout = layout
        value._message = message
        yield value


def meets(node: Node, layout: Layout, message: bytes) -> bool:
    """Whether a proven message meets a predicate; the bound test is kept with the layout."""
    kept = layout.writers.get(meets)
    if kept is None or kept[0] is not node:
        kept = layout.writers[meets] = (node, bind(node, layout))
    test = kept[1]
    if isinstance(test, bool):
        return test
    return test(layout.struct.unpack(message))
