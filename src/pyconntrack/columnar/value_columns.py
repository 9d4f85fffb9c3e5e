"""Columns of words, of sets of words, and of addresses: arrays of numbers that read as values.

A column has the values of Flow's attribute: a word or an Unknown, a frozenset of words, the text of
an address, and None where a row lacks the field.  Numbers are kept; values are made when asked for,
and a comparison is one of numbers.  A word that is not in the vocabulary is an error, not a mask
that is False everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ..ctnetlink.convert import packed
from ..ctnetlink.kinds import bits_of
from ..ctnetlink.vocabulary import VOCABULARIES
from ..ctnetlink.words import Unknown, flag_words, word
from ..errors import RequestError
from ..escape import meant, shown
from .table_columns import COLUMNS, NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from .columns import Bools, Bytes, Column, Ints

V = TypeVar("V")
Objects = npt.NDArray[np.object_]


class ValueColumn(Generic[V]):
    """The base of the columns whose values are no numbers.

    ``==`` and ``!=`` compare with a value or, row by row, with another column.  As in expressions,
    both are False in a row without the field; with None, ``==`` finds these rows.
    """

    __slots__ = ("_present", "_raw")

    _raw: Column
    _present: Bools

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[V | None]:
        return iter(self.tolist())

    def tolist(self) -> list[V | None]:
        """Return the values as a list."""
        values: list[V | None] = self._objects().tolist()
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Objects:
        if dtype is not None and np.dtype(dtype) != object:
            return self._objects().astype(dtype)
        return self._objects()

    @overload
    def __getitem__(self, key: int) -> V | None: ...
    @overload
    def __getitem__(self, key: slice | npt.NDArray[Any] | list[int] | list[bool]) -> Self: ...
    def __getitem__(self, key: Any) -> V | Self | None:
        """Return the value of a row, or a column of the rows in a slice, mask or index array."""
        if isinstance(key, (int, np.integer)):
            value: V | None = self._taken(np.array([key]))._objects()[0]
            return value
        return self._taken(key)

    def __eq__(self, other: object) -> Bools:  # type: ignore[override]
        if other is None:
            return ~self._present
        if isinstance(other, ValueColumn):
            if type(other) is not type(self):
                raise TypeError(f"a {type(self).__name__} and a {type(other).__name__} differ")
            return self._present & other._present & self._same(other)
        return self._present & self._equal(other)

    def __ne__(self, other: object) -> Bools:  # type: ignore[override]
        there = self._present
        if isinstance(other, ValueColumn):
            there = there & other._present
        return there & ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def isin(self, values: Iterable[V]) -> Bools:
        """Return a mask of the rows whose value is one of ``values``."""
        if isinstance(values, (str, bytes)):
            raise TypeError(f"a list of values is wanted, not {values!r}")
        found = np.zeros(len(self), np.bool_)
        for value in values:
            found |= self == value
        return found

    def __repr__(self) -> str:
        some = ", ".join(map(str, self[:6].tolist()))
        more = ", ..." if len(self) > 6 else ""
        return f"<{type(self).__name__}: {len(self)} rows: {some}{more}>"

    def _taken(self, key: Any) -> Self:
        raise NotImplementedError

    def _objects(self) -> Objects:
        raise NotImplementedError

    def _equal(self, value: Any) -> Bools:
        raise NotImplementedError

    def _same(self, other: Any) -> Bools:
        return np.asarray(self._raw == other._raw)


class _Vocabulary(ValueColumn[V]):
    """The base of columns with a vocabulary."""

    __slots__ = ("_name", "_words")

    def __init__(self, name: str, raw: Column, present: Bools, words: Mapping[int, str]) -> None:
        self._name, self._raw, self._present, self._words = name, raw, present, words

    def _taken(self, key: Any) -> Self:
        return type(self)(self._name, self._raw[key], self._present[key], self._words)

    def _same(self, other: Any) -> Bools:
        if other._words is not self._words:
            raise TypeError(f"{self._name} and {other._name} have different words")
        return super()._same(other)

    def _number(self, value: object) -> int:
        """Return the number of a word, of an Unknown, or of the text of a number without a word."""
        for number, name in self._words.items():
            if value == name:
                return number
        if isinstance(value, Unknown) and VOCABULARIES[value.vocabulary] is self._words:
            return value.number
        if isinstance(value, str):
            number = int(value) if value.isascii() and value.isdigit() and len(value) < 11 else -1
            if number >= 0 and number not in self._words and str(number) == value:
                return number
            raise RequestError(
                f"{self._name}: {shown(value)} is none of {', '.join(self._words.values())}"
                f"{meant(value, self._words.values())}"
            )
        numbers = [c.name for c in COLUMNS.values() if c.field == self._name and c.form == NUMBER]
        raise TypeError(
            f"{self._name}: a word is wanted, not {shown(value)}"
            f" (numbers are in {', '.join(numbers)})"
        )

    def _text(self, number: int) -> str:
        return self._words.get(number) or str(number)


class WordColumn(_Vocabulary["str | Unknown"]):
    """A column of words, such as ``tcp_state``: a category.

    ``column == "ESTABLISHED"``, ``!=`` and :meth:`isin` return masks.  A value is a word, an
    :class:`~pyconntrack.Unknown` for a number without a word, or None.
    """

    __slots__ = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Return the words of the vocabulary, and behind them the numbers here that have none."""
        return tuple(map(self._text, self._numbers()))

    @property
    def codes(self) -> npt.NDArray[np.int16]:
        """Return for each row the position of its word in :attr:`categories`, -1 for None."""
        code = np.full(256, -1, np.int16)
        numbers = self._numbers()
        code[numbers] = np.arange(len(numbers))
        return np.where(self._present, code[self._raw], np.int16(-1))

    def _numbers(self) -> list[int]:
        occurring = np.flatnonzero(np.bincount(self._raw[self._present], minlength=256)).tolist()
        return [*self._words, *(number for number in occurring if number not in self._words)]

    def _objects(self) -> Objects:
        values = np.full(256, None, object)
        for number in np.unique(self._raw).tolist():
            values[number] = word(self._words, number)
        out: Objects = values[self._raw]
        out[~self._present] = None
        return out

    def _equal(self, value: Any) -> Bools:
        number = self._number(value)
        return np.asarray(self._raw == number)


class FlagColumn(_Vocabulary["frozenset[str | Unknown]"]):
    """A column of sets of words: ``status``.

    :meth:`has` and :meth:`has_any` return masks; ``==`` compares with a whole set.  A value is a
    frozenset of words (an :class:`~pyconntrack.Unknown` for a bit without a word), or None.
    """

    __slots__ = ()

    def has(self, *words: str | Unknown) -> Bools:
        """Return a mask of the rows that have all of ``words``."""
        bits = self._raw.dtype.type(self._bits(words))
        return np.asarray(self._present & ((self._raw & bits) == bits))

    def has_any(self, *words: str | Unknown) -> Bools:
        """Return a mask of the rows that have at least one of ``words``."""
        bits = self._raw.dtype.type(self._bits(words))
        return np.asarray(self._present & ((self._raw & bits) != 0))

    def items(self) -> tuple[npt.NDArray[np.int16], Ints, tuple[str, ...]]:
        """Return the words of all rows one behind the other, as codes; how many each row has; and
        the words that the codes number.
        """
        numbers, place = np.unique(np.where(self._present, self._raw, 0), return_inverse=True)
        sets = [[1 << bit for bit in bits_of(number)] for number in numbers.tolist()]
        nameless = sorted({bit for each in sets for bit in each if bit not in self._words})
        code = {bit: number for number, bit in enumerate((*self._words, *nameless))}
        flat = np.array([code[bit] for each in sets for bit in each], np.int16)
        sizes = np.array([len(each) for each in sets], np.intp)
        lengths = sizes[place]
        skipped = np.repeat(
            (np.cumsum(sizes) - sizes)[place] - np.cumsum(lengths) + lengths, lengths
        )
        return flat[skipped + np.arange(len(skipped))], lengths, tuple(map(self._text, code))

    def _bits(self, words: Iterable[object]) -> int:
        bits = 0
        for each in words:
            bits |= self._number(each)
        return bits

    def _objects(self) -> Objects:
        numbers, place = np.unique(self._raw, return_inverse=True)
        values = np.empty(len(numbers), object)
        values[:] = [flag_words(self._words, number) for number in numbers.tolist()]
        out: Objects = values[place]
        out[~self._present] = None
        return out

    def _equal(self, value: Any) -> Bools:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise TypeError(
                f"{self._name} is a set of words: .has({shown(value)}) finds the rows with a word"
            )
        return np.asarray(self._raw == self._raw.dtype.type(self._bits(value)))


class AddressColumn(ValueColumn[str]):
    """A column of addresses: texts, and None where a row lacks the field.

    ``column == "192.0.2.1"``, ``!=`` and :meth:`isin` take texts, packed bytes and ``ipaddress``
    values.
    """

    __slots__ = ("_family", "_name")

    def __init__(
        self, name: str, raw: Bytes, present: Bools, family: npt.NDArray[np.uint8]
    ) -> None:
        self._name, self._raw, self._present, self._family = name, raw, present, family

    @property
    def packed(self) -> Bytes:
        """Return the bytes of the addresses in network byte order, (n, 16) uint8.

        An IPv4 address is in the first 4 of them; the rest is zero.
        """
        return self._raw

    def _taken(self, key: Any) -> Self:
        return type(self)(self._name, self._raw[key], self._present[key], self._family[key])

    def _objects(self) -> Objects:
        out = np.full(len(self), None, object)
        index = np.flatnonzero(self._present)
        if len(index):
            lines, _ = self.text(index, b"\n")
            out[index] = lines.decode().split("\n")[:-1]
        return out

    def text(self, index: Ints, behind: bytes = b"") -> tuple[bytes, npt.NDArray[np.int64]]:
        """Return the texts of the rows ``index``, ``behind`` after each, and their lengths."""
        from .lanes import ipv4, ipv6
        from .render import joined

        column = np.ascontiguousarray(self._raw[index]).view(np.uint16)
        six = self._family[index] == 10
        parts = []
        for rows, lanes in ((np.flatnonzero(~six), 2), (np.flatnonzero(six), 8)):
            if len(rows):
                halves = [column[rows, number] for number in range(lanes)]
                parts.append((rows, ipv6(halves) if lanes == 8 else ipv4(halves[0], halves[1])))
        return joined(parts, len(index), behind)

    def _equal(self, value: Any) -> Bools:
        raw = packed(value, self._name)
        family = 2 if len(raw) == 4 else 10
        want = np.frombuffer(raw.ljust(16, b"\0"), np.uint64)
        same = (np.ascontiguousarray(self._raw).view(np.uint64) == want).all(axis=1)
        return np.asarray((self._family == family) & same)

    def _same(self, other: Any) -> Bools:
        mine, theirs = (np.ascontiguousarray(each._raw).view(np.uint64) for each in (self, other))
        return np.asarray((self._family == other._family) & (mine == theirs).all(axis=1))
