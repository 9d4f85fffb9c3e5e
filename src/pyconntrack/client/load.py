"""``load`` as a conversation: create many flows, hundreds to a send, and report each refusal."""

from __future__ import annotations

from itertools import islice

from ..ctnetlink.restoration import Restoration
from ..errors import KernelError, RequestError, check_word, kernel_error
from ..netlink import conversation
from ..netlink.constants import NLM_F_APPEND
from . import entry_requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from ..ctnetlink.requests import Request
    from ..model import Flow
    from ..netlink.conversation import Stream

    Existing = Literal["error", "update"]


class LoadError:
    """A flow of ``load`` that was refused: its ``index``, the ``flow``, and the ``error``."""

    __slots__ = ("_error", "_flow", "_index")

    def __init__(self, index: int, flow: Flow, error: KernelError) -> None:
        self._index, self._flow, self._error = index, flow, error

    @property
    def index(self) -> int:
        """Return the index of the flow, counted from 0."""
        return self._index

    @property
    def flow(self) -> Flow:
        """Return the refused flow."""
        return self._flow

    @property
    def error(self) -> KernelError:
        """Return the kernel's error."""
        return self._error

    def __repr__(self) -> str:
        return f"LoadError({self._index}, {self._error})"


def load(flows: Iterable[Flow], existing: str) -> Stream[LoadError, None]:
    """Create many flows; emit a :class:`LoadError` for each refused one.

    A list or tuple is checked as a whole before anything is sent; any other iterable is read and
    checked a round at a time, so it may exceed memory.  ``existing``: a flow that exists is a
    LoadError ("error") or is changed where it differs ("update").  Issues a UserWarning with the
    number of flows that were created without the master that they name.
    """
    check_word("existing", existing, ("error", "update"))
    flags = NLM_F_APPEND if existing == "update" else 0
    if isinstance(flows, (list, tuple)):
        for number, flow in enumerate(flows):
            _load_request(number, flow)
    source = iter(flows)
    restoration = Restoration()
    first = conversation.sequence() & 0x3FFFFFFF
    end = first
    given: dict[int, Flow] = {}  # of this round, and those that wait for their masters
    while True:
        parts = []
        for flow in islice(source, conversation.BATCH_MESSAGES):
            wanted = _load_request(end - first, flow)
            parts.append(wanted.message(end, flags))
            given[end] = flow
            end += 1
        failures = []
        for data, last, _ in conversation.sends(parts):
            failures += yield from restoration.send(data, last)
        if not parts:
            failures = yield from restoration.finish()
        for failure in failures:
            flow = given[failure.index]
            error = kernel_error(failure.errno, "creating a flow", failure.ext_ack, flow)
            yield LoadError(failure.index - first, flow, error)
        if not parts:
            break
        given = {number: given[number] for number, _ in restoration.waiting}
    if restoration.orphans:
        from warnings import warn

        warn(f"{restoration.orphans} flows were created without the master that they name: "
             "it does not exist", stacklevel=2)  # fmt: skip


def _load_request(number: int, flow: Flow) -> Request:
    try:
        return entry_requests.creation(flow)
    except RequestError as error:
        raise RequestError(f"flow {number}: {error}") from None
