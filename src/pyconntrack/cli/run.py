"""Verbs: which function runs a command, its module imported for it alone; what they share."""

from __future__ import annotations

from ..transport import Transport
from .out import Output, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parse import Command
    from .source import Entries

#: module and function of each verb
_FLOWS = {
    "list": ("listing", "show"), "get": ("single", "get"), "create": ("single", "create"),
    "add": ("single", "add"), "update": ("change", "update"), "delete": ("change", "delete"),
    "flush": ("single", "flush"), "count": ("stats", "count"), "stats": ("stats", "stats"),
    "event": ("watch", "watch"), "load": ("load", "load"),
}  # fmt: skip
_EXPECT = {
    **_FLOWS, "get": ("single", "get_expect"), "create": ("single", "create_expect"),
    "delete": ("single", "delete_expect"), "flush": ("single", "flush_expect"),
    "count": ("stats", "count_expect"),
}  # fmt: skip


class Runner:
    """One run of the program: its socket, its output, and how many entries each verb met.

    `early`: all flows of a small table, asked for already.
    """

    def __init__(self, out: Output, early: Entries | None = None) -> None:
        self.out = out
        self.early = early
        self.quiet = False  # within -R there are no summaries
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The socket, opened when first asked for."""
        if self._transport is None:
            self._transport = Transport()
        return self._transport

    def run(self, command: Command) -> int:
        """Runs `command`; its exit code."""
        table = _EXPECT if command.table == "expect" else _FLOWS
        name, function = table[command.verb]
        if "explain" in command.opts:
            name = function = "explain"
        module = __import__(f"{__package__}.{name}", fromlist=[function])
        code: int = getattr(module, function)(self, command)
        return code

    def summary(self, count: int, what: str) -> None:
        """The closing line, behind or before the output as a terminal or a pipe wants it."""
        if self.quiet:
            return
        if self.out.terminal:
            self.out.flush()
        complain(f"{count} {what}.")
