"""What people and terminals are shown: characters that do not print are escaped.

The one rule for everything that is printed: what ``str.isprintable`` calls no printable character
(the control characters C0, DEL and C1, marks of direction, separators other than the blank) is
written as a backslash and its number, ``\\x1b`` or ``\\u202e``, and a byte that is no valid
UTF-8 as ``\\xff``.  JSON, which has escapes of its own, escapes the same characters by them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: characters of a message, and how many of those that are left when it is cut are its end
LONGEST, _END = 1000, 300


def printable(text: str) -> str:
    """Return `text` with each character that does not print as its escape."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(ord(char)) for char in text])


def _escape(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # what surrogateescape makes of a byte
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def message(text: str) -> str:
    """Return `text` fit to be a message: printable, and cut in its middle where a word that it
    repeats is so long that nobody would read on."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - _END]}[...]{text[-_END:]}"
    return printable(text)


def meant(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``: do you mean `X'?`` with the nearest of ``known``, or "" where none is near.

    ``cutoff``: how much alike they must be, from 0 to 1 (difflib).
    """
    from difflib import SequenceMatcher

    word = word[:80].lower()

    def likeness(name: str) -> tuple[float, bool]:
        ratio = SequenceMatcher(None, name.lower(), word).ratio()
        return ratio, name[:1].lower() == word[:1]

    ranked = {name: likeness(name) for name in known}
    best = max(ranked, key=lambda name: ranked[name])
    return f": do you mean `{best}'?" if ranked[best][0] >= cutoff else ""
