"""A small table, asked for before the command line is parsed.

Whatever the options of a listing, an update or a deletion say, what they are about is among all
entries, and the kernel walks through its whole table to find either.  So the request for all
entries of a small table goes out first; parsing, and most of the imports, happen meanwhile.  A
wrong guess at which command line this is costs nothing but the walk: a dump changes nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .source import Entries

#: the first words of command lines that begin with a dump of the flows
_LISTS, _CHANGES = ("-L", "--dump"), ("-D", "--delete", "-U", "--update")


def asked(arguments: Sequence[str]) -> Entries | None:
    """Ask for the flows; return None where there are many, or where the command is another."""
    if not arguments or arguments[0] not in _LISTS + _CHANGES:
        return None
    if len(arguments) > 1 and not arguments[1].startswith("-"):  # it may be another table
        return None
    from .source import SMALL, Entries, table_size

    if table_size() >= SMALL:
        return None
    from .. import request as ask
    from ..errors import ConntrackError
    from ..receiver import FEW_CHANGED, FEW_LISTED

    try:
        return Entries(ask.dump(), FEW_LISTED if arguments[0] in _LISTS else FEW_CHANGED)
    except ConntrackError:
        return None  # and is told when it comes again
