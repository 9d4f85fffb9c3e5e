"""How the entries of a table come from the kernel: the way that pays for its size.

Owns the sizes from which a way pays, measured on tables of 300 to 100,000 entries, and the choice:
a small table is asked for while other modules are imported, a larger one is received by a second
process (:mod:`pyconntrack.ring`).
"""

from __future__ import annotations

from ..driver import Beside, started
from ..session import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..request import Request
    from ..session import Batch
    from ..transport import Transport

#: entries from which a second process pays for itself
SOME = 1_000
#: entries from which numpy's import pays for itself as well
MANY = 40_000
#: the same of a dump whose number of entries is not known, in bytes that have arrived
MANY_BYTES = 12_000_000
#: what the second process hands over at once, in bytes, where no columns are made of it
_FEW_AT_ONCE = 64 * 1024

_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"


def table_size() -> int:
    """How many flows this network namespace has; 0, as of a small table, where that is not told."""
    try:
        with open(_COUNT, "rb", buffering=0) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def entries(
    transport: Transport, request: Request, size: int, *, columns: bool = False
) -> Iterator[Batch]:
    """What a dump of a table of `size` entries answers; its request is on its way already.

    `columns`: the caller wants much at once.
    """
    conversation = dump(request, "listing", on_interrupt="accept")
    if size < SOME:
        return started(Beside(transport), conversation)
    from ..ring import CHUNK, received

    return received(conversation, CHUNK if columns else _FEW_AT_ONCE)
