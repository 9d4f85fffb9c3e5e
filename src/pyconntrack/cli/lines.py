"""The messages of a dump to the lines of a document.

A small table goes message by message, without numpy; a large one as columns, whole batches at a
time.  The text is the same.  Owns that choice; formats are :mod:`pyconntrack.output`'s.
"""

from __future__ import annotations

from ..arrays import available
from ..output.writer import Scalar
from .source import MANY_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..filter import Node
    from ..output.writer import Writer
    from ..session import Batch
    from .document import Document

    Format = Callable[[bytes, int], tuple[bytes, int]]

#: what is formatted at once
_CHUNK = 512 * 1024


def few(parts: Iterator[Batch], node: Node | None, document: Document) -> None:
    """Formats message by message, and goes over to columns when many arrive."""
    lines = scalar_format(document.writer, node)
    seen = 0
    for part in parts:
        document.raw(*lines(part.data, part.end))
        seen += part.end
        if seen > MANY_BYTES:
            many(parts, node, document)


def many(parts: Iterator[Batch], node: Node | None, document: Document) -> None:
    """Formats many datagrams at once."""
    lines = bulk_format(document.writer, node)
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part.data if part.end == len(part.data) else part.data[: part.end])
        size += part.end
        if size >= _CHUNK:
            document.raw(*lines(b"".join(gathered), size))
            gathered.clear()
            size = 0
    document.raw(*lines(b"".join(gathered), size))


def scalar_format(writer: Writer, node: Node | None) -> Format:
    """Messages one by one."""
    scalar = Scalar(writer, node)

    def lines(data: bytes, end: int) -> tuple[bytes, int]:
        out = scalar.lines(data, end)
        if not out:
            return b"", 0
        return ("\n".join(out) + "\n").encode("utf-8", "backslashreplace"), len(out)

    return lines


def bulk_format(writer: Writer, node: Node | None) -> Format:
    """Messages as columns; one by one where numpy is missing: slower, the same text."""
    if not available():
        return scalar_format(writer, node)
    from ..columns import mask
    from ..output.bulk import Bulk

    bulk = Bulk(writer.pieces)
    if node is None:
        return bulk.format
    return lambda data, end: bulk.format(data, end, lambda group: mask(node, group))
