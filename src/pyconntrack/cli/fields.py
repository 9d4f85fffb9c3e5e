"""The fields of a flow as the help and the completions show them."""

from __future__ import annotations

from ..where.fields import FIELDS, Field, spellings
from .field_sentences import SENTENCES

#: names of an expression that are no field of the schema
_OWN = {
    "age": "Seconds since the entry began, or from its begin to its end.",
    "family": "Layer 3 protocol.",
    "state": "State of the protocol, of any that has one.",
}


def sentence(field: Field) -> str:
    """Return what a field is."""
    if field.name in _OWN:
        return _OWN[field.name]
    said = SENTENCES[field.names[0]]
    # a sum, of the two directions
    return (
        said if len(field.names) == 1 else said.replace("the original direction", "both directions")
    )


def sentences() -> dict[str, str]:
    """Return each name of a field, the short ones first, and what it is."""
    return {name: sentence(FIELDS[name.replace(".", "_")]) for name in spellings()}


def values(field: Field) -> str:
    """Return what values a field has in an expression."""
    words = [*field.words.values(), *field.bits]
    return f"{field.wanted}: {', '.join(words)}" if words else field.wanted
