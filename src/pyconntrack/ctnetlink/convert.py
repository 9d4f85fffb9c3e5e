"""Convert the value of a field from what a user writes to what the wire carries, and back.

Errors name the field and the values that are accepted.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_pton

from ..errors import RequestError, none_of
from ..escape import shown
from ..netlink.messages import text
from . import vocabulary
from .field_names import FIELDS
from .kinds import (
    BYTES,
    HOST32,
    IPV4,
    IPV6,
    LABEL_BYTES,
    LABELS,
    TEXT,
    U32,
    address,
    bits_of,
    label_bitmap,
    label_numbers,
)
from .words import Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .kinds import Kind
    from .schema import Attr

_LONGEST = 4096  # characters of a text; the kernel's own are much shorter
#: id of a vocabulary -> word in capitals -> number
_NUMBERS = {
    id(row.words): {word.upper(): number for number, word in row.words.items()}
    for fields in FIELDS.values()
    for rows in fields.values()
    for row in rows
    if row.words is not None
}


# -- to the wire --------------------------------------------------------------------------------


def to_raw(rows: tuple[Attr, ...], name: str, value: Any) -> Any:
    """Return the raw value of a user's ``value``; raise RequestError if it does not fit."""
    kind = rows[0].kind
    if kind.number:
        if value.__class__ is int and 0 <= value <= kind.limit:
            return value
        return _number(rows, name, value)
    return _FORMS[kind][0](value, name)


def _text(value: Any, name: str) -> str:
    if isinstance(value, str) and "\0" not in value and len(value) <= _LONGEST:
        try:
            value.encode()
            return value
        except UnicodeEncodeError:  # a lone surrogate
            pass
    raise RequestError(f"{name}: a text is wanted, not {shown(value)}")


def _bytes(value: Any, name: str) -> bytes:
    try:
        if isinstance(value, (bytes, bytearray, str)):
            return bytes.fromhex(value) if isinstance(value, str) else bytes(value)
    except ValueError:
        pass
    raise RequestError(f"{name}: bytes or hexadecimal text are wanted, not {shown(value)}")


def _number(rows: tuple[Attr, ...], name: str, value: Any) -> int:
    words = rows[0].words
    if words is not None and not isinstance(value, int):
        return _number_of_words(words, name, value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{name}: a whole number is wanted, not {shown(value)}")
    limit = max(row.kind.limit for row in rows)
    if not 0 <= value <= limit:
        raise RequestError(f"{name}: {value} is not in 0..{limit}")
    return value


def _number_of_words(words: Mapping[int, str], name: str, value: Any) -> int:
    if isinstance(value, str):
        number = _NUMBERS[id(words)].get(value.upper())
        if number is not None:
            return number
        raise none_of(name, value, words.values())
    if isinstance(value, Unknown):
        if vocabulary.VOCABULARIES[value.vocabulary] is words:
            return value.number
        raise RequestError(f"{name}: {value!r} is of another vocabulary")
    if words not in vocabulary.FLAGS or not hasattr(value, "__iter__"):
        known = ", ".join(words.values())
        raise RequestError(f"{name}: a number or one of {known} is wanted, not {shown(value)}")
    total = 0
    for word in value:
        if isinstance(word, int) and not isinstance(word, bool) and 0 <= word <= U32.limit:
            total |= word
        elif isinstance(word, (str, Unknown)):
            total |= _number_of_words(words, name, word)
        else:
            raise none_of(name, word, words.values())
    return total


def packed(value: object, name: str) -> bytes:
    """Return a packed address from text, packed bytes or an ``ipaddress`` value."""
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
    raise RequestError(f"{name}: an IPv4 or IPv6 address is wanted, not {shown(value)}")


def endpoint(value: object, name: str) -> tuple[bytes, int | None]:
    """Return (packed address, port or None) of an address, "ADDR:PORT" or "[ADDR]:PORT"."""
    if not isinstance(value, str) or (value.count(":") != 1 and not value.startswith("[")):
        return packed(value, name), None
    host, colon, port = value.rpartition(":")
    if value.endswith("]"):
        host, colon, port = value, "", ""
    bracketed = host.startswith("[") and host.endswith("]")
    wrong = bool(colon) and not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF)
    if wrong or bracketed != (":" in host):
        raise RequestError(f"{name}: ADDR, ADDR:PORT or [ADDR]:PORT is wanted, not {shown(value)}")
    return packed(host[1:-1] if bracketed else host, name), int(port) if colon else None


def family_number(value: Any) -> int:
    """Return the number of a layer 3 family given by number or word; 0 for None."""
    if value is None:
        return 0
    if isinstance(value, Unknown):
        value = _number_of_words(vocabulary.FAMILY, "family", value)
    if isinstance(value, str):
        for number, word in vocabulary.FAMILY.items():
            if value.lower() == word:
                return number
        raise none_of("family", value, vocabulary.FAMILY.values())
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or value not in (0, *vocabulary.FAMILY)
    ):
        raise RequestError(f"family: {shown(value)} is none of 2 (ipv4), 10 (ipv6)")
    return value


def _label_bytes(value: Any, name: str) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    try:
        bits = list(value)
    except TypeError:
        bits = [None]
    for bit in bits:
        if not isinstance(bit, int) or isinstance(bit, bool) or not 0 <= bit < 8 * LABEL_BYTES:
            raise RequestError(f"{name}: label numbers 0..{8 * LABEL_BYTES - 1} are wanted, "
                               f"not {shown(value)}")  # fmt: skip
    return label_bitmap(bits)


# -- from the wire ------------------------------------------------------------------------------


def words_of(words: Mapping[int, str], value: int) -> list[str | int]:
    """Return the words of the bits set in ``value``; a bit without a word stays a number."""
    return [words.get(1 << bit, 1 << bit) for bit in bits_of(value)]


def json_converter(row: Attr) -> Callable[[Any], Any] | None:
    """Return the function from raw to JSON values of a field; None if both are the same."""
    words = row.words
    if not row.kind.number:
        return _FORMS[row.kind][1]
    if words is None:
        return None
    if words in vocabulary.FLAGS:
        return lambda value: words_of(words, value)
    return lambda value: words.get(value, value)


#: kind -> functions from a user's value (and the field's name) to the raw one, and from the raw
#: value to JSON; numbers have vocabularies instead
_FORMS: dict[Kind, tuple[Callable[[Any, str], Any], Callable[[Any], Any]]] = {
    IPV4: (packed, address),
    IPV6: (packed, address),
    TEXT: (_text, text),
    LABELS: (_label_bytes, label_numbers),
    BYTES: (_bytes, bytes.hex),
    HOST32: (_bytes, bytes.hex),
}
