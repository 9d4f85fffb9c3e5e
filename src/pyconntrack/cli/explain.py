"""``--explain``: what of a filter the kernel checks, and what is left to us.  Does nothing else."""

from __future__ import annotations

from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parse import Command
    from .run import Runner


def explain(runner: Runner, command: Command) -> int:
    """Prints the split of the command's filter."""
    from ..where import explain as lines

    node = predicate(command)
    if command.verb == "event":
        out = ["kernel: sends every event", "user space: takes every event"]
        if node is not None:
            users = [line for line in lines(node) if line.startswith(("kernel: ", "user"))]
            out[1:] = [_of_event(line) for line in users[:-1] if "whole table" not in line]
    elif command.verb == "flush" and not ("undo" in command.opts or "dry_run" in command.opts):
        out = ["kernel: empties the table at one request" + (
            ", of one family" if command.family else "")]  # fmt: skip
    else:
        out = lines(node)
    if "from_file" in command.opts:
        out.append("user space: looks up the filters of the file, in one pass over the table")
    runner.out.write(("\n".join(out) + "\n").encode("utf-8", "backslashreplace"))
    return 0


def _of_event(line: str) -> str:
    """A term that a dump would have pushed down: events are all checked here."""
    if line.startswith("kernel: "):
        return f"user space: {line[8:].partition(' (')[0]} (events are not filtered by the kernel)"
    return line
