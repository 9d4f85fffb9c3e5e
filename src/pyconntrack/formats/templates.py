"""Encode lines of ``-R`` by shape: a line like one encoded before is not parsed again.

The lines of a shape are the same bytes except for numbers and addresses.  Into which fields these
go is found by trial: the reader encodes the line with other values, and the fields of its message's
layout that change with a value are its own.  A number that changes none (a counter) is only
checked to be a number; one that changes the message in another way (an ICMP type, flags) is a
constant of the message.  Values that may only change together (the tuples of a flow that is not
translated) are tied: a line in which they differ is left to the reader.  So this module knows no
option and no field, and serves the save format and NDJSON alike.  The result is accepted if it
predicts the messages of other made-up lines: all numbers different, all the same, equal to a
constant, the smallest, the largest.

Large files are encoded by :mod:`pyconntrack.columnar.restore`, which uses these shapes and
encoders.  A shape, its trial and its encoder stand together, as they are one argument: why the
bytes that are predicted are those that the reader would make.
"""

from __future__ import annotations

from _operator import itemgetter
from _socket import AF_INET, AF_INET6, inet_pton
from itertools import permutations

from ..ctnetlink.layout import find, struct_of
from ..ctnetlink.moulds import Mould
from ..thresholds import TRIED
from .tokens import FOUR, NUMBER, SIX, Token, spaced, tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence
    from typing import Any

    from ..ctnetlink.layout import Slot

    #: parses and encodes one line: its message, or None if it has none
    Reader = Callable[[str], bytes | None]
    #: (index of a value, index of the value that it equals)
    Ties = list[tuple[int, int]]

#: lines of a shape differ in these at most: the rest is a quick key to the shape
_VARYING = b"0123456789abcdef.:"
#: the largest values tried of a number.  One byte may decide how others are read (a protocol, a
#: type), so it varies only in the range that is tried completely
_HIGHS = 2**32 - 1, 2**16 - 1, 2**31 - 1, 15, 14
_SMALL = 15
#: the largest value of a number that is ignored: any with 19 digits
_IGNORED = 10**19 - 1
#: bytes before a value that identify it
_BEFORE = 10
_FAMILY = {FOUR: AF_INET, SIX: AF_INET6}
#: most shapes, and messages of a shape; lines beyond these limits are read one by one
_LIMIT, _MESSAGES = 1024, 256
#: most shapes with the same quick key
_ALIKE = 8


class Varying:
    """A varying value: its index in the line, its limits, and the ``slots`` of the message that it
    fills; none if it is ignored."""

    __slots__ = ("at", "high", "kind", "low", "slots")

    def __init__(self, at: int, kind: str, high: int, slots: Sequence[Slot] = ()) -> None:
        self.at, self.kind, self.low, self.high = at, kind, 0, high
        self.slots = [*slots]


class Encoder:
    """Encode the lines of a shape that have the same constants.

    ``ties``: pairs of indexes of values that are equal; the second varies, and the first with it.
    """

    __slots__ = ("_addresses", "_bounds", "_mould", "layout", "ties", "varying", "whole")

    def __init__(self, whole: bytes, varying: list[Varying], ties: Ties) -> None:
        self.whole, self.varying, self.ties = whole, varying, ties
        # the sequence number, in host byte order, follows the values
        fields = [(8, "4s", -1)]
        for value in varying:
            fields += [(s.offset, s.kind.code or f"{s.size}s", value.at) for s in value.slots]
        fields.sort()
        packer = struct_of([(offset, code) for offset, code, _ in fields], len(whole))
        self._mould = Mould(whole, packer, [at for _, _, at in fields])
        #: equal for messages that differ in constants only
        self.layout = len(whole), *fields, *[(v.at, v.low, v.high) for v in varying], *ties
        self._addresses = [(v.at, _FAMILY[v.kind]) for v in varying if v.kind != NUMBER]
        # limits that struct does not check
        self._bounds = [
            (v.at, v.low, v.high)
            for v in varying
            if v.kind == NUMBER
            and (v.low or not v.slots or any(v.high + 1 != 256**s.size for s in v.slots))
        ]

    def encode(self, values: list[Any], seq: bytes) -> bytes | None:
        """Return the message of a line with these values (numbers, addresses as text).

        Returns None, or raises OSError, ValueError or struct.error, if a value does not fit.
        """
        for at, leader in self.ties:
            if values[at] != values[leader]:
                return None
        for at, low, high in self._bounds:
            if not low <= values[at] <= high:
                return None
        values = [*values, seq]
        for at, family in self._addresses:
            values[at] = inet_pton(family, values[at])
        return self._mould.fill(values).to_bytes(len(self.whole))


class Shape:
    """The common part of the lines of a shape, and the encoders found for them so far.

    ``text``: the line as a ``%`` template of its values; ``sample``, ``tokens``: one such line.
    """

    __slots__ = (
        "_parsers", "_pick", "_seen", "before", "constants", "encoders", "kinds", "sample", "text",
        "tokens",
    )  # fmt: skip

    def __init__(self, line: str, tokens: list[Token]) -> None:
        self.sample, self.tokens = line, tokens
        #: the text before each value, mostly its name
        self.before: list[str] = []
        pieces, behind = [], 0
        for token in tokens:
            before = line[behind : token.begin]
            pieces += [before.replace("%", "%%"), token.kind[:2]]
            self.before.append(before[-_BEFORE:])
            behind = token.end
        self.text = "".join([*pieces, line[behind:].replace("%", "%%")])
        self.kinds = [token.kind for token in tokens]
        self._pick = itemgetter(*[token.word for token in tokens])
        self._parsers: list[Any] = [int if t.kind == NUMBER else str for t in tokens]
        #: indexes of the values that are constants of a message; None before the first encoder
        self.constants: list[int] | None = None
        self.encoders: dict[tuple[int, ...], Encoder | None] = {}
        #: by constants: how many lines were left to the reader, and at how many trials pay
        self._seen: dict[tuple[int, ...], list[int]] = {}

    def values(self, words: list[str], line: str) -> list[Any] | None:
        """Return the values of a line of this shape; None, or ValueError, for any other line."""
        picked = self._pick(words)
        values = [parse(word) for parse, word in zip(self._parsers, picked, strict=True)]
        return values if self.text % tuple(values) == line else None

    def key(self, values: Sequence[Any]) -> tuple[int, ...]:
        """Return the constants among ``values``, by which :attr:`encoders` are kept."""
        return tuple([values[at] for at in self.constants or ()])

    def due(self, key: tuple[int, ...]) -> bool:
        """Count a line with these constants that is left to the reader; return whether trials pay
        now."""
        if len(self._seen) >= _MESSAGES:
            return False
        # trials take the time of a few lines for each value, and less for a further message
        seen = self._seen.setdefault(key, [0, TRIED if self.encoders else len(self.tokens)])
        seen[0] += 1
        if seen[0] < seen[1]:
            return False
        seen[:] = 0, seen[1] * 2
        return True

    def learn(self, values: list[Any], reader: Reader, highs: dict[str, int]) -> bool:
        """Find the encoder for lines with the constants of ``values``; return whether there is one.

        ``highs``: the largest value of a number by the text before it, as found in other shapes.
        """
        whole = reader(self.text % tuple(values))
        found = None
        if whole is not None and len(whole) % 4 == 0:
            trial = _Trial(self, values, whole, reader)
            near = next(filter(None, self.encoders.values()), None)
            if near is not None and len(near.whole) == len(whole):
                if any(values[at] != values[leader] for at, leader in near.ties):
                    return False  # a line that is tied may follow
                same = [Varying(v.at, v.kind, v.high, v.slots) for v in near.varying]
                trial.ties = near.ties
                found = trial.proven(same, highs, further=True)
                trial.ties = []
            found = found or trial.encoder(highs)
            if found is None:
                trial.tie()
                found = trial.encoder({})  # limits from other shapes may not hold here
        varying: set[int] = set()
        if found is not None:
            varying.update([v.at for v in found.varying], [at for at, _ in found.ties])
        constants = [at for at in range(len(values)) if at not in varying]
        if self.constants is None:
            if found is None:
                return False
            self.constants = constants
        elif self.constants != constants:
            found = None
        self.encoders[self.key(values)] = found
        return found is not None


class _Trial:
    """Trials of one line: its message, and its messages with other values.

    ``ties``: see :class:`Encoder`; tied values are changed together.
    """

    __slots__ = ("_base", "_layout", "_reader", "_shape", "_whole", "ties")

    def __init__(self, shape: Shape, base: list[Any], whole: bytes, reader: Reader) -> None:
        self._shape, self._base, self._whole, self._reader = shape, base, whole, reader
        self._layout = find(whole)
        self.ties: Ties = []

    def _message(self, values: Sequence[Any]) -> bytes | None:
        return self._reader(self._shape.text % tuple(values))

    def _changed(self, changes: dict[int, Any]) -> list[Any]:
        """Return the values of the line after ``changes``."""
        values = [changes.get(at, value) for at, value in enumerate(self._base)]
        for at, leader in self.ties:
            values[at] = values[leader]
        return values

    def tie(self) -> None:
        """Find the :attr:`ties`.

        They are pairs of equal values, each of which by itself changes the layout, and both
        together do not.
        """
        other: dict[int, Any] = {}
        for at, (kind, value) in enumerate(zip(self._shape.kinds, self._base, strict=True)):
            words = [number if kind == NUMBER else _address(kind, number) for number in (1, 2)]
            word = words[value == words[0]]
            if self._with({at: word}) is None:
                other[at] = word
        for leader, word in other.items():
            equal = [at for at in other if at > leader and self._base[at] == self._base[leader]]
            for at in equal:
                if self._with({leader: word, at: word}) is not None:
                    self.ties.append((at, leader))
                    break

    def encoder(self, highs: dict[str, int]) -> Encoder | None:
        """Return the encoder of lines like this, or None; ``highs``: see :meth:`Shape.learn`."""
        values = []
        tied = [at for at, _ in self.ties]
        for at, kind in enumerate(self._shape.kinds):
            if at in tied:
                continue
            before = self._shape.before[at]
            if kind == NUMBER and before not in highs:
                if len(highs) >= _LIMIT:
                    return None
                highs[before] = self._high(at)
            high = highs[before] if kind == NUMBER else 0
            if kind != NUMBER or (high and self._base[at] <= high):
                values.append(Varying(at, kind, high))
        if not self._placed(values):
            for value in [*values]:
                if not self._placed([value]):
                    values.remove(value)
                    highs[self._shape.before[value.at]] = 0
        return self.proven(values, highs)

    def _high(self, at: int) -> int:
        """Return the largest value that a number may have, or 0 if none was found."""
        for high in _HIGHS:
            message = self._with({at: high})
            if message is not None:
                ignored = message == self._whole and self._with({at: _IGNORED}) is not None
                return _IGNORED if ignored else high
        return 0

    def _with(self, changes: dict[int, Any]) -> bytes | None:
        """Return the message with other values, or None if its layout changes."""
        message = self._message(self._changed(changes))
        return message if message is not None and find(message) is self._layout else None

    def _placed(self, values: list[Varying]) -> bool:
        """Find the slots of values that are changed at once; return False if the message changes in
        any other way."""
        owners: dict[tuple[Any, ...], Varying] = {}
        changes: tuple[dict[int, Any], dict[int, Any]] = {}, {}
        # small numbers, which all fields can hold: two for each value, a pair that no other has
        for value, pair in zip(values, permutations(range(1, _SMALL), 2), strict=False):
            value.slots = []
            words: Sequence[Any] = pair
            raws: tuple[Any, ...] = pair
            if value.kind != NUMBER:
                words = [_address(value.kind, number) for number in pair]
                raws = (*[inet_pton(_FAMILY[value.kind], word) for word in words],)
            owners[raws] = value
            for change, word in zip(changes, words, strict=True):
                change[value.at] = word
        one, other = map(self._with, changes)
        if one is None or other is None or len(owners) < len(values):
            return False
        raw = zip(self._layout.unpack(one), self._layout.unpack(other), strict=True)
        for name, raws in zip(self._layout.names, raw, strict=True):
            if raws in owners:
                owners[raws].slots.append(self._layout.slot(name))
            elif raws[0] != raws[1]:
                return False
        return True

    def proven(
        self, varying: list[Varying], highs: dict[str, int], *, further: bool = False
    ) -> Encoder | None:
        """Return the encoder with these values if it predicts the messages of other lines.

        A number that fails is a constant.  ``further``: they were proven for other constants.
        """
        numbers = [value for value in varying if value.kind == NUMBER]
        addresses = {at for at, kind in enumerate(self._shape.kinds) if kind != NUMBER}
        addresses.difference_update([at for at, _ in self.ties])
        if not len(numbers) < len(varying) == len(numbers) + len(addresses):
            return None  # an address is not a constant that many lines share
        found = Encoder(self._whole, varying, self.ties)
        if not self._foretells(found, self._base, self._whole):
            return self._without(numbers, found, highs, dict(enumerate(self._base)))
        if not self._agree(found, {value.at: 0 for value in numbers}):
            for value in numbers:
                value.low = 0 if self._agree(found, {value.at: 0}) else 1
            found = Encoder(self._whole, varying, self.ties)
        for number, some in enumerate(_samples(numbers, further)):
            changes: dict[int, Any] = {}
            for value in varying:
                if value.kind == NUMBER:
                    changes[value.at] = min(max(some[value.at], value.low), value.high)
                else:  # all the same, all different, or none
                    changes[value.at] = _address(value.kind, (1, value.at + 1, 0)[number % 3])
            if not self._agree(found, changes):
                return self._without(numbers, found, highs, changes)
        constants = {*range(len(self._base))} - {at for at, _ in self.ties}
        constants -= {value.at for value in varying}
        for constant in {self._base[at] for at in constants}:  # a value may come to equal one
            changes = {at: _address(self._shape.kinds[at], 1) for at in addresses}
            changes |= {v.at: min(max(constant, v.low), v.high) for v in numbers}
            if not self._agree(found, changes):
                return None
        return found

    def _without(
        self, numbers: list[Varying], found: Encoder, highs: dict[str, int], changes: dict[int, Any]
    ) -> Encoder | None:
        """Return the encoder without the values that by themselves change the message otherwise."""
        wrong = [v for v in numbers if not self._agree(found, {v.at: changes[v.at]}, {v})]
        for value in wrong:
            highs[self._shape.before[value.at]] = 0
        return self.proven([v for v in found.varying if v not in wrong], highs) if wrong else None

    def _agree(
        self, found: Encoder, changes: dict[int, Any], alone: Container[Varying] = ()
    ) -> bool:
        if alone:
            some = [value for value in found.varying if value in alone]
            found = Encoder(self._whole, some, self.ties)
        values = self._changed(changes)
        return self._foretells(found, values, self._message(values))

    @staticmethod
    def _foretells(found: Encoder, values: list[Any], message: bytes | None) -> bool:
        try:
            return message is not None and message == found.encode(values, message[8:12])
        except Exception:  # struct.error has no name of its own without importing more
            return False


def _samples(numbers: list[Varying], further: bool) -> Iterator[dict[int, int]]:
    """Yield numbers that a reader may treat specially: the largest, all different, all the same
    and small, those with a single non-zero byte; ``further``: only a few of them."""
    yield {value.at: value.high for value in numbers}
    yield {v.at: (v.high // 3 + 11 * n) % (v.high + 1) for n, v in enumerate(numbers)}
    small = not further and any(value.high <= _SMALL for value in numbers)
    for same in range(1, _SMALL + 1 if small else 2):
        yield {value.at: same for value in numbers}
    for byte in range(1, 1 if further else 4):
        sizes = [(value.high.bit_length() + 7) // 8 for value in numbers]
        yield {v.at: 0x5A << 8 * (byte % size) for v, size in zip(numbers, sizes, strict=True)}


def _address(kind: str, number: int) -> str:
    if not number:
        return "0.0.0.0" if kind == FOUR else "::"
    return f"10.{number}.0.9" if kind == FOUR else f"2001:db8::{number:x}:9"


def _likeness(line: str) -> tuple[bytes, int]:
    return line.encode().translate(None, _VARYING), line.count(".")


class Shapes:
    """The shapes found so far.  ``reader`` parses and encodes a line."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._shapes: dict[tuple[bytes, int], list[Shape]] = {}
        self._highs: dict[str, int] = {}

    def encode(self, line: str, seq: bytes) -> bytes | None:
        """Return the message of a line, or None if it is left to the reader."""
        known = self._shapes.get(_likeness(line), ())
        words = spaced(line).split() if known else []
        for shape in known:
            try:
                values = shape.values(words, line)
                if values is None:
                    continue
                key = shape.key(values)
                encoder = shape.encoders.get(key)
                if encoder is not None:
                    return encoder.encode(values, seq)
            except Exception:  # struct.error has no name of its own without importing more
                continue
            if shape.due(key) and shape.learn(values, self._reader, self._highs):
                return self.encode(line, seq)
            return None
        if len(known) < _ALIKE and line.isascii():
            self.find(line)
        return None

    def find(self, line: str) -> Shape | None:
        """Return the shape of a line, known or new; None if there are too many, or nothing of the
        line varies."""
        tokens = list(tokens_of(line))
        if len(tokens) < 2:
            return None
        found = Shape(line, tokens)
        known = self._shapes.get(_likeness(line), [])
        for shape in known:
            if shape.text == found.text and shape.kinds == found.kinds:
                return shape
        if len(known) >= _ALIKE:
            return None
        if sum(map(len, self._shapes.values())) >= _LIMIT:  # shapes still in use are found again
            self._shapes.clear()
            self._highs.clear()
        self._shapes[_likeness(line)] = [*known, found]
        return found
