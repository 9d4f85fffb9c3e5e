"""The fields that --sort, --columns, --count-by and --sum name."""

from __future__ import annotations

from ..escape import meant
from ..formats import DOCUMENTS
from ..where.fields import AGE, FIELDS, field_of, spellings
from .console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..formats.columns import Columns
    from ..where.fields import Field
    from .parser import Command

#: the words of -o that columns can be shown by
_SHOWN_BY = ("table", "csv", "json", "ndjson", "timestamp")


def columns_of(command: Command) -> Columns:
    """Return the columns of --columns; raise UsageError for a format that has its own."""
    for word in command.output:
        if word not in _SHOWN_BY:
            why = "it has columns of its own" if word in DOCUMENTS else "name the field"
            raise UsageError(f"cannot combine --columns with -o {word}: {why}")
    return [(name, field_named(name, "--columns")) for name in command.opts["columns"]]


def field_named(name: str, option: str, known: Mapping[str, Field] = FIELDS) -> Field:
    """Return the field ``name`` of those that are ``known``; raise UsageError if it is none."""
    field = field_of(name, known)
    if field is None:
        raise UsageError(f"{option}: there is no field `{name}'{meant(name, spellings(known))}",
                         hint=False)  # fmt: skip
    return field


def kept_field(name: str, option: str, known: Mapping[str, Field] = FIELDS) -> Field:
    """Return the field ``name``, whose value is a part of an entry; raise UsageError otherwise."""
    field = field_named(name, option, known)
    if field.kind == AGE:
        raise UsageError(f"{option}: an age is not kept, take `start'", hint=False)
    return field
