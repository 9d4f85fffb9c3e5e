"""``load`` as a conversation: create many flows, hundreds to a send, and report each refusal."""

from __future__ import annotations

from itertools import islice

from ..ctnetlink import restore_rules
from ..ctnetlink.restoration import Restoration
from ..errors import KernelError, RequestError, check_word
from ..escape import shown
from ..model import Flow
from ..netlink import conversation
from ..netlink.constants import NLM_F_APPEND
from . import entry_requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ..ctnetlink.requests import Request
    from ..netlink.conversation import Conversation, Stream


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
    if not hasattr(flows, "__iter__"):
        raise RequestError(f"flows: an iterable of Flow is wanted, not {shown(flows)}")
    flags = NLM_F_APPEND if existing == "update" else 0
    if isinstance(flows, (list, tuple)):
        for number, flow in enumerate(flows):
            _load_values(number, flow)
    source = iter(flows)
    restoration = Restoration()
    first = conversation.sequence() & 0x3FFFFFFF
    end = first
    given: dict[int, Flow] = {}  # of this round, and those that wait for their masters
    translated: dict[int, Mapping[str, Any]] = {}  # what their creations request
    while True:
        parts = []
        for flow in islice(source, conversation.BATCH_MESSAGES):
            values = _load_values(end - first, flow)
            parts.append(entry_requests.creation(flow, values).message(end, flags))
            given[end] = flow
            if restore_rules.translates(values):
                translated[end] = values
            end += 1
        failures = []
        for data, last, _ in conversation.sends(parts):
            failures += yield from restoration.send(data, last)
        if not parts:
            failures = yield from restoration.finish()
        waiting = {number for number, _ in restoration.waiting}
        for failure in failures:
            translated.pop(failure.index, None)
            flow = given[failure.index]
            yield LoadError(failure.index - first, flow, failure.error("creating a flow", flow))
        made = [number for number in translated if number not in waiting]
        for number, error in (yield from _otherwise(made, translated, given, existing)):
            yield LoadError(number - first, given[number], error)
        if not parts:
            break
        given = {number: given[number] for number in waiting}
        translated = {number: translated[number] for number in waiting & translated.keys()}
    if restoration.orphans:
        from warnings import warn

        warn(f"{restoration.orphans} flows were created without the master that they name: "
             "it does not exist", stacklevel=2)  # fmt: skip


def _otherwise(
    numbers: list[int], requested: Mapping[int, Mapping[str, Any]], flows: Mapping[int, Flow],
    existing: str,
) -> Conversation[list[tuple[int, KernelError]]]:  # fmt: skip
    """Return (number, error) of each of ``numbers`` that the kernel did not translate as requested.

    With ``existing`` "error" they were created here, and are deleted again.
    """
    if not numbers:
        return []
    lookups = [entry_requests.lookup(flows[number].replace(id=None)) for number in numbers]
    _, answers = yield from conversation.batch(lookups, conversation.BATCH_ANSWERED)
    wrong: list[tuple[int, KernelError]] = []
    made: list[Request] = []
    for index, message in answers:
        number = numbers[index]
        error = entry_requests.translation_error(requested[number], message, flows[number])
        if error is not None:
            wrong.append((number, error))
            made.append(entry_requests.deletion(Flow.from_message(message)))
    if existing == "error":
        yield from conversation.batch(made)
    return wrong


def _load_values(number: int, flow: Flow) -> dict[str, Any]:
    try:
        return entry_requests.creation_values(flow)
    except RequestError as error:
        raise RequestError(f"flow {number}: {error}") from None
