"""-L: print a table.

The modules for the answer are imported while the kernel walks its table.
"""

from __future__ import annotations

from ...thresholds import LISTING
from ..source import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...ctnetlink.predicates import Node
    from ..main import Runner
    from ..parser import Command


def show(runner: Runner, command: Command) -> int:
    """Run -L, for each table."""
    if "count_by" in command.opts:
        from .list_counted import show as count

        return count(runner, command)
    if command.opts.keys() & {"sort", "limit", "explain"}:
        from .list_ordered import show as view

        return view(runner, command)
    node = _predicate(command)
    document: Document | None = None
    for batches, worth in dumps(runner, command, node, LISTING):
        from ..selection import Document, select, writer_of

        if document is None:
            document = Document(runner.out, writer_of(command))
        for part in select(batches, worth, node):
            document.add(part)
    assert document is not None
    document.close()
    if document.writer.foot:  # as in conntrack(8), the summary never precedes a framed document
        runner.out.flush()
    what = "expectations" if command.table == "expect" else "flow entries"
    runner.summary(document.count, f"{what} have been shown")
    return 0


def _predicate(command: Command) -> Node | None:
    if not command.opts and not command.family and not command.protocols:
        return None  # without an import
    from ..filters import predicate

    return predicate(command)
