"""``-D --from-file FILE``: thousands of filters, one a line, in one pass over the table.

Lines that compare the same fields with exact or masked values share a hash table, so that another
line costs nothing; a line's other conditions are part of the table's key and are checked first.
An entry counts for every line that it matches.
"""

from __future__ import annotations

from ..ctnetlink.predicates import And, Bits, In, Net, Node, bind, constant, terms
from .console import UsageError, say
from .filters import predicate
from .parser import parse
from .restore_file import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ..columnar.columns import Group, Ints
    from ..columnar.lookup import Lookup
    from ..ctnetlink.layout import Layout

    Value = int | bytes
    #: (field, mask): the mask of an address, of bits, or None
    Key = tuple[str, bytes | int | None]

#: options that are not filters
_FOREIGN = ("explain", "dry_run", "undo", "from_file", "progress")


class _Table:
    """Lines that share fields: values of ``keys`` -> line numbers; ``rest`` must hold as well."""

    __slots__ = ("_bound", "_lookup", "keys", "rest", "values")

    def __init__(self, keys: tuple[Key, ...], rest: Node | None) -> None:
        self.keys, self.rest = keys, rest
        self.values: dict[tuple[Value, ...], list[int]] = {}
        self._bound: dict[Layout, tuple[Any, list[Any]] | None] = {}
        self._lookup: Lookup | None = None

    def of(self, layout: Layout, raw: tuple[Any, ...]) -> list[int]:
        """Return the numbers of the lines that an entry matches."""
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

    def hits(self, group: Group) -> Iterator[tuple[Ints, int]]:
        """Yield (rows of ``group``, line) for each line that matches."""
        from ..columnar.lookup import Lookup, chosen_rows

        rows = chosen_rows(self.rest, group)
        if not len(rows):
            return
        if not self.keys:
            for line in self.values[()]:
                yield rows, line
            return
        if self._lookup is None:
            self._lookup = Lookup(self.keys, self.values)
        yield from self._lookup.hits(group, rows)


def _getter(key: Key, layout: Layout) -> Callable[[tuple[Any, ...]], Value] | None:
    name, mask = key
    value = constant(name, layout)
    if value is not None:
        value &= mask if isinstance(mask, int) else value
        return lambda raw: value
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


class Lines:
    """The filters of a file."""

    def __init__(self) -> None:
        self._tables: dict[tuple[tuple[Key, ...], Node | None], _Table] = {}
        self.counts: dict[int, int] = {}

    @classmethod
    def read(cls, path: str) -> Lines:
        """Read the filters of a file (``-``: standard input); raise UsageError for a wrong line."""
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
        """Add one filter; raise UsageError if it is not one."""
        if parts[0] in ("-D", "--delete"):
            del parts[0]
        command = parse(["-D", *parts])
        if command.table != "conntrack" or command.output:
            raise UsageError("only filters can stand in the file")
        for name in _FOREIGN:
            if name in command.opts:
                option = name.replace("_", "-")
                raise UsageError(f"`--{option}' belongs on the command line, not in the file")
        node = predicate(command, notices=False)
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
        """Return the numbers of the lines that an entry matches."""
        return [line for table in self._tables.values() for line in table.of(layout, raw)]

    def hits(self, group: Group) -> Iterator[tuple[Ints, int]]:
        """Yield (rows of ``group``, line) for each line that matches."""
        for table in self._tables.values():
            yield from table.hits(group)

    def count(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Count hits, given as (anything, line)."""
        for _, line in pairs:
            self.counts[line] += 1

    def report(self, what: str) -> None:
        """Print for each filter how many of the entries it matched were deleted."""
        say("".join(f"line {line}: {count} {what}\n" for line, count in self.counts.items()))


def _exact(term: Node) -> tuple[Key | None, Value]:
    """Return a term as a field and its required value; (None, 0) for any other kind of term."""
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
