"""Entries as JSON: numbers as numbers, addresses and words as text.

Tuples and their counters are objects (``orig``, ``reply``, ``master``...); all other fields are
members under their schema names; absent fields are left out.

``conntrack -o json`` writes this form, and ``conntrack -R`` reads it.
"""

from __future__ import annotations

from ..errors import RequestError, check_object
from ..escape import meant, shown
from ..netlink.constants import (
    NLA_TYPE_MASK,
)
from .constants import (
    AF_INET,
    AF_INET6,
)
from .convert import family_number, json_converter, to_raw
from .field_names import FIELDS, GROUPS, OBJECTS
from .kinds import IPV4, IPV6
from .vocabulary import FAMILY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .layout import Layout
    from .schema import Attr, Rows


def plain(layout: Layout, message: bytes) -> dict[str, Any]:
    """Return the JSON form of a proven message."""
    plan = layout.writers.get(plain)
    if plan is None:
        plan = layout.writers[plain] = _plan(layout)
    head, groups, steps = plan
    result: dict[str, Any] = dict(head)
    places: dict[str, dict[str, Any]] = {"": result}
    for group in groups:
        places[group] = result[group] = {}
    raw = layout.raw(message).values() if layout.unknown else layout.struct.unpack(message)
    for (group, key, convert), value in zip(steps, raw, strict=True):
        places[group][key] = value if convert is None else convert(value)
    if layout.unknown:
        result["unknown"] = [
            {"path": list(path), "data": data.hex()} for path, data in layout.kept(message)
        ]
    return result


def _plan(layout: Layout) -> tuple[dict[str, str], list[str], list[Any]]:
    head = {"family": FAMILY[layout.family]} if layout.family in FAMILY else {}
    groups: list[str] = []
    steps = []
    for name, slot in layout.slots.items():
        group = ""
        for table in GROUPS.values():
            group = table.get(name, "") or group
        if group and group not in groups:
            groups.append(group)
        key = name[len(group) + 1 :] if group else name
        steps.append((group, key, json_converter(slot.attr)))
    return head, groups, steps


class Reading:
    """An entry as read from its JSON form.

    ``values``: field name -> raw value; ``family``: 2, 10, or 0 if unknown; ``unknown``: attributes
    that the schema lacks; ``ignored``: members that are no fields.
    """

    __slots__ = ("family", "ignored", "unknown", "values")

    def __init__(self, family: int) -> None:
        self.family: int = family
        self.values: dict[str, Any] = {}
        self.unknown: list[tuple[tuple[int, ...], bytes]] = []
        self.ignored: list[str] = []


def read(data: Any, rows: Rows) -> Reading:
    """Return the entry with the schema ``rows`` whose JSON form is ``data``.

    Words may be in any case, or numbers; a flag field may be a word, a number, or a list of both;
    null counts as absent.  Raises RequestError for a value that does not fit and for a member that
    resembles a known one; other unknown members are ignored.
    """
    check_object(data)
    reading = Reading(family_number(data.get("family")))
    known, objects = FIELDS[id(rows)], OBJECTS[id(rows)]
    for key, value in data.items():
        if key in objects:
            if value is None:
                continue
            check_object(value, f"{key}: ")
            for inner, each in value.items():
                _take(reading, known.get(f"{key}_{inner}"), key, inner, each, rows)
        elif key == "unknown":
            reading.unknown = _unknown(value)
        elif key != "family":
            _take(reading, known.get(key), "", key, value, rows)
    return reading


def _take(
    reading: Reading, row: tuple[Attr, ...] | None, group: str, key: str, value: Any, rows: Rows
) -> None:
    place = f"{group}.{key}" if group else key
    if row is None:
        _refuse_misspelt(place, rows)
        reading.ignored.append(place)
        return
    if value is None:
        return
    raw = to_raw(row, place, value)
    kind = row[0].kind
    if kind is IPV4 or kind is IPV6:
        family = AF_INET if len(raw) == 4 else AF_INET6
        if reading.family not in (0, family):
            wanted = "IPv4" if reading.family == AF_INET else "IPv6"
            raise RequestError(f"{place}: an {wanted} address is wanted, not {shown(value)}")
        reading.family = family
    reading.values[f"{group}_{key}" if group else key] = raw


def _refuse_misspelt(place: str, rows: Rows) -> None:
    names = ["family", "unknown", *OBJECTS[id(rows)]]
    for name, group in GROUPS[id(rows)].items():
        names.append(f"{group}.{name[len(group) + 1 :]}" if group else name)
    hint = meant(place, names, 0.75)
    if hint:
        raise RequestError(f"there is no member `{place[:80]}'{hint}")


def _unknown(value: Any) -> list[tuple[tuple[int, ...], bytes]]:
    kept = []
    for item in value if isinstance(value, (list, tuple)) else [value]:
        try:
            path, data = tuple(item["path"]), bytes.fromhex(item["data"])
        except (TypeError, KeyError, ValueError):
            path, data = (), b""
        if (
            not path
            or len(data) > 0x7FFF
            or not all(isinstance(number, int) and 0 < number <= NLA_TYPE_MASK for number in path)
        ):
            raise RequestError(f"unknown: {{path, data}} is wanted, not {shown(item)}")
        kept.append((path, data))
    return kept
