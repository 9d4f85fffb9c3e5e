"""The values of fields with words: the word, or an Unknown for a number that has none.

Numbers and words are in :mod:`.vocabulary`; here they become what users meet.  A field's value is
looked up by its bytes, so that reading one costs no more than reading a number.
"""

from __future__ import annotations

from ..errors import RequestError, none_of
from .kinds import bits_of
from .vocabulary import FLAGS, VOCABULARIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, final
else:

    def final(cls: type) -> type:
        """Return ``cls``: only type checkers use ``typing.final``, whose import takes 10 ms."""
        return cls


_LIMITS = {name: 1 << (32 if words in FLAGS else 8) for name, words in VOCABULARIES.items()}
#: id of a vocabulary -> its name
_NAMES = {id(words): name for name, words in VOCABULARIES.items()}
_MOST = 4096  # sets of flags that are kept; a table has a few dozen


@final
class Unknown:
    """A number for which a vocabulary has no word, such as protocol 99 or a new status bit.

    ``vocabulary``: ``"proto"``, ``"tcp_state"``, ``"sctp_state"``, ``"dccp_state"``,
    ``"dccp_role"``, ``"status"``, ``"expect_flags"`` or ``"family"``; ``number``: the value of the
    field, for flags that of one bit.  The same arguments give the same object, so ``==`` and ``is``
    agree, and it never equals a word or a number.  ``str()`` is the number, as in JSON.

    Raises :class:`~pyconntrack.RequestError` for a number that has a word or does not fit.
    """

    __slots__ = ("_number", "_vocabulary")

    _number: int
    _vocabulary: str

    def __new__(cls, vocabulary: str, number: int) -> Unknown:
        """Return the object of these arguments."""
        known = _unknown.get((vocabulary, number))
        if known is not None and number.__class__ is int:
            return known
        words = VOCABULARIES.get(vocabulary)
        if words is None:
            raise none_of("vocabulary", vocabulary, VOCABULARIES)
        if number.__class__ is not int or not 0 <= number < _LIMITS[vocabulary]:
            raise RequestError(
                f"number: a whole number 0..{_LIMITS[vocabulary] - 1} is wanted, not {number!r}"
            )
        if number in words:
            raise RequestError(f"number: {number} is not unknown, it is {words[number]!r}")
        if words in FLAGS and number.bit_count() != 1:
            raise RequestError(f"number: the value of one bit is wanted, not {number:#x}")
        self = super().__new__(cls)
        self._vocabulary, self._number = vocabulary, number
        return _unknown.setdefault((vocabulary, number), self)

    def __init_subclass__(cls) -> None:
        raise TypeError("Unknown is final: it has no subclasses")

    @property
    def vocabulary(self) -> str:
        """Return the name of the vocabulary."""
        return self._vocabulary

    @property
    def number(self) -> int:
        """Return the number, for flags the value of the bit."""
        return self._number

    def __reduce__(self) -> tuple[type[Unknown], tuple[str, int]]:
        return Unknown, (self._vocabulary, self._number)

    def __repr__(self) -> str:
        return f"Unknown({self._vocabulary!r}, {self._number})"

    def __str__(self) -> str:
        return str(self._number)


_unknown: dict[tuple[str, int], Unknown] = {}


def word(words: Mapping[int, str], number: int) -> str | Unknown:
    """Return the word of ``number`` in a vocabulary, or the Unknown that stands for it."""
    return words.get(number) or Unknown(_NAMES[id(words)], number)


def flag_words(words: Mapping[int, str], value: int) -> frozenset[str | Unknown]:
    """Return the words of the bits that are set in ``value``."""
    return frozenset([word(words, 1 << bit) for bit in bits_of(value)])


class Table(dict[bytes, "Any"]):
    """The values of a vocabulary by the bytes of a field; they are added when they are met."""

    __slots__ = ("_words",)

    def __init__(self, words: Mapping[int, str]) -> None:
        self._words: Mapping[int, str] = words

    def __missing__(self, raw: bytes) -> object:
        number = int.from_bytes(raw)
        if len(self) >= _MOST:
            self.clear()
        flags = self._words in FLAGS
        value = self[raw] = flag_words(self._words, number) if flags else word(self._words, number)
        return value


#: id of a vocabulary -> its values by the bytes of a field
TABLES = {id(words): Table(words) for words in VOCABULARIES.values()}
