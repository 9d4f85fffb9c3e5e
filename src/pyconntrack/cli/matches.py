"""The entries of a table that a command is about, as the kernel's messages back to back.

Owns the selection of the verbs that change: one by one where the table is small, as columns (numpy)
where more than :data:`LARGE` bytes arrive.  The dumps are :mod:`.source`'s.
"""

from __future__ import annotations

from ..arrays import available
from ..filter import bind
from ..layout import find
from ..wire.frame import split
from .found import Found
from .source import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..filter import Node, Test
    from ..layout import Layout
    from ..output.bulk import Bulk
    from ..output.pieces import Piece
    from ..session import Batch
    from .many import Lines
    from .parse import Command
    from .progress import Progress
    from .run import Runner

#: bytes of a dump (some 9,000 entries) from which on numpy is worth its import
LARGE = 2 << 20
#: bytes handled at once then
_PART = 1 << 20
#: entries handled at once else
_FEW = 1024


def matches(
    runner: Runner, command: Command, node: Node | None, lines: Lines | None = None,
    progress: Progress | None = None,
) -> Iterator[Found]:  # fmt: skip
    """What `node`, and any of `lines`, says yes to."""
    for parts, _ in dumps(runner, command, node):
        yield from _select(parts, node, lines, progress)


def _select(
    source: Iterator[Batch], node: Node | None, lines: Lines | None, progress: Progress | None
) -> Iterator[Found]:
    parts: list[bytes] = []
    size = 0
    for part in source:
        parts.append(part.data[: part.end])
        size += part.end
        if size >= LARGE and available():
            yield from _many(b"".join(parts), source, node, lines, progress)
            return
    yield from _one_by_one(parts, node, lines, progress)


def _one_by_one(
    parts: list[bytes], node: Node | None, lines: Lines | None, progress: Progress | None
) -> Iterator[Found]:
    kept: list[bytes] = []
    hits: list[tuple[int, int]] = []
    tests: dict[Layout, Test | bool] = {}
    for number, data in enumerate(parts):
        parts[number] = b""
        seen = 0
        for pos, length, _, _, _ in split(data):
            seen += 1
            message = data[pos : pos + length]
            layout = find(message)
            test = tests.get(layout)
            if test is None:
                test = tests[layout] = True if node is None else bind(node, layout)
            if test is False or (test is not True and not test(layout.unpack(message))):
                continue
            if lines is not None:
                said = lines.of(layout, message)
                if not said:
                    continue
                hits += [(len(kept), line) for line in said]
            kept.append(message + b"\0" * (-length & 3))
            if len(kept) >= _FEW:
                yield _found(kept, hits)
                kept, hits = [], []
        if progress is not None:
            progress.add(seen)
    if kept:
        yield _found(kept, hits)


def _found(kept: list[bytes], hits: list[tuple[int, int]]) -> Found:
    found = Found(b"".join(kept), len(kept), large=False)
    found.lines = hits
    return found


def _many(
    first: bytes, source: Iterable[Batch], node: Node | None, lines: Lines | None,
    progress: Progress | None,
) -> Iterator[Found]:  # fmt: skip
    from .bulk import select

    parts = [first]
    size = len(first)
    for part in source:
        if size >= _PART:
            found, seen = select(b"".join(parts), node, lines)
            parts, size = [], 0
            if found.count:
                yield found
            if progress is not None:
                progress.add(seen)
        data, end = part.data, part.end
        parts.append(data[:end] if end < len(data) else data)
        size += end
    found, seen = select(b"".join(parts), node, lines)
    if found.count:
        yield found
    if progress is not None:
        progress.add(seen)


class Formatter:
    """Formats :class:`Found` by the pieces of a layout; `separator` stands before each line."""

    __slots__ = ("_bulk", "_pieces_of", "_scalar")

    def __init__(self, pieces_of: Callable[[Layout], list[Piece]]) -> None:
        self._pieces_of = pieces_of
        self._bulk: Bulk | None = None
        self._scalar: dict[Layout, Callable[[tuple[object, ...]], str]] = {}

    def __call__(self, found: Found) -> bytes:
        """The lines, each with a newline."""
        if found.large:
            if self._bulk is None:
                from ..output.bulk import Bulk

                self._bulk = Bulk(self._pieces_of)
            if found.groups is not None:
                return self._bulk.render(found.groups, found.count)[0]
            return self._bulk.format(found.data, len(found.data))[0]
        from ..output.pieces import compile_line

        out = []
        for layout, message in found.items():
            line = self._scalar.get(layout)
            if line is None:
                line = self._scalar[layout] = compile_line(self._pieces_of(layout), layout)
            out.append(line(layout.unpack(message)) + "\n")
        return "".join(out).encode("utf-8", "backslashreplace")
