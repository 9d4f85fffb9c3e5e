"""The numbers and addresses of a line of ``-R``, and where they stand in it."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_pton

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: kinds of a token, each the ``%`` template of its value up to the second character
NUMBER, FOUR, SIX = "%d", "%s", "%s "
#: the characters around a value; the quote and colon after a JSON name are removed before
_AROUND = bytes.maketrans(b'{}[],"', b"      ")


class Token:
    """A number or an address of a line: its ``kind``, and its place in the text."""

    __slots__ = ("begin", "end", "kind", "word")

    def __init__(self, kind: str, begin: int, end: int, word: int) -> None:
        self.kind, self.begin, self.end, self.word = kind, begin, end, word


def spaced(line: str) -> str:
    """Return an ASCII line with blanks for the characters around its values."""
    if '"' not in line:
        return line
    return line.encode().replace(b'":', b'" ').translate(_AROUND).decode("ascii")


def tokens_of(line: str) -> Iterator[Token]:
    """Yield the numbers and addresses of a line that are in canonical form."""
    text = spaced(line)
    end = 0
    for number, word in enumerate(text.split()):
        begin = text.index(word, end)
        end = begin + len(word)
        kind = _kind(word)
        if kind:
            yield Token(kind, begin, end, number)


def _kind(word: str) -> str:
    if word.isdigit():
        return NUMBER if word == "0" or (word[0] != "0" and len(word) < 20) else ""
    for kind, family, mark, other in ((FOUR, AF_INET, ".", ":"), (SIX, AF_INET6, ":", ".")):
        if mark in word and other not in word:
            try:
                inet_pton(family, word)
            except (OSError, ValueError):
                return ""
            return kind
    return ""
