"""The errors that pyconntrack raises, by cause."""

from __future__ import annotations

import errno as _errno

from .escape import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import Expect, Flow

#: advice where a limit of the kernel is reached: the first two concern a new flow, the third a new
#: expectation
TABLE_FULL = "the table is full: raise net.netfilter.nf_conntrack_max (or memory ran out)"
CHAIN_TOO_LONG = "the hash chain is too long: raise net.netfilter.nf_conntrack_buckets"
EXPECTATIONS_FULL = (
    "the expectation table is full: raise net.netfilter.nf_conntrack_expect_max"
    " (or the master's helper allows no more)"
)
_CREATING = {_errno.ENOMEM: TABLE_FULL, _errno.ENOSPC: CHAIN_TOO_LONG}
#: the meaning of each errno of ctnetlink
_WORDS = {
    _errno.EPERM: "no permission: needs CAP_NET_ADMIN; try sudo",
    _errno.EACCES: "no permission: needs CAP_NET_ADMIN; try sudo",
    _errno.ENOENT: "no such entry",
    _errno.EEXIST: "such an entry exists already",
    _errno.EMFILE: EXPECTATIONS_FULL,
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


class KernelError(ConntrackError, OSError):
    """The kernel refused a request.

    ``errno``: the error number; ``operation``: what was requested; ``ext_ack``: the text of the
    extended acknowledgement ("" if there is none); ``flow``: the entry concerned, or None.
    """

    errno: int  # OSError may lack it; a KernelError always has it
    operation: str
    ext_ack: str
    flow: Flow | Expect | None

    def __init__(
        self,
        errno: int,
        operation: str,
        ext_ack: str = "",
        flow: Flow | Expect | None = None,
    ) -> None:
        from os import strerror

        creating = operation == "creating a flow" and _CREATING.get(errno)
        words = creating or _WORDS.get(errno) or strerror(errno)
        text = f"{operation}: {words} ({_errno.errorcode.get(errno, errno)})"
        if ext_ack:
            text += f": {printable(ext_ack)}"
        OSError.__init__(self, errno, text)
        self.operation = operation
        self.ext_ack = ext_ack
        self.flow = flow

    def __str__(self) -> str:
        text = str(self.args[1])
        return f"{text} [{self.flow}]" if self.flow is not None else text


class PermissionDeniedError(KernelError, PermissionError):
    """The process lacks CAP_NET_ADMIN in the network namespace's user namespace."""


class NotSupportedError(KernelError):
    """The running kernel lacks ctnetlink, or the part of it that was asked for."""


def kernel_error(
    errno: int, operation: str, ext_ack: str = "", flow: Flow | Expect | None = None
) -> KernelError:
    """Return the :class:`KernelError` of the subclass that fits ``errno``."""
    if errno in (_errno.EPERM, _errno.EACCES):
        return PermissionDeniedError(errno, operation, ext_ack, flow)
    if errno in (_errno.EOPNOTSUPP, _errno.EPROTONOSUPPORT):
        return NotSupportedError(errno, operation, ext_ack, flow)
    return KernelError(errno, operation, ext_ack, flow)


def check_word(name: str, value: object, words: tuple[str, ...]) -> None:
    """Raise :class:`RequestError` if the argument ``name`` has a value outside ``words``."""
    if value not in words:
        raise RequestError(f"{name}: {value!r} is none of {', '.join(words)}")
