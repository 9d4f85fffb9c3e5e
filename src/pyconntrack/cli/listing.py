"""-L: a table into a document.

Owns the way from a dump's datagrams to lines.  A small table goes message by message, without
numpy.  A large one is received by a second process (:mod:`pyconntrack.ring`), while this one
formats whole batches as columns; numpy is imported while the kernel fills the ring.  The output
is the same, and the table decides, not an option.
"""

from __future__ import annotations

from .. import request as ask
from ..driver import call, stream
from ..filter import push_down, push_downs
from ..layout import find
from ..output.writer import Scalar
from ..session import ask as converse
from ..session import dump
from .document import Document, writer_of
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..filter import Node
    from ..output.writer import Writer
    from ..session import Batch
    from ..transport import Transport
    from .parse import Command
    from .run import Runner

    Format = Callable[[bytes, int], tuple[bytes, int]]

#: entries from which numpy's import pays for itself
LARGE = 20_000
#: bytes that have arrived by then, where the kernel's filter hides how many there will be
LARGE_BYTES = LARGE * 200
#: what is formatted at once
_CHUNK = 512 * 1024


def show(runner: Runner, command: Command) -> int:
    """-L, for each table."""
    if command.opts.keys() & {"sort", "limit", "columns", "explain"}:
        from .view import show as view

        return view(runner, command)
    node = predicate(command)
    document = Document(runner.out, writer_of(command))
    if command.table == "conntrack":
        _show_flows(runner, command, node, document)
    else:
        lines = scalar_format(document.writer, node)
        request = ask.dump(command.table, command.family)
        for part in stream(runner.transport, dump(request, "listing", on_interrupt="accept")):
            document.raw(*lines(part.data, part.end))
    document.close()
    what = "expectations" if command.table == "expect" else "flow entries"
    runner.summary(document.count, f"{what} have been shown")
    return 0


def _show_flows(
    runner: Runner, command: Command, node: Node | None, document: Document
) -> None:
    zero = "zero" in command.opts
    transport = runner.transport
    large = not zero and table_size(transport) >= LARGE
    # a second dump costs a walk through the kernel's hash table: not for a small one
    for down in push_downs(node) if large else [push_down(node)]:
        payload = b"" if zero else down.payload
        conversation = dump(
            ask.dump("conntrack", down.family, payload, zero=zero),
            "listing", on_interrupt="accept",
        )  # fmt: skip
        if large and not payload:
            from ..ring import received

            parts = received(conversation)
            # numpy is imported while the kernel fills the ring
            _rest(parts, bulk_format(document.writer, node), document)
        else:
            _upgrading_listing(stream(transport, conversation), node, document)


def _upgrading_listing(parts: Iterator[Batch], node: Node | None, document: Document) -> None:
    """Formats message by message, and goes over to columns when many arrive."""
    lines = scalar_format(document.writer, node)
    seen = 0
    for part in parts:
        document.raw(*lines(part.data, part.end))
        seen += part.end
        if seen > LARGE_BYTES:
            _rest(parts, bulk_format(document.writer, node), document)


def table_size(transport: Transport) -> int:
    """How many flows there are; one cheap request, and 0 where it is refused."""
    from ..errors import KernelError

    try:
        answers = call(transport, converse(ask.stats_global(), "counting"))
        return sum(int(find(answer).values(answer).get("entries", 0)) for answer in answers)
    except KernelError:
        return 0


def _rest(parts: Iterator[Batch], lines: Format, document: Document) -> None:
    """Formats many datagrams at once."""
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
    try:
        from ..columns import mask
        from ..output.bulk import Bulk
    except ImportError:
        return scalar_format(writer, node)
    bulk = Bulk(writer.pieces)
    if node is None:
        return bulk.format
    return lambda data, end: bulk.format(data, end, lambda group: mask(node, group))
