"""The values of a comparison: numbers, ranges, words, networks, states, families."""

from __future__ import annotations

from _socket import getprotobyname, inet_pton

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..escape import meant
from .fields import TIME, field_of
from .sets import between
from .times import LETTERS, instant, scaled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fields import Field
    from .lexer import Token, WhereError, Words
    from .sets import Ranges

KEYWORDS = ("and", "or", "not", "in")
#: families that a part can match, as bits
V4, V6, BOTH = 1, 2, 3
FAMILY_BITS = {c.AF_INET: V4, c.AF_INET6: V6}
_FAMILIES = {"ipv4": V4, "ipv6": V6, "inet": V4, "inet6": V6, "2": V4, "10": V6}


def one(words: Words) -> Token:
    """Take one value; a range may have spaces around its dash or dots."""
    token = words.take()
    if token.kind not in ("word", "string") or token.text.lower() in KEYWORDS:
        if token.is_op("{"):
            raise words.error("a set needs `in'", token)
        raise words.error(f"a value is expected, not {token}", token)
    while (
        token.kind == "word"
        and words.next.kind == "word"
        and (token.text.endswith(("-", "..")) or words.next.text.startswith(("-", "..")))
    ):
        more = words.take()
        token = type(token)("word", token.text + more.text, token.column)
    return token


def several(words: Words) -> list[Token]:
    """Take the values after ``in``: ``{a, b}``, ``a, b`` or one value."""
    brace = words.next
    if brace.is_op("{"):
        words.take()
        if words.next.is_op("}"):
            raise words.error("an empty set matches nothing", brace)
    elif brace.is_op("("):
        raise words.error("a set has braces: {80, 443}", brace)
    values = [one(words)]
    while words.next.is_op(","):
        words.take()
        values.append(one(words))
    if brace.is_op("{"):
        if words.next.kind == "end":
            raise words.error("this set is never closed", brace)
        if not words.next.is_op("}"):
            raise words.error(f"a comma or `}}' is expected, not {words.next}", words.next)
        words.take()
    return values


def named(token: Token) -> Field | None:
    """Return the field that a value names, or None."""
    return field_of(token.text) if token.kind == "word" else None


def wrong(words: Words, field: Field, token: Token) -> WhereError:
    """Return the error of a value that ``field`` cannot have."""
    if named(token):
        return words.error(f"{token} is a field: compare two of them with == != < <= > >=", token)
    known = [*field.words.values(), *(word.upper() for word in field.bits)]
    hint = meant(token.text, known) if known else ""
    return words.error(f"{field.name} is {field.wanted}, not {token}{hint}", token)


# -- numbers ------------------------------------------------------------------------------------


def numbers(
    words: Words, field: Field, token: Token, *, ranges: bool = False, ordered: bool = False
) -> tuple[int, int]:
    """Return the ends of a number, a word or, with ``ranges``, a range."""
    text = token.text
    known = _of_word(field, text)
    if known is not None:
        if ordered:
            raise words.error(f"{token} is a word without order: compare with == or in", token)
        return known, known
    if field.port and text[:1].isalpha() and not named(token):
        service = _service(words, token)
        return service, service
    if token.kind == "string" and not field.time:
        raise wrong(words, field, token)
    low_text, dots, high_text = text.partition("..")
    if not dots and not field.time:
        low_text, dots, high_text = text.partition("-")
    low = _of_digits(field, low_text)
    high = _of_digits(field, high_text) if dots else low
    if low is None or high is None:
        if text.isdigit() and text.startswith("0"):
            raise words.error(f"{token} begins with 0: decimal has none, octal is not read",
                              token)  # fmt: skip
        raise wrong(words, field, token)
    if dots and not ranges:
        raise words.error(f"{token} is a range: ranges need `in'", token)
    if max(low, high) > field.limit:
        raise wrong(words, field, token)
    if low > high:
        raise words.error(f"the range {token} ends before it begins", token)
    return low, high


def _of_word(field: Field, text: str) -> int | None:
    """Return the number of a word of the field's vocabulary, or None."""
    if text.lower() in field.bits:
        return field.bits[text.lower()].want or None
    if not field.words or text.isdigit():
        return None
    for number, word in field.words.items():
        if word.lower() == text.lower():
            return number
    if field.name.endswith("proto") and text[:1].isalpha():
        try:
            return getprotobyname(text)
        except (OSError, ValueError):
            pass
    return None


def _of_digits(field: Field, text: str) -> int | None:
    if field.time:
        return instant(text)
    if not text.isascii():
        return None
    if text[:2] in ("0x", "0X"):
        digits = text[2:]
        if not digits.isalnum() or len(digits) > 20:
            return None
        try:
            return int(digits, 16)
        except ValueError:
            return None
    if field.units is not TIME and not text.rstrip(LETTERS).isdigit():
        return None
    return scaled(text, field.units)


def _service(words: Words, token: Token) -> int:
    """Return the port of a service, where all protocols that have it agree."""
    from .services import nearest, ports_of

    ports = ports_of(token.text)
    if not ports:
        raise words.error(f"no service has the name {token}{nearest(token.text)}", token)
    if len({*ports.values()}) > 1:
        known = ", ".join(f"{port} of {protocol}" for protocol, port in ports.items())
        raise words.error(f"{token} is {known}: write the number", token)
    return next(iter(ports.values()))


# -- addresses ----------------------------------------------------------------------------------


def packed(text: str) -> bytes | None:
    """Return the packed address ``text``, None if it is none."""
    for number in FAMILY_BITS:
        try:
            return inet_pton(number, text)
        except (OSError, ValueError):
            pass
    return None


def networks(words: Words, field: Field, token: Token, *, nets: bool) -> list[tuple[bytes, bytes]]:
    """Return (address, mask) of an address or, with ``nets``, of a network or those of a range."""
    text, slash, length = token.text.partition("/")
    address = packed(text)
    if address is None:
        return _range(words, field, token, nets=nets)
    size = bits = 8 * len(address)
    if slash:
        if not nets:
            raise words.error(f"{token} is a network: networks need `in'", token)
        if not (length.isdigit() and length.isascii() and len(length) < 4 and int(length) <= size):
            raise words.error(
                f"a prefix length from 0 to {size} is expected, not `{length}'",
                token.column + len(text) + 1,
            )
        bits = int(length)
    mask = (1 << size) - (1 << size - bits)
    number = int.from_bytes(address) & mask
    return [(number.to_bytes(size // 8), mask.to_bytes(size // 8))]


def _range(words: Words, field: Field, token: Token, *, nets: bool) -> list[tuple[bytes, bytes]]:
    """Return the networks of a range of addresses."""
    low, _, high = token.text.partition("-" if "-" in token.text else "..")
    first, last = packed(low), packed(high)
    if token.kind != "word" or first is None:
        raise wrong(words, field, token)
    if last is None or len(first) != len(last):
        raise words.error("a range has two whole addresses of one family, as in "
                          "10.0.0.1-10.0.0.9", token)  # fmt: skip
    if not nets:
        raise words.error(f"{token} is a range: ranges need `in'", token)
    if first > last:
        raise words.error(f"the range {token} ends before it begins", token)
    return between(first, last)


# -- words --------------------------------------------------------------------------------------


def states(words: Words, values: list[Token]) -> dict[str, Ranges]:
    """Return state field -> the numbers that the words ``values`` have in it."""
    found: dict[str, Ranges] = {name: [] for name in vocabulary.STATES}
    for token in values:
        known = [(name, number) for name, table in vocabulary.STATES.items()
                 for number, word in table.items() if word == token.text.upper()]  # fmt: skip
        for name, number in known:
            found[name].append((number, number))
        if known:
            continue
        if token.text.isdigit():
            raise words.error("the number of a state depends on the protocol: write "
                              f"`tcp.state == {token.text}' or a word", token)  # fmt: skip
        hint = meant(
            token.text, [w for table in vocabulary.STATES.values() for w in table.values()]
        )
        raise words.error(f"no protocol has a state {token}{hint}", token)
    return found


def families(words: Words, values: list[Token]) -> int:
    """Return the families named by ``values``, as bits."""
    found = 0
    for token in values:
        bit = _FAMILIES.get(token.text.lower())
        if bit is None:
            raise words.error(f"family is ipv4 or ipv6, not {token}", token)
        found |= bit
    return found
