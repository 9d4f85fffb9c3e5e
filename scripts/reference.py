"""Generate the field reference and the JSON Schema from the schema."""

from __future__ import annotations

import json
from typing import Any

from pyconntrack.ctnetlink import vocabulary as vocab
from pyconntrack.ctnetlink.field_names import number_name
from pyconntrack.ctnetlink.kinds import IPV4, IPV6, LABEL_BYTES, LABELS, TEXT
from pyconntrack.ctnetlink.schema import (
    CONNTRACK,
    EXPECT,
    REPORT,
    STATS_CPU,
    STATS_EXP_CPU,
    Attr,
    Nest,
    Rows,
    names,
)
from pyconntrack.doctor.finding import SEVERITIES
from pyconntrack.formats.json import OBJECT, SCHEMA
from pyconntrack.model.fields import attribute
from scripts.declarations import LITERALS, type_of
from scripts.sentences import sentences


def leaves(rows: Rows, prefix: str = "", path: str = "") -> list[tuple[str, Attr, str]]:
    """Return (field name, row, path of kernel names) of every leaf, in kernel order."""
    found: list[tuple[str, Attr, str]] = []
    for row in rows.values():
        if isinstance(row, Nest):
            name = prefix + row.name + "_" if row.name else prefix
            found += leaves(row.rows, name, path + row.cta + " / ")
        else:
            found.append((prefix + row.name, row, path + row.cta))
    return found


def answers(rows: Rows) -> list[tuple[str, Attr, str]]:
    """Return the leaves that the kernel sends."""
    reported = names(rows, REPORT)
    return [leaf for leaf in leaves(rows) if leaf[0] in reported]


def json_name(name: str) -> str:
    """Return the path of a field in the JSON form, such as ``orig.src``."""
    group = OBJECT[name]
    return f"{group}.{name[len(group) + 1 :]}" if group else name


# -- the field reference ----------------------------------------------------------------------


def _kind(row: Attr) -> str:
    """Return the type of a field, without the ``|`` that would end a cell of the table."""
    kind = type_of(row).removeprefix("frozenset[").removesuffix(" | Unknown]")
    words = f"`{kind.removesuffix(' | Unknown')}` or `Unknown`"
    if row.words is None:
        return f"`{kind}`"
    return f"`frozenset` of {words}" if row.words in vocab.FLAGS else words


def _unit(row: Attr, unit: str) -> str:
    """Return the unit of a field, or else the range of its numbers."""
    if unit or row.words is not None or not row.kind.number:
        return unit
    return f"0 to {row.kind.limit:,}" if row.kind.size < 8 else "64 bits"


def table(rows: Rows) -> str:
    """Return a table of fields; two rows of one name (IPv4 and IPv6) share a line."""
    said = sentences(rows)
    lines: dict[str, tuple[Attr, list[str]]] = {}
    for name, row, path in answers(rows):
        lines.setdefault(name, (row, []))[1].append(path)
    text = "| Field | Type | Meaning | Unit or range | In JSON | Attribute of the kernel |\n"
    text += "|---|---|---|---|---|---|\n"
    for name, (row, paths) in lines.items():
        number = f" The number: `{number_name(name, row)}`." if row.words is not None else ""
        names = "<br>".join(f"`{path}`" for path in paths)
        text += f"| `{attribute(name)}` | {_kind(row)} | {said[name]}{number} "
        text += f"| {_unit(row, said[name].unit)} | `{json_name(name)}` | {names} |\n"
    return text


def counters(rows: Rows) -> str:
    """Return a table of counters."""
    said = sentences(rows)
    lines = "".join(f"| `{row.name}` | {said[row.name]} |\n" for row in rows.values())
    return f"| Counter | Meaning |\n|---|---|\n{lines}"


def fields_page() -> str:
    """Return the field reference."""
    vocabulary = ""
    for name, words in vocab.VOCABULARIES.items():
        listed = ", ".join(f"`{word}` ({number})" for number, word in words.items())
        vocabulary += f"**`{LITERALS[name]}`**: {listed}\n\n"
    kinds = ", ".join(f"`{kind}`" for kind in vocab.EVENT_KINDS)
    vocabulary += f"**`EventKind`**, of an event: {kinds}\n\n"
    return (
        "# Fields\n\n"
        "Every field that the kernel can report, generated from the schema. A field is an\n"
        "attribute of `Flow` or `Expect` under its name, of the type listed here, or `None` if\n"
        "the entry lacks it. Which fields an entry has depends on its protocol and on the\n"
        "kernel's settings. A value that has words is its word, as in JSON, and its number has a\n"
        "name of its own; flags are a `frozenset` in Python and a list in JSON.\n\n"
        "## Of a flow\n\n"
        "`family` is `FamilyName | Unknown`, its number `family_number` (2, 10, or 0 if there is\n"
        "none). `orig`, `reply` and `master` are `Tuple`s: `flow.orig.sport` is\n"
        "`flow.orig_sport`. `proto` is `orig_proto`, `state` that of TCP, SCTP or DCCP.\n\n"
        f"{table(CONNTRACK)}\n"
        f"## Of an expectation\n\n{table(EXPECT)}\n"
        "## Words\n\n"
        "Each vocabulary is a type that `pyconntrack` exports, a `Literal`. A number without a\n"
        "word is an `Unknown(vocabulary, number)` in Python and a number in JSON.\n\n"
        f"{vocabulary}"
        f"## Statistics\n\n### Of each CPU\n\n{counters(STATS_CPU)}\n"
        f"### Of expectations\n\n{counters(STATS_EXP_CPU)}"
    )


# -- the JSON Schema --------------------------------------------------------------------------


def _value(rows: list[Attr]) -> dict[str, Any]:
    row = rows[0]
    if row.words in vocab.FLAGS:
        words = {"enum": list(row.words.values())}
        return {"type": "array", "items": {"anyOf": [words, {"type": "integer"}]}}
    if row.words is not None:
        numbers = {"type": "integer", "minimum": 0, "maximum": row.kind.limit}
        return {"anyOf": [{"enum": list(row.words.values())}, numbers]}
    if row.kind in (IPV4, IPV6):
        return {"$ref": "#/$defs/address"}
    if row.kind is TEXT:
        return {"type": "string"}
    if row.kind.number:
        return {"type": "integer", "minimum": 0, "maximum": max(r.kind.limit for r in rows)}
    if row.kind is LABELS:
        number = {"type": "integer", "minimum": 0, "maximum": 8 * LABEL_BYTES - 1}
        return {"type": "array", "items": number}
    return {"type": "string", "pattern": "^([0-9a-f]{2})*$"}


def _object(rows: Rows, description: str) -> dict[str, Any]:
    groups: dict[str, dict[str, list[Attr]]] = {}
    for name, row, _ in answers(rows):
        group = OBJECT[name]
        short = name[len(group) + 1 :] if group else name
        groups.setdefault(group, {}).setdefault(short, []).append(row)
    properties: dict[str, Any] = {"family": {"enum": ["ipv4", "ipv6"]}}
    for group, fields in groups.items():
        members = {name: _value(found) for name, found in fields.items()}
        if group:
            properties[group] = {
                "type": "object", "properties": members, "additionalProperties": False,
            }  # fmt: skip
        else:
            properties |= members
    properties["unknown"] = {
        "description": "Attributes of a newer kernel, kept as they came.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "path": {"type": "array", "items": {"type": "integer"}},
                "data": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
            },
            "required": ["path", "data"],
        },
    }
    return {"description": description, "type": "object", "properties": properties}


def _document(what: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"schema": {"const": SCHEMA}, what: {"type": "array", "items": item}},
        "required": ["schema", what],
        "additionalProperties": False,
    }


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of -o json (a document) and -o ndjson (a line: $defs/line)."""
    either = {"anyOf": [{"$ref": "#/$defs/flow"}, {"$ref": "#/$defs/expectation"}]}
    flow = _object(CONNTRACK, "A connection; what it lacks is absent.")
    expectation = _object(EXPECT, "An expectation; what it lacks is absent.")
    event = {
        "description": "A flow or an expectation, what happened to it, and when.",
        "type": "object",
        "properties": {
            "event": {"enum": ["new", "update", "destroy"]},
            "time": {
                "description": "Nanoseconds since 1970, by the kernel or else at arrival.",
                "type": "integer",
                "minimum": 0,
            },
            "synthetic": {
                "description": "Found by a dump instead of reported; the library alone says it.",
                "const": True,
            },
        },
        "required": ["event", "time"],
        "anyOf": [{"$ref": "#/$defs/flow"}, {"$ref": "#/$defs/expectation"}],
    }
    # an entry that is not an event has only the listed members; an event adds two
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "What conntrack -o json writes. Made from the schema of the package.",
        "anyOf": [
            _document("flows", _closed("flow")),
            _document("expectations", _closed("expectation")),
            _document("events", _closed("event")),
            _document("groups", {"$ref": "#/$defs/group"}),
            _document("stats", _closed("counters")),
            _closed("counted"),
            _closed("diagnosis"),
        ],
        "$defs": {
            "address": {
                "type": "string",
                "anyOf": [{"pattern": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$"},
                          {"pattern": "^[0-9a-f:.]*:[0-9a-f:.]*$"}],
            },
            "flow": {**flow, "required": ["orig"]},
            "expectation": {**expectation, "required": ["tuple"]},
            "entry": either,
            "event": event,
            "counters": _counters(),
            "counted": {
                "description": "What -C says.",
                "type": "object",
                "properties": {"schema": {"const": SCHEMA}, "count": _WHOLE},
                "required": ["count"],
            },
            "diagnosis": _diagnosis(),
            "group": {
                "description": "Entries that --count-by counts: their number, sums and fields, by "
                               "the names that were asked for; null: the entries have none.",
                "type": "object",
                "properties": {"count": {"type": "integer", "minimum": 1}},
                "required": ["count"],
                "additionalProperties": {"type": ["integer", "string", "array", "null"]},
            },
            "line": {
                "description": "A line of -o ndjson.",
                "anyOf": [*[_closed(name) for name in _LINES], {"$ref": "#/$defs/group"}],
            },
        },
    }  # fmt: skip


def _diagnosis() -> dict[str, Any]:
    """Return the schema of what conntrack doctor prints; a number that is unknown is null."""
    text, number = {"type": "string"}, {"type": ["number", "null"]}
    whole = {"type": ["integer", "null"], "minimum": 0}
    looked = {
        "host": text, "kernel": text, "netns": text, "time": text,
        "seconds": {"type": "number", "minimum": 0},
        "entries": whole, "maximum": whole, "listed": whole,
    }  # fmt: skip
    finding = {
        "code": text, "severity": {"enum": list(SEVERITIES)}, "subject": text, "value": number,
        "limit": number, "evidence": {"type": "array", "items": text}, "advice": text,
    }  # fmt: skip
    findings = {"type": "array", "items": _whole_object(finding)}
    members = {"schema": {"const": SCHEMA}, "doctor": _whole_object(looked), "findings": findings}
    return {"description": "What conntrack doctor says, the worst finding first.",
            **_whole_object(members)}  # fmt: skip


def _whole_object(members: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all of ``members`` and no others."""
    return {"type": "object", "properties": members, "required": list(members),
            "additionalProperties": False}  # fmt: skip


_LINES = ("flow", "expectation", "event", "counters", "counted")
_WHOLE = {"type": "integer", "minimum": 0}


def _counters() -> dict[str, Any]:
    names = [row.name for rows in (STATS_CPU, STATS_EXP_CPU) for row in rows.values()]
    return {
        "description": "The counters of a CPU, of -S.",
        "type": "object",
        "properties": {"cpu": _WHOLE, **dict.fromkeys(names, _WHOLE)},
        "required": ["cpu"],
    }


def _closed(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", "unevaluatedProperties": False}


def json_text() -> str:
    """Return the text of schema.json."""
    return json.dumps(json_schema(), indent=1) + "\n"
