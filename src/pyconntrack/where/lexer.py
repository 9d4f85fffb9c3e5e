"""The tokens of an expression, and the error that points at one of them."""

from __future__ import annotations

from ..errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

#: the characters of a bare word: names, numbers, addresses, networks, ranges
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-")
_PAIRS = frozenset(("==", "!=", "<=", ">="))
_SINGLES = frozenset("=<>(){},&")
#: operators of other languages -> our words
_FOREIGN = {"&&": "and", "||": "or", "|": "or", "!": "not", "~": "not"}


class WhereError(RequestError):
    """An expression is wrong.

    ``column``: of the error, counted from 1; ``text``: the expression; ``reason``: the message
    without the column.
    """

    def __init__(self, reason: str, text: str, column: int) -> None:
        super().__init__(f"column {column}: {reason}")
        self.reason, self.text, self.column = reason, text, column

    def __reduce__(self) -> tuple[type[WhereError], tuple[str, str, int]]:
        return type(self), (self.reason, self.text, self.column)

    def caret(self) -> str:
        """Return two lines: the expression, and a caret under the column."""
        line = "".join(char if char.isprintable() else " " for char in self.text)
        return f"{line}\n{' ' * (self.column - 1)}^"


class Token:
    """A token of an expression; ``kind`` is "word", "string", "op" or "end"."""

    __slots__ = ("column", "kind", "text")

    def __init__(self, kind: str, text: str, column: int) -> None:
        self.kind, self.text, self.column = kind, text, column

    def is_word(self, word: str) -> bool:
        """Return whether this is the keyword ``word``, in any case."""
        return self.kind == "word" and self.text.lower() == word

    def is_op(self, *ops: str) -> bool:
        """Return whether this is one of the operators ``ops``."""
        return self.kind == "op" and self.text in ops

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"`{self.text}'"


def tokens(text: str) -> list[Token]:
    """Return the tokens of ``text``, the last of kind "end"."""
    found = []
    at, end = 0, len(text)
    while at < end:
        char, start = text[at], at
        if char.isspace():
            at += 1
        elif char in _WORD:
            # a plus only in the offset of a time: 2026-11-25T08:00+01:00
            while at < end and (text[at] in _WORD or (text[at] == "+" and char.isdigit())):
                at += 1
            found.append(Token("word", text[start:at], start + 1))
        elif char in "\"'":
            at = text.find(char, start + 1) + 1
            if not at:
                raise WhereError("this quotation mark is never closed", text, start + 1)
            inside = text[start + 1 : at - 1]
            if not inside.isprintable():
                raise WhereError("a text has printable characters only", text, start + 1)
            found.append(Token("string", inside, start + 1))
        else:
            pair = text[at : at + 2]
            op = pair if pair in _PAIRS or pair in _FOREIGN else char
            if op in _FOREIGN:
                raise WhereError(f"`{op}' means nothing here: write `{_FOREIGN[op]}'", text, at + 1)
            if op not in _PAIRS and op not in _SINGLES:
                raise WhereError(f"the character {char!r} means nothing here", text, at + 1)
            at += len(op)
            found.append(Token("op", op, start + 1))
    found.append(Token("end", "", end + 1))
    return found


class Words:
    """The tokens of an expression, taken in order."""

    __slots__ = ("at", "text", "tokens")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0

    @property
    def next(self) -> Token:
        """Return the token that :meth:`take` takes next."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """Take and return the next token; "end" is never consumed."""
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def error(self, reason: str, at: Token | int) -> WhereError:
        """Return the error that points at a token or a column."""
        return WhereError(reason, self.text, at if isinstance(at, int) else at.column)
