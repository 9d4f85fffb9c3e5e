"""A small table, asked for before the command line is parsed.

Whatever the options of a listing, an update or a deletion say, what they are about is among all
entries, and the kernel walks through its whole table to find either.  So the request for all
entries of a small table goes out first; parsing, and most of the imports, happen meanwhile.

Owns the guess at which command line this is.  A wrong one costs nothing but the walk: what came is
then not looked at.  A dump changes nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..session import Batch
    from ..transport import Transport

#: the first words of command lines that begin with a dump of the flows
_DUMPS = frozenset(("-L", "--dump", "-D", "--delete", "-U", "--update"))


class Early:
    """All flows, on their way: the `parts` of the dump, which are there once."""

    __slots__ = ("_transport", "parts")

    def __init__(self, transport: Transport, parts: Iterator[Batch]) -> None:
        self._transport, self.parts = transport, parts

    def close(self) -> None:
        """Closes the socket."""
        self._transport.close()


def asked(arguments: Sequence[str]) -> Early | None:
    """Asks for the flows; None where there are many, or where the command is another."""
    if not arguments or arguments[0] not in _DUMPS:
        return None
    if len(arguments) > 1 and not arguments[1].startswith("-"):  # it may be another table
        return None
    from .source import SOME, entries, table_size

    if table_size() >= SOME:
        return None
    from .. import request as ask
    from ..errors import ConntrackError
    from ..transport import Transport

    try:
        transport = Transport()
    except ConntrackError:
        return None  # and is told when it comes again
    return Early(transport, entries(transport, ask.dump(), 0))
