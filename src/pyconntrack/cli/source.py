"""How the entries of a table come from the kernel: the way that pays for its size.

Owns the sizes from which a way pays, measured on tables of 300 to 100,000 entries, and the choice:
a small table is asked for while other modules are imported, a larger one is received by a second
process (:mod:`pyconntrack.ring`), of a very large one the kernel is asked for each family in turn
where that narrows.
"""

from __future__ import annotations

from .. import request as ask
from ..driver import Beside, started
from ..session import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..filter import Node, PushDown
    from ..request import Request
    from ..session import Batch
    from ..transport import Transport
    from .parse import Command
    from .run import Runner

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


def dumps(
    runner: Runner, command: Command, node: Node | None
) -> Iterator[tuple[Iterator[Batch], bool]]:
    """The dumps that together hold all that `node` says yes to.

    Yields (parts, whether they are worth columns from the first on).  The request of each is on
    its way when it is yielded.
    """
    flows = command.table == "conntrack"
    zero = "zero" in command.opts  # clears what it shows, and so must not be asked for less
    early, runner.early = runner.early, None
    if flows and not zero and early is not None:
        yield early.parts, False
        return
    size = table_size() if flows and not zero else 0
    for down in _narrowed(node if flows and not zero else None, size):
        family = down.family if down else 0
        payload = down.payload if down else b""
        request = ask.dump(command.table, family or command.family, payload, zero=zero)
        columns = size >= MANY and not payload
        yield entries(runner.transport, request, size, columns=columns), columns


def _narrowed(node: Node | None, size: int) -> list[PushDown] | list[None]:
    if node is None:
        return [None]  # and nothing to import for it
    from ..filter import push_down, push_downs

    # a second dump costs a walk through the kernel's hash table: not for a small one
    return push_downs(node) if size >= MANY else [push_down(node)]


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
