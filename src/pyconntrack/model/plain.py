"""Entries as JSON: numbers as numbers, addresses and words as text.

The fields of tuples and counters lie in objects of their own (``orig``, ``reply``, ``master``...),
all others beside them under their schema names; absent is absent.

Owns the form, both ways; ``conntrack -o json`` writes the same.
"""

from __future__ import annotations

from ..errors import RequestError
from .convert import FAMILIES, told
from .names import GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..layout import Layout
    from ..schema import Rows


def plain(layout: Layout, message: bytes) -> dict[str, Any]:
    """A proven message in its JSON form."""
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
        for table in GROUPS.values():
            group = table.get(name, "") or group
        if group and group not in groups:
            groups.append(group)
        key = name[len(group) + 1 :] if group else name
        steps.append((group, key, told(slot.attr, name)))
    return head, groups, steps


def fields(data: Mapping[str, Any], rows: Rows) -> tuple[dict[str, Any], list[Any]]:
    """What a JSON form says: field name -> value, and the attributes that the schema lacks."""
    groups = set(GROUPS[id(rows)].values()) - {""}
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
