"""Dump a table by the method that pays for its size and use."""

from __future__ import annotations

from ..columnar.availability import available
from ..ctnetlink import requests as ask
from ..netlink.conversation import dump, gather
from ..netlink.driver import Receiver, started
from ..netlink.socket import Transport
from ..thresholds import (
    CHANGE,
    CHANGED_BYTES,
    FEW_CHANGED,
    FEW_LISTED,
    HIDDEN,
    MANY,
    MANY_BYTES,
    MANY_CHANGED,
    SMALL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..ctnetlink.predicates import Node
    from ..ctnetlink.pushdown import PushDown
    from ..ctnetlink.requests import Request
    from ..netlink.conversation import Batch
    from ..thresholds import Use
    from .main import Runner
    from .parser import Command


_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"


def table_size() -> int:
    """Return the number of flows in this network namespace, or 0 if it cannot be read."""
    try:
        with open(_COUNT, "rb", buffering=0) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def dumps(
    runner: Runner, command: Command, node: Node | None, use: Use
) -> Iterator[tuple[Entries, int]]:
    """Yield the dumps that together hold all entries that meet ``node``.

    Each is (its windows, the bytes above which columns pay); its request is already sent when it
    is yielded.
    """
    if use is CHANGE:
        few, least, worth = FEW_CHANGED, MANY_CHANGED, CHANGED_BYTES
    else:
        few, least, worth = FEW_LISTED, MANY, MANY_BYTES
    wanted = plan(runner, command, node)
    early, runner.early = runner.early, None
    if wanted.early and early is not None:
        yield early, worth
        return
    zero, size = "zero" in command.opts, wanted.size
    filters: list[PushDown | None] = [*wanted.dumps]
    for down in filters or [None]:
        family = down.family if down else 0
        payload = down.payload if down else b""
        request = ask.dump(command.table, family, payload, zero=zero)
        # the kernel ignores the id in an update, so its entries must be fresh: columns at once
        many = size >= least and (not payload or command.verb == "update")
        if many and use is CHANGE:
            _columns()  # before the first entry is seen, which must not become stale
        known = 0 if payload or family else size
        entries = Entries(request, use if many or size >= MANY else few, known)
        if size >= HIDDEN and use is CHANGE:
            many = _columns()
        yield entries, 0 if many else worth


def _columns() -> bool:
    """Import the modules for columns; return whether they can be used."""
    if not available():
        return False
    from ..columnar import selection  # noqa: F401

    return True


class Plan:
    """The dumps that a command requests.

    ``dumps``: their filters, none for the whole table; ``reason``: why they are not narrowed, or
    why there are several; ``early``: whether the request for the whole table has already been sent;
    ``size``: of the table, 0 where it does not matter.
    """

    __slots__ = ("dumps", "early", "reason", "size")

    def __init__(
        self, dumps: list[PushDown], reason: str = "", size: int = 0, *, early: bool = False
    ) -> None:
        self.dumps, self.reason, self.size, self.early = dumps, reason, size, early


def plan(runner: Runner, command: Command, node: Node | None) -> Plan:
    """Return the dumps that together hold all entries that meet ``node``."""
    if command.table != "conntrack":
        return _of_family(command, "the kernel has no other filter for this table")
    if "zero" in command.opts:  # clears what it returns, so the request must not be narrowed
        return _of_family(command, "with -z it resets the counters of all that it returns")
    if runner.early is not None:
        reason = f"fewer than {SMALL} entries, asked for before the command line is read"
        return Plan([], reason, early=True)
    size = table_size()
    if node is None:
        return Plan([], size=size)  # without an import
    from ..ctnetlink.pushdown import push_down, push_downs

    # a second dump costs a walk through the kernel's hash table: it does not pay for a small one
    if size < MANY:
        return Plan([push_down(node)], size=size)
    dumps = push_downs(node)
    several = f"two dumps, as it has {MANY} entries or more" if len(dumps) > 1 else ""
    return Plan(dumps, several, size)


def _of_family(command: Command, reason: str) -> Plan:
    """Return the plan of a table that is read whole, or all of the command's family."""
    if not command.family:
        return Plan([], reason)
    from ..ctnetlink.predicates import equals
    from ..ctnetlink.pushdown import push_down

    return Plan([push_down(equals("family", command.family))], reason)


class Entries:
    """The answer to a dump in windows; the constructor sends the request.

    It has its own socket, so that an unfinished dump disturbs no other.  ``size``: about how many
    entries come, 0 if it is not known.
    """

    __slots__ = ("_parts", "_receiver", "_transport", "size")

    def __init__(self, request: Request, use: Use, size: int = 0) -> None:
        self.size = size
        self._transport = Transport()
        self._receiver = Receiver(self._transport, use.ahead)
        conversation = dump(request, "listing", on_interrupt="accept")
        self._parts = gather(started(self._receiver, conversation), use.window)

    def __iter__(self) -> Iterator[Batch]:
        try:
            yield from self._parts
        finally:
            self.close()

    def close(self) -> None:
        """End the dump; a second call is no error."""
        self._receiver.close()
        self._transport.close()
