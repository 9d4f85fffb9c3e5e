"""``-D --from-file FILE``: thousands of filters, one a line, in one pass over the table.

Lines that ask for exact values (or masked ones) of the
same fields share a hash table, so that a line more costs nothing; what else a line asks is part
of the table's key and is decided before.  An entry counts for every line that it matches.
"""

from __future__ import annotations

import itertools

from ..filter import And, Bits, In, Net, Node, bind, terms
from .checked import words
from .out import say
from .parse import UsageError, parse
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from ..columns import Bools, Group
    from ..layout import Layout

    Value = int | bytes
    #: (field, mask): the mask of an address, of bits, or None
    Key = tuple[str, bytes | int | None]

#: options that are not filters
_FOREIGN = ("explain", "dry_run", "undo", "from_file", "progress")


class _Table:
    """Lines that share their fields: values of `keys` -> numbers of lines; `rest` must be true."""

    __slots__ = ("_bound", "_hashes", "keys", "rest", "values")

    def __init__(self, keys: tuple[Key, ...], rest: Node | None) -> None:
        self.keys, self.rest = keys, rest
        self.values: dict[tuple[Value, ...], list[int]] = {}
        self._bound: dict[Layout, tuple[Any, list[Any]] | None] = {}
        self._hashes: _Hashes | None = None

    def of(self, layout: Layout, raw: tuple[Any, ...]) -> list[int]:
        """The lines that an entry matches."""
        if layout not in self._bound:
            test = True if self.rest is None else bind(self.rest, layout)
            getters: list[Any] = [_getter(key, layout) for key in self.keys]
            self._bound[layout] = None if test is False or None in getters else (test, getters)
        if (bound := self._bound[layout]) is None:
            return []
        test, getters = bound
        if test is not True and not test(raw):
            return []
        return self.values.get(tuple([get(raw) for get in getters]), [])

    def hits(self, group: Group) -> Iterator[tuple[Any, int]]:
        """(rows of the group, line) that fit."""
        from ..columns import mask

        chosen = None if self.rest is None else mask(self.rest, group)
        if chosen is not None and not chosen.any():
            return
        if not self.keys:
            import numpy as np

            rows = np.flatnonzero(chosen) if chosen is not None else np.arange(len(group))
            for line in self.values[()]:
                yield rows, line
            return
        if self._hashes is None:
            self._hashes = _Hashes(self)
        yield from self._hashes.hits(group, chosen)


def _getter(key: Key, layout: Layout) -> Callable[[tuple[Any, ...]], Value] | None:
    name, mask = key
    if name in layout.shape:
        constant = layout.shape[name]
        return lambda raw: constant
    slot = layout.slots.get(name)
    if slot is None:
        return None
    at = layout.names.index(name)
    if mask is None:
        return lambda raw: raw[at]
    if isinstance(mask, int):
        return lambda raw: raw[at] & mask
    if len(mask) != slot.size:
        return None
    size, bits = len(mask), int.from_bytes(mask)
    if bits == (1 << 8 * size) - 1:
        return lambda raw: raw[at]
    return lambda raw: (int.from_bytes(raw[at]) & bits).to_bytes(size)


class _Hashes:
    """A table's values as columns, found by a 64-bit hash and then compared exactly."""

    def __init__(self, table: _Table) -> None:
        import numpy as np

        self.keys = table.keys
        self.lines = list(table.values.values())
        rows = list(table.values)
        columns: list[npt.NDArray[np.uint64]] = []
        for place, (_, mask) in enumerate(self.keys):
            if isinstance(mask, bytes):
                joined = b"".join(row[place] for row in rows)  # type: ignore[misc]
                matrix = np.frombuffer(joined, np.uint32).reshape(len(rows), -1)
                columns += [matrix[:, n].astype(np.uint64) for n in range(matrix.shape[1])]
            else:
                columns.append(np.array([row[place] for row in rows], np.uint64))
        rng = np.random.default_rng()
        while True:  # until no two lines share a hash
            self.odd = rng.integers(0, 1 << 63, len(columns), np.uint64) * np.uint64(2)
            self.odd += np.uint64(1)
            keys = self.hashed(columns)
            order = np.argsort(keys)
            self.sorted = keys[order]
            if not (self.sorted[1:] == self.sorted[:-1]).any():
                break
        self.order = order
        self.columns = [column[order] for column in columns]
        self.maybe = np.zeros(1 << 20, np.bool_)
        self.maybe[self.sorted >> np.uint64(44)] = True

    def hashed(self, columns: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
        """The hash of each row; the high bits are the good ones."""
        total: npt.NDArray[np.uint64] = columns[0] * self.odd[0]
        for column, odd in zip(columns[1:], self.odd[1:], strict=True):
            total = total + column * odd
        return total

    def hits(self, group: Group, chosen: Bools | None) -> Iterator[tuple[Any, int]]:
        """(rows, line) that fit, of the `chosen` rows."""
        import numpy as np

        columns = self._columns(group)
        if columns is None:
            return
        keys = self.hashed(columns)
        found = self.maybe[keys >> np.uint64(44)]
        if chosen is not None:
            found &= chosen
        rows = np.flatnonzero(found)
        if not len(rows):
            return
        at = np.searchsorted(self.sorted, keys[rows])
        at[at == len(self.sorted)] = 0
        same = np.ones(len(rows), np.bool_)
        for ours, theirs in zip(self.columns, columns, strict=True):
            same &= ours[at] == theirs[rows]
        rows, at = rows[same], self.order[at[same]]
        order = np.argsort(at, kind="stable")
        rows, at = rows[order], at[order]
        edges = [0, *(np.flatnonzero(at[1:] != at[:-1]) + 1).tolist(), len(at)]
        for low, high in itertools.pairwise(edges):
            if low < high:
                for line in self.lines[int(at[low])]:
                    yield rows[low:high], line

    def _columns(self, group: Group) -> list[npt.NDArray[np.uint64]] | None:
        import numpy as np

        out = []
        layout = group.layout
        for name, mask in self.keys:
            if name in layout.shape:
                out.append(np.full(len(group), layout.shape[name], np.uint64))
                continue
            slot = layout.slots.get(name)
            if slot is None or (isinstance(mask, bytes) and len(mask) != slot.size):
                return None
            if isinstance(mask, bytes):
                for at in range(0, slot.size, 4):
                    bits = np.frombuffer(mask, np.uint32, 1, at)[0]
                    out.append((group.wire(slot.offset + at, 4) & bits).astype(np.uint64))
            else:
                column = group.column(name).astype(np.uint64)
                out.append(column if mask is None else column & np.uint64(mask))
        return out


class Lines:
    """The filters of a file."""

    def __init__(self) -> None:
        self._tables: dict[tuple[tuple[Key, ...], Node | None], _Table] = {}
        self.counts: dict[int, int] = {}

    @classmethod
    def read(cls, path: str) -> Lines:
        """The filters of a file (``-``: standard input); UsageError names a wrong line."""
        lines = cls()
        try:
            with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
                for number, raw in enumerate(file, 1):
                    text = raw.decode("utf-8", "surrogateescape").strip()
                    if text and not text.startswith("#"):
                        try:
                            lines.add(number, words(text))
                        except UsageError as error:
                            what = f"{path} line {number}: {error.message} (nothing was deleted)"
                            raise UsageError(what, hint=False) from None
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}", hint=False) from None
        return lines

    def add(self, number: int, parts: list[str]) -> None:
        """One filter; UsageError where it is none."""
        if parts[0] in ("-D", "--delete"):
            del parts[0]
        command = parse(["-D", *parts])
        if command.table != "conntrack" or command.output:
            raise UsageError("only filters can stand in the file")
        for name in _FOREIGN:
            if name in command.opts:
                option = name.replace("_", "-")
                raise UsageError(f"`--{option}' belongs on the command line, not in the file")
        node = predicate(command)
        if node is None:
            raise UsageError("a filter is expected: this would delete every entry")
        exact: dict[Key, Value] = {}
        rest: list[Node] = []
        for term in terms(node):
            key, value = _exact(term)
            if key is None or key in exact:
                rest.append(term)
            else:
                exact[key] = value
        keys = tuple(sorted(exact, key=repr))
        other = And(rest) if rest else None
        table = self._tables.setdefault((keys, other), _Table(keys, other))
        table.values.setdefault(tuple(exact[key] for key in keys), []).append(number)
        self.counts[number] = 0

    def of(self, layout: Layout, raw: tuple[Any, ...]) -> list[int]:
        """The lines that an entry matches."""
        return [line for table in self._tables.values() for line in table.of(layout, raw)]

    def hits(self, group: Group) -> Iterator[tuple[Any, int]]:
        """(rows of the group, line) of all hits."""
        for table in self._tables.values():
            yield from table.hits(group)

    def count(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Counts hits, given as (anything, line)."""
        for _, line in pairs:
            self.counts[line] += 1

    def report(self, what: str) -> None:
        """A line for each filter: how many entries it matched that were deleted."""
        say("".join(f"line {line}: {count} {what}\n" for line, count in self.counts.items()))


def _exact(term: Node) -> tuple[Key | None, Value]:
    """A term as a field and the value that it must have; (None, 0) where it is another kind."""
    if isinstance(term, In) and len(term.fields) == 1:
        if term.value is not None and 0 <= term.value < 1 << 64:
            return (term.fields[0], None), term.value
    elif isinstance(term, Net) and len(term.networks) == 1:
        address, mask = term.networks[0]
        bits = int.from_bytes(mask)
        masked = (int.from_bytes(address) & bits).to_bytes(len(address))
        return (term.field, mask), masked
    elif isinstance(term, Bits) and 0 <= term.want <= 0xFFFFFFFF:
        return (term.field, term.mask), term.want
    return None, 0
