"""Escape characters that do not print, in all that people and terminals are shown.

A character for which ``str.isprintable`` is false (control characters of C0 and C1, DEL,
bidirectional marks, separators other than the space) is written as a backslash and its number,
``\\x1b`` or ``\\u202e``, and a byte that is not valid UTF-8 as ``\\xff``.  JSON uses its own
escapes for the same characters.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: the longest message in characters, and how many of its last ones are kept when it is cut
LONGEST, _END = 1000, 300


def printable(text: str) -> str:
    """Return ``text`` with each character that does not print as its escape."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(ord(char)) for char in text])


def _escape(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # a byte as surrogateescape decodes it
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def message(text: str) -> str:
    """Return ``text`` as a message: printable, and cut in the middle if longer than LONGEST."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - _END]}[...]{text[-_END:]}"
    return printable(text)


def meant(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``: do you mean `X'?`` with the nearest of ``known``, or "" if none is near.

    ``cutoff``: the least similarity, from 0 to 1 (difflib); a name that ends with the whole word,
    as ``orig_dport`` does with ``dport``, has at least 0.7.
    """
    from difflib import SequenceMatcher

    word = word[:80].lower()

    def likeness(name: str) -> tuple[float, bool]:
        ratio = SequenceMatcher(None, name.lower(), word).ratio()
        if word and name.lower().endswith((f"_{word}", f".{word}")):
            ratio = max(ratio, 0.7)
        return ratio, name[:1].lower() == word[:1]

    ranked = {name: likeness(name) for name in known}
    best = max(ranked, key=lambda name: ranked[name], default="")
    return f": do you mean `{best}'?" if best and ranked[best][0] >= cutoff else ""


def shown(value: object) -> str:
    """Return ``value`` as text for an error message, cut if it is long."""
    text = repr(value) if not isinstance(value, (str, bytes)) else repr(value[:60])
    return text if len(text) <= 60 else text[:60] + "..."
