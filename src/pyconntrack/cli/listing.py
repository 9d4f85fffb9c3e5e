"""-L: a table into a document.

Owns the way from a dump's request to lines.  What the answer needs is imported while the kernel
walks through its table; a very large one is formatted as columns.  The table decides that, not an
option.
"""

from __future__ import annotations

from .source import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..filter import Node
    from .parse import Command
    from .run import Runner


def show(runner: Runner, command: Command) -> int:
    """-L, for each table."""
    if command.opts.keys() & {"sort", "limit", "columns", "explain"}:
        from .view import show as view

        return view(runner, command)
    node = _predicate(command)
    document: Document | None = None
    for parts, columns in dumps(runner, command, node):
        # the kernel walks through its table meanwhile
        from .document import Document, writer_of
        from .lines import few, many

        document = document or Document(runner.out, writer_of(command))
        (many if columns else few)(parts, node, document)
    assert document is not None
    document.close()
    if document.writer.foot:  # as in conntrack(8), nothing stands before a whole document
        runner.out.flush()
    what = "expectations" if command.table == "expect" else "flow entries"
    runner.summary(document.count, f"{what} have been shown")
    return 0


def _predicate(command: Command) -> Node | None:
    if not command.opts and not command.family and command.proto is None:
        return None  # and nothing to import for it
    from .select import predicate

    return predicate(command)
