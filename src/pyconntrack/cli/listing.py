"""-L: a table into a document.

Owns the way from a dump's request to lines.  What the answer needs is imported while the kernel
walks through its table; a very large one is formatted as columns.  The table decides that, not an
option.
"""

from __future__ import annotations

from .. import request as ask
from .source import MANY, entries, table_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..filter import Node
    from ..request import Request
    from .parse import Command
    from .run import Runner


def show(runner: Runner, command: Command) -> int:
    """-L, for each table."""
    if command.opts.keys() & {"sort", "limit", "columns", "explain"}:
        from .view import show as view

        return view(runner, command)
    node = _predicate(command)
    if command.table == "conntrack":
        zero = "zero" in command.opts
        size = 0 if zero else table_size()
        requests = _requests(node, zero=zero, large=size >= MANY)
    else:
        size = 0
        requests = [ask.dump(command.table, command.family)]
    document: Document | None = None
    for request in requests:
        columns = size >= MANY and not request.payload
        parts = entries(runner.transport, request, size, columns=columns)
        # the kernel walks through its table meanwhile
        from .document import Document, writer_of
        from .lines import few, many

        document = document or Document(runner.out, writer_of(command))
        (many if columns else few)(parts, node, document)
    assert document is not None
    document.close()
    what = "expectations" if command.table == "expect" else "flow entries"
    runner.summary(document.count, f"{what} have been shown")
    return 0


def _predicate(command: Command) -> Node | None:
    if not command.opts and not command.family and command.proto is None:
        return None  # and nothing to import for it
    from .select import predicate

    return predicate(command)


def _requests(node: Node | None, *, zero: bool, large: bool) -> list[Request]:
    if node is None:
        return [ask.dump(zero=zero)]
    from ..filter import push_down, push_downs

    if zero:  # what is cleared must be shown: the kernel is asked for no less than its family
        return [ask.dump("conntrack", push_down(node).family, zero=True)]
    # a second dump costs a walk through the kernel's hash table: not for a small one
    downs = push_downs(node) if large else [push_down(node)]
    return [ask.dump("conntrack", down.family, down.payload) for down in downs]
