"""-L: a table into a document.

Owns the way from a dump's request to lines.  A large table is received by a second process
(:mod:`pyconntrack.ring`) while this one formats it; numpy is imported while the kernel fills the
ring.  The table decides, not an option.
"""

from __future__ import annotations

from .. import request as ask
from ..driver import call, stream
from ..layout import find
from ..session import ask as converse
from ..session import dump
from .document import Document, writer_of
from .lines import few, many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..filter import Node
    from ..request import Request
    from ..session import Conversation
    from ..transport import Transport
    from .parse import Command
    from .run import Runner

#: entries from which numpy's import pays for itself
LARGE = 20_000


def show(runner: Runner, command: Command) -> int:
    """-L, for each table."""
    if command.opts.keys() & {"sort", "limit", "columns", "explain"}:
        from .view import show as view

        return view(runner, command)
    document = Document(runner.out, writer_of(command))
    if command.table == "conntrack":
        _show_flows(runner, command, document)
    else:
        request = ask.dump(command.table, command.family)
        few(stream(runner.transport, _dumped(request)), _predicate(command), document)
    document.close()
    what = "expectations" if command.table == "expect" else "flow entries"
    runner.summary(document.count, f"{what} have been shown")
    return 0


def _predicate(command: Command) -> Node | None:
    if not command.opts and not command.family and command.proto is None:
        return None  # and nothing to import for it
    from .select import predicate

    return predicate(command)


def _dumped(request: Request) -> Conversation:
    return dump(request, "listing", on_interrupt="accept")


def _show_flows(runner: Runner, command: Command, document: Document) -> None:
    node = _predicate(command)
    zero = "zero" in command.opts
    transport = runner.transport
    large = not zero and table_size(transport) >= LARGE
    for request in _requests(node, zero=zero, large=large):
        if large and not request.payload:
            from ..ring import received

            many(received(_dumped(request)), node, document)
        else:
            few(stream(transport, _dumped(request)), node, document)


def _requests(node: Node | None, *, zero: bool, large: bool) -> list[Request]:
    if node is None:
        return [ask.dump(zero=zero)]
    from ..filter import push_down, push_downs

    if zero:  # what is cleared must be shown: the kernel is asked for no less than its family
        return [ask.dump("conntrack", push_down(node).family, zero=True)]
    # a second dump costs a walk through the kernel's hash table: not for a small one
    downs = push_downs(node) if large else [push_down(node)]
    return [ask.dump("conntrack", down.family, down.payload) for down in downs]


def table_size(transport: Transport) -> int:
    """How many flows there are; one cheap request, and 0 where it is refused."""
    from ..errors import KernelError

    try:
        answers = call(transport, converse(ask.stats_global(), "counting"))
        return sum(int(find(answer).values(answer).get("entries", 0)) for answer in answers)
    except KernelError:
        return 0
