"""``--explain``: which part of a filter the kernel checks, and which is checked here."""

from __future__ import annotations

from ...thresholds import MANY
from ..filters import predicate
from ..source import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...ctnetlink.predicates import Node
    from ..main import Runner
    from ..parser import Command


def explain(runner: Runner, command: Command) -> int:
    """Print the split of the command's filter; run nothing."""
    from ...where.explanation import OPTIONS
    from ...where.explanation import explain as lines

    node = predicate(command)
    if command.verb == "event":
        out = _of_events(node, command.table)
    elif node is None and command.verb == "flush" and not command.opts.keys() & {"undo", "dry_run"}:
        out = ["kernel: empties the table at one request"]
    else:
        wanted = plan(runner, command, node)
        big = wanted.size >= MANY
        out = lines(node, wanted.dumps, OPTIONS, reason=wanted.reason, both=big)
    if "from_file" in command.opts:
        out.append("user space: looks up the filters of the file, in one pass over the table")
    runner.out.write(("\n".join(out) + "\n").encode("utf-8", "backslashreplace"))
    return 0


def _of_events(node: Node | None, table: str) -> list[str]:
    from ...ctnetlink.predicates import terms
    from ...ctnetlink.socket_filter import judges, program
    from ...where.unparse import Unlike, show, whole

    if node is None:
        return ["kernel: sends every event", "user space: takes every event"]
    kernel, user = [], []
    filtered = table == "conntrack" and program(node)
    for term in whole(terms(node)):
        if filtered and judges(term.net if isinstance(term, Unlike) else term):
            kernel.append(f"kernel: {show(term, 1)} (a filter on the socket)")
        else:
            user.append(f"user space: {show(term, 1)}")
    if not kernel:
        return ["kernel: sends every event", *user]
    return [*kernel, *user, "user space checks again what the kernel was asked to filter"]
