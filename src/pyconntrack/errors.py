"""The errors that pyconntrack raises, by cause."""

from __future__ import annotations

import errno as _errno

from .escape import meant, printable, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .model import Expect, Flow

#: advice where a limit of the kernel is reached: the first two concern a new flow, the third a new
#: expectation
TABLE_FULL = "the table is full: raise net.netfilter.nf_conntrack_max (or memory ran out)"
CHAIN_TOO_LONG = "the hash chain is too long: raise net.netfilter.nf_conntrack_buckets"
EXPECTATIONS_FULL = (
    "the expectation table is full: raise net.netfilter.nf_conntrack_expect_max"
    " (or the master's helper allows no more)"
)
#: (operation, errno) -> its meaning there: a table is full
_FULL = {
    ("creating a flow", _errno.ENOMEM): TABLE_FULL,
    ("creating a flow", _errno.ENOSPC): CHAIN_TOO_LONG,
    ("creating an expectation", _errno.ENOMEM): "memory ran out",
    ("creating an expectation", _errno.EMFILE): EXPECTATIONS_FULL,
}
_OF_OPERATION = {
    **_FULL,
    ("creating a flow", _errno.ENOENT): "the master that it names does not exist",
    ("creating an expectation", _errno.ENOENT): "the master that it names does not exist",
}
#: errno -> its meaning in any other answer of ctnetlink
_WORDS = {
    _errno.EPERM: "no permission: needs CAP_NET_ADMIN; try sudo",
    _errno.EACCES: "no permission: needs CAP_NET_ADMIN; try sudo",
    _errno.ENOENT: "it does not exist",
    _errno.EEXIST: "such an entry exists already",
    _errno.EINVAL: "the kernel took it for invalid",
    _errno.EOPNOTSUPP: "the kernel does not support this",
    _errno.EPROTONOSUPPORT: "the kernel has no ctnetlink, or not this protocol",
    _errno.EBUSY: "the entry is in use",
    _errno.ETIME: "the entry has just expired",
    _errno.ERANGE: "a value is out of range",
    _errno.ENOSPC: "no room in the entry (labels need a rule that uses them: ct label, connlabel)",
}


class ConntrackError(Exception):
    """The base of all errors of this package."""


class RequestError(ConntrackError, ValueError):
    """The caller asked for something impossible; nothing was sent."""


class DecodeError(ConntrackError):
    """A message of the kernel is malformed."""


class DumpInterruptedError(ConntrackError):
    """The table changed while it was read (``NLM_F_DUMP_INTR``): entries may be missing."""


class EventsLost(ConntrackError):
    """The kernel dropped ``count`` events because they were not read in time.

    ``count``: None if the kernel does not report the number.  ``exact``: False if the filter may
    have rejected some of them; ``count`` is then an upper bound.
    """

    def __init__(self, count: int | None = None, *, exact: bool = True) -> None:
        self.count = count
        self.exact = exact
        if count is None:
            words = "an unknown number of events were lost: the kernel had no memory for them"
        else:
            most = "" if exact else "at most "
            words = f"{most}{count} events were lost: the receive buffer was full"
        super().__init__(words)

    def __reduce__(self) -> tuple[Any, ...]:
        return _events_lost, (self.count, self.exact)


def _events_lost(count: int | None, exact: bool) -> EventsLost:
    return EventsLost(count, exact=exact)


class KernelError(ConntrackError, OSError):
    """The kernel refused a request.

    ``errno``: the error number; ``operation``: what was requested; ``ext_ack``: the text of the
    extended acknowledgement ("" if there is none); ``flow``: the entry concerned, or None;
    ``attribute``: the refused attribute, by the name of its field (``"labels"``) or, if it holds
    several, by its kernel name; None if the kernel does not report it, as it does for outermost
    attributes of the wrong size or range only.
    """

    errno: int  # OSError may lack it; a KernelError always has it
    operation: str
    ext_ack: str
    flow: Flow | Expect | None
    attribute: str | None

    def __init__(
        self,
        errno: int,
        operation: str,
        ext_ack: str = "",
        flow: Flow | Expect | None = None,
        attribute: str | None = None,
    ) -> None:
        from os import strerror

        words = _OF_OPERATION.get((operation, errno)) or _WORDS.get(errno) or strerror(errno)
        text = f"{operation}: {words} ({_errno.errorcode.get(errno, errno)})"
        if said := reason(ext_ack, attribute):
            text += f": {printable(said)}"
        OSError.__init__(self, errno, text)
        self.operation = operation
        self.ext_ack = ext_ack
        self.flow = flow
        self.attribute = attribute

    @property
    def reason(self) -> str:
        """Return what the extended acknowledgement says, with the attribute; "" if nothing."""
        return reason(self.ext_ack, self.attribute)

    def __str__(self) -> str:
        text = str(self.args[1])
        return f"{text} [{self.flow}]" if self.flow is not None else text

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self.errno, self.operation, self.ext_ack, self.flow, self.attribute)
        return type(self), given


class PermissionDeniedError(KernelError, PermissionError):
    """The process lacks CAP_NET_ADMIN in the network namespace's user namespace."""


class NotSupportedError(KernelError):
    """The running kernel lacks ctnetlink, or the part of it that was asked for."""


class NotFoundError(KernelError):
    """There is no such entry, no such master of a new one, or no such namespace (ENOENT)."""


class ExistsError(KernelError):
    """An entry exists already that has the tuple of one direction of the new one (EEXIST)."""


class TableFullError(KernelError):
    """There is no room for another entry.

    For a flow: ``nf_conntrack_max`` is reached (ENOMEM), or a chain of the hash table is too long
    (ENOSPC, ``nf_conntrack_buckets``); for an expectation: ``nf_conntrack_expect_max`` or what the
    master's helper allows is reached (EMFILE).  ENOMEM may also be a lack of memory.
    """


_CLASSES: dict[int, type[KernelError]] = {
    _errno.EPERM: PermissionDeniedError,
    _errno.EACCES: PermissionDeniedError,
    _errno.EOPNOTSUPP: NotSupportedError,
    _errno.EPROTONOSUPPORT: NotSupportedError,
    _errno.ENOENT: NotFoundError,
    _errno.EEXIST: ExistsError,
}


def kernel_error(
    errno: int,
    operation: str,
    ext_ack: str = "",
    flow: Flow | Expect | None = None,
    attribute: str | None = None,
) -> KernelError:
    """Return the error of a refused request, of the subclass that fits ``errno``."""
    full = (operation, errno) in _FULL
    cls = TableFullError if full else _CLASSES.get(errno, KernelError)
    return cls(errno, operation, ext_ack, flow, attribute)


def reason(ext_ack: str, attribute: str | None) -> str:
    """Return what an extended acknowledgement says, "" if it says nothing."""
    about = f"attribute {attribute}" if attribute else ""
    return f"{ext_ack} ({about})" if ext_ack and about else ext_ack or about


def check_word(name: str, value: object, words: tuple[str, ...]) -> None:
    """Raise :class:`RequestError` if the argument ``name`` has a value outside ``words``."""
    if value not in words:
        raise none_of(name, value, words)


def check_flag(name: str, value: object) -> None:
    """Raise :class:`RequestError` if the argument ``name`` is neither True nor False."""
    if not isinstance(value, bool):
        raise RequestError(f"{name}: True or False is wanted, not {shown(value)}")


def check_object(data: object, where: str = "") -> None:
    """Raise :class:`RequestError` if ``data`` is no JSON object, which a dict is."""
    if not isinstance(data, dict):
        raise RequestError(f"{where}an object is wanted, not {shown(data)}")


def check_seconds(name: str, value: object) -> None:
    """Raise :class:`RequestError` if the argument ``name`` is neither None nor a number >= 0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and value >= 0):  # type: ignore[operator]
        raise RequestError(f"{name}: seconds or None are wanted, not {shown(value)}")


def none_of(name: str, value: object, words: Iterable[str]) -> RequestError:
    """Return the error of the argument ``name``, whose ``value`` is none of ``words``."""
    known = [*words]
    hint = meant(value, known) if isinstance(value, str) else ""
    return RequestError(f"{name}: {shown(value)} is none of {', '.join(known)}{hint}")


def no_such(what: str, name: object, known: Iterable[str]) -> RequestError:
    """Return the error of an unknown ``name`` of a ``what`` ("field"), one of ``known``."""
    text = str(name)
    return RequestError(f"no such {what}: {text[:60]}{meant(text, known)}")
