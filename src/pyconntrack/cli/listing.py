"""-L: a table into a document.  Owns the way from a dump's datagrams to lines."""

from __future__ import annotations

from .. import request as ask
from ..driver import stream
from ..filter import push_down
from ..output.writer import Scalar
from ..session import dump
from ..wire.frame import split
from .document import Document, writer_of
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parse import Command
    from .run import Runner


def show(runner: Runner, command: Command) -> int:
    """-L, for each table."""
    node = predicate(command)
    writer = writer_of(command)
    document = Document(runner.out, writer)
    down = push_down(node) if command.table == "conntrack" else push_down(None)
    zero = "zero" in command.opts
    family = command.family if command.table != "conntrack" or zero else down.family
    request = ask.dump(command.table, family, down.payload if not zero else b"", zero=zero)
    scalar = Scalar(writer, node)
    for part in stream(runner.transport, dump(request, "listing", on_interrupt="accept")):
        lines = []
        data = part.data
        for pos, length, _, _, _ in split(data[: part.end]):
            line = scalar.line(data[pos : pos + length])
            if line is not None:
                lines.append(line)
        if lines:
            document.raw(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"), len(lines))
    document.close()
    what = "expectations" if command.table == "expect" else "flow entries"
    runner.summary(document.count, f"{what} have been shown")
    return 0
