"""The fields that --sort and --columns name."""

from __future__ import annotations

from ..escape import meant
from ..formats import DOCUMENTS
from ..where.fields import AGE, field_of, spellings
from .console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.columns import Columns
    from ..where.fields import Field
    from .parser import Command

#: the words of -o that columns can be shown by
_SHOWN_BY = ("table", "csv", "json", "ndjson", "timestamp")


def sorted_by(name: str) -> Field:
    """Return the field ``name`` of --sort; raise UsageError if it cannot be sorted by."""
    field = _field(name, "--sort")
    if field.kind == AGE:
        raise UsageError("--sort: an age is not kept, take `start'", hint=False)
    return field


def columns_of(command: Command) -> Columns:
    """Return the columns of --columns; raise UsageError for a format that has its own."""
    for word in command.output:
        if word not in _SHOWN_BY:
            why = "it has columns of its own" if word in DOCUMENTS else "name the field"
            raise UsageError(f"cannot combine --columns with -o {word}: {why}")
    return [(name, _field(name, "--columns")) for name in command.opts["columns"]]


def _field(name: str, option: str) -> Field:
    field = field_of(name)
    if field is None:
        raise UsageError(f"{option}: there is no field `{name}'{meant(name, spellings())}",
                         hint=False)  # fmt: skip
    return field
