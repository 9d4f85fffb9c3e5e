"""The base of the blocking and the asyncio client: a namespace, its sockets, dumps and events.

Each running conversation has a socket of its own; the socket is reused if the conversation came
to its end, and closed if not.  So a dump may be left half read, and verbs may be called while one
runs.
"""

from __future__ import annotations

from ..ctnetlink.convert import family_number
from ..ctnetlink.predicates import In
from ..errors import ConntrackError, RequestError
from ..escape import shown
from ..filters import node_of
from ..netlink.netns import Held
from ..netlink.socket import Transport
from . import operations
from .listener import Listener
from .resync import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from typing import Any, ClassVar, TypeVar

    from ..ctnetlink.predicates import Node
    from ..filters import Filter
    from .operations import Listing

    L = TypeVar("L", bound=Listener)


class Client:
    """A network namespace and its sockets, made by ``transport`` with the arguments ``_how``."""

    __slots__ = ("_closed", "_held", "_idle", "_open")
    _how: ClassVar[dict[str, bool]] = {}
    #: run a conversation; delete the flows that match.  The asyncio client's return awaitables
    _call: Callable[..., Any]
    _delete: Callable[[Node], Any]

    def __init__(
        self,
        netns: str | int | os.PathLike[str] | None = None,
        *,
        transport: Callable[..., Any] | None = None,
    ) -> None:
        self._held = Held(netns)
        self._open: Callable[..., Any] = transport or Transport
        self._closed = False
        self._idle: list[Any] = []
        try:
            self._idle.append(self._take())
        except BaseException:
            self._held.close()
            raise

    def _release(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self._held.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ConntrackError(f"this {type(self).__name__} is closed")

    def _take(self) -> Any:
        self._check_open()
        return self._idle.pop() if self._idle else self._open(self._held.path, **self._how)

    def _link(self) -> _Loan:
        return _Loan(self, self._take())

    def _flush(self, family: int | str) -> Any:
        """Empty the table, or delete the flows of ``family`` one by one; return what the client's
        way to run it returns.

        The kernel's flush of one family is not used: a kernel before 5.2 empties the whole table.
        Raises RequestError for the family of a flow that has none, None or 0.
        """
        if family == "all":
            return self._call(operations.flush())
        number = family_number(family)
        if not number:
            raise RequestError(
                f'family: "ipv4" or "ipv6" is wanted, not {shown(family)}; '
                "flush() without it empties the table"
            )
        return self._delete(In("family", (number, number)))

    def _listen(
        self, cls: type[L], groups: str | Iterable[str], filter: Filter | None, resync: bool,
        rcvbuf: int, max_rcvbuf: int,
    ) -> L:  # fmt: skip
        plan = Plan(groups, node_of(filter), resync, rcvbuf, max_rcvbuf)
        self._check_open()
        return cls(
            lambda **how: self._open(self._held.path, **how), plan.groups, plan.follow(),
            plan.rcvbuf, node=plan.spared, dumps=plan.resync,
        )  # fmt: skip


class _Loan:
    """A socket lent to one conversation, and closed if that fails or is given up."""

    __slots__ = ("_client", "_transport")

    def __init__(self, client: Client, transport: Any) -> None:
        self._client, self._transport = client, transport

    def __enter__(self) -> Any:
        return self._transport

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None or self._client._closed:
            self._transport.close()
        else:
            self._client._idle.append(self._transport)


class Rows:
    """The entries of a dump; the base of the blocking and the asynchronous iterator."""

    __slots__ = ("_listing", "_rows")

    def __init__(self, rows: Any, listing: Listing) -> None:
        self._rows, self._listing = rows, listing

    @property
    def interrupted(self) -> bool:
        """Return whether the kernel reported an interruption (NLM_F_DUMP_INTR)."""
        return self._listing.interrupted
