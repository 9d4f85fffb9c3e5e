"""Generate model/declarations.pyi, the types of the fields for type checkers, from the schema."""

from __future__ import annotations

from keyword import iskeyword
from textwrap import wrap

from pyconntrack.ctnetlink.kinds import IPV4, IPV6, LABELS, TEXT
from pyconntrack.ctnetlink.restore_rules import NAT
from pyconntrack.ctnetlink.schema import (
    CHANGE,
    CONNTRACK,
    EXPECT,
    STATS_CPU,
    STATS_EXP_CPU,
    TUPLE,
    Attr,
    Rows,
    leaves,
    names,
)
from pyconntrack.ctnetlink.vocabulary import FLAGS
from pyconntrack.model import TUPLE_NAMES, flatten
from pyconntrack.model.fields import READERS

HEAD = '''"""Declare the fields to type checkers; GENERATED from the schema by ``make generate``.

Never imported when a program runs: :func:`pyconntrack.model.fields.attach` makes the attributes.
"""
# fmt: off

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypedDict

from .fields import Address, Labels, Number, Octets, String
from .tuple import Part, Tuple

AddressLike = str | bytes | IPv4Address | IPv6Address
Words = int | str | Iterable[str | int]
Bits = Iterable[int] | bytes | None
Network = AddressLike | IPv4Network | IPv6Network
Networks = Network | Iterable[Network] | None
Numbers = int | Iterable[int | range] | None
Coded = int | str | Iterable[int | str | range] | None
Texts = str | Iterable[str] | None
'''


def text() -> str:
    """Return the text of the module."""
    changes = dict.fromkeys(names(CONNTRACK, CHANGE))
    family = {"family": "int | str | None"}
    given = family | dict.fromkeys(NAT, "AddressLike | None") | _outside_tuples(CONNTRACK)
    expected = _outside_tuples(EXPECT) | {"nat_tuple": "Tuple | None"}
    wanted = family | {
        "label": "int | Iterable[int] | None", "proto": "Coded", "state": "Coded",
    } | {
        name: kind
        for name, row in (_first(EXPECT) | _first(CONNTRACK)).items()
        if not iskeyword(name) and (kind := _wanted(row))
    }  # fmt: skip
    return HEAD + "".join([
        _attributes("TupleAttributes", "The fields of a tuple.", [TUPLE]),
        _attributes("FlowAttributes", "The fields of a flow, by their schema names.", [CONNTRACK]),
        _attributes("ExpectAttributes", "The fields of an expectation.", [EXPECT]),
        _attributes("CpuAttributes", "The counters of a CPU.", [STATS_CPU, STATS_EXP_CPU]),
        _dictionary("_Changes", {name: kind for name, kind in given.items() if name in changes}),
        _dictionary("_Others", {name: kind for name, kind in given.items() if name not in changes}),
        _dictionary("_Expected", expected),
        _dictionary("_Wanted", wanted),
        _named("Changes", "_Changes",
               "The fields of a flow that exists which the kernel lets a program change."),
        _named("FlowFields", "_Changes, _Others", "The fields that a program may give a flow."),
        _named("ExpectFields", "_Expected", "The fields that a program may give an expectation."),
        _named("FilterFields", "_Wanted", "The keywords of a :class:`pyconntrack.Filter`."),
    ])  # fmt: skip


def _first(rows: Rows) -> dict[str, Attr]:
    return {name: row for name, (row, *_) in flatten(rows).items()}


def _outside_tuples(rows: Rows) -> dict[str, str]:
    """Return the types of the fields of an entry outside its tuples, as given by a program."""
    return {
        name + "_" * iskeyword(name): _given(row)
        for number, outer in rows.items()
        if outer.uses
        for name, part, row in leaves({number: outer})
        if not part or name.removeprefix(f"{part}_") not in TUPLE_NAMES
    }


def _given(row: Attr) -> str:
    """Return the type of a value that a program may give a field."""
    if row.words is not None:
        return "Words | None" if row.words in FLAGS else "int | str | None"
    if row.kind is IPV4 or row.kind is IPV6:
        return "AddressLike | None"
    if row.kind is TEXT:
        return "str | None"
    if row.kind is LABELS:
        return "Bits"
    return "int | None" if row.kind.number else "bytes | None"


def _wanted(row: Attr) -> str:
    """Return the type of the values that a filter compares a field with, or "" without a filter."""
    if row.words is not None:
        return "Words | None" if row.words in FLAGS else "Coded"
    if row.kind is IPV4 or row.kind is IPV6:
        return "Networks"
    if row.kind is TEXT:
        return "Texts"
    return "Numbers" if row.kind.number else ""


def _attributes(name: str, what: str, tables: list[Rows]) -> str:
    lines = [f'\n\nclass {name}:\n    """{what}"""\n\n    __slots__ = ()\n']
    for rows in tables:
        fields = _first(rows)
        lines += [
            f"    {field.removesuffix('_src')}: Part = Part()"
            for field in fields
            if field.endswith("_src")
        ]
        for field, row in fields.items():
            kind = READERS[row.kind].__name__
            line = f"    {field}{'_' * iskeyword(field)}: {kind} = {kind}()"
            if line not in lines:
                lines.append(line)
    return "\n".join(lines) + "\n"


def _dictionary(name: str, fields: dict[str, str]) -> str:
    entries = " ".join(f'"{field}":~{kind.replace(" ", "~")},' for field, kind in fields.items())
    lines = wrap(entries, 96, break_long_words=False, break_on_hyphens=False)
    body = "\n".join(f"    {line.replace('~', ' ')}" for line in lines)
    return (
        f'\n\n{name} = TypedDict("{name}", {{  # noqa: UP013 - a line for several\n'
        f"{body}\n}}, total=False)\n"
    )


def _named(name: str, bases: str, what: str) -> str:
    return f'\n\nclass {name}({bases}, total=False):\n    """{what}"""\n'
