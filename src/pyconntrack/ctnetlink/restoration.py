"""Create many entries: renew those that exist, and create children after their masters.

A conversation as in :mod:`pyconntrack.netlink.conversation`.  The errors of a creation decide what
comes next:

* EEXIST, if the request may renew (``requests.add``): the entry is read, and an update sent of what
  differs and can be changed (:func:`.restore_rules.renewal`).
* ENOENT of an entry with a master: it waits until the others exist.
"""

from __future__ import annotations

import sys
from errno import EEXIST, ENOENT, ENOSPC

from ..netlink import conversation
from ..netlink.constants import (
    NLM_F_ACK,
    NLM_F_APPEND,
)
from ..netlink.conversation import Failure
from ..netlink.messages import split
from . import requests
from .constants import (
    IPCTNL_MSG_CT_GET,
    IPCTNL_MSG_CT_NEW,
    ct_msg,
)
from .encode import encode
from .field_names import TUPLE_NAMES
from .layout import ATTRS, attribute_at, find
from .requests import Request
from .restore_rules import renewal
from .schema import CONNTRACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..netlink.conversation import Conversation

_GET, _NEW = ct_msg(IPCTNL_MSG_CT_GET), ct_msg(IPCTNL_MSG_CT_NEW)
_MASTER = "CTA_TUPLE_MASTER"
_IDENTITY = tuple(f"orig_{name}" for name in TUPLE_NAMES if name != "zone")


class Restoration:
    """A load in progress.

    ``waiting``: (number, message) of each entry whose master does not exist yet; ``orphans``: the
    number of entries created without the master that they name.
    """

    __slots__ = ("orphans", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, bytes]] = []
        self.orphans: int = 0

    def send(self, data: bytes, last: int, base: int = 0) -> Conversation[list[Failure]]:
        """Send ready messages; return a Failure for each refused one.

        The message with sequence number ``last`` asks for an acknowledgement.  The ``index`` of a
        :class:`~pyconntrack.netlink.conversation.Failure` is ``base`` + the sequence number.
        """
        refused = yield from conversation.sent(data, last)
        if not refused:
            return refused
        messages = {number: data[pos : pos + length] for pos, length, _, _, number in split(data)}
        for one in refused:
            one.attribute = attribute_at(messages[one.index], one.offset)
        return (yield from self._settle(
            [(base + one.index, messages[one.index], one) for one in refused]
        ))  # fmt: skip

    def retry(self) -> Conversation[list[Failure]]:
        """Send what waits for its master again, as long as that creates entries; return the
        failures."""
        failures: list[Failure] = []
        before = 0
        while self.waiting and len(self.waiting) != before:
            waiting, self.waiting = self.waiting, []
            before = len(waiting)
            failures += yield from self._again(waiting)
        return failures

    def finish(self) -> Conversation[list[Failure]]:
        """Send what waits for its master, and at last without the master; return the failures."""
        failures = yield from self.retry()
        while self.waiting:
            orphans = [(number, _without_master(message)) for number, message in self.waiting]
            self.waiting = []
            refused = yield from self._again(orphans)
            self.orphans += len(orphans) - len(refused)
            failures += refused
        return failures

    def _again(self, messages: list[tuple[int, bytes]]) -> Conversation[list[Failure]]:
        refused, _ = yield from conversation.batch([_request(message) for _, message in messages])
        return (yield from self._settle([(*messages[one.index], one) for one in refused]))

    def _settle(
        self, refused: list[tuple[int, bytes, Failure]]
    ) -> Conversation[list[Failure]]:  # fmt: skip
        failures: list[Failure] = []
        standing: list[tuple[int, bytes]] = []
        for number, message, failure in refused:
            flags = int.from_bytes(message[6:8], sys.byteorder)
            if failure.errno == EEXIST and flags & NLM_F_APPEND:
                standing.append((number, message))
            elif failure.errno == ENOENT and _MASTER in find(message).spans:
                self.waiting.append((number, message))
            else:
                failures.append(failure.of(number))
        if standing:
            failures += yield from _renew(standing)
        return failures


def _renew(messages: list[tuple[int, bytes]]) -> Conversation[list[Failure]]:
    """Change existing entries to what ``messages`` would have created; return failures."""
    wanted = [find(message) for _, message in messages]
    _, answers = yield from conversation.batch(
        [requests.about_entry(_GET, layout, message)
         for layout, (_, message) in zip(wanted, messages, strict=True)],
        conversation.BATCH_ANSWERED,
    )  # fmt: skip
    entries = dict(answers)
    numbers: list[int] = []
    updates: list[Request] = []
    failures: list[Failure] = []
    for index, (number, message) in enumerate(messages):
        entry = entries.get(index, message)
        layout = find(entry)
        values, standing = wanted[index].values(message), layout.values(entry)
        if index not in entries or any(
            name in standing and values[name] != standing[name]
            for name in _IDENTITY
            if name in values
        ):
            # an entry with this reply direction, or with the two directions exchanged
            failures.append(Failure(number, EEXIST))
            continue
        changes = renewal(values, standing)
        # separately: an entry from before the first rule with labels has no room for them
        labels = {"labels": changes.pop("labels")} if "labels" in changes else {}
        for part in (changes, labels):
            if part:
                payload = encode(CONNTRACK, part, layout.family)
                updates.append(requests.about_entry(_NEW, layout, entry, payload))
                numbers.append(number)
    refused, _ = yield from conversation.batch(updates)
    failures += [one.of(numbers[one.index]) for one in refused if one.errno != ENOSPC]
    return failures


def _request(message: bytes) -> Request:
    kind = int.from_bytes(message[4:6], sys.byteorder)
    flags = int.from_bytes(message[6:8], sys.byteorder) & ~NLM_F_ACK
    return Request(kind, flags, message[16], message[ATTRS:])


def _without_master(message: bytes) -> bytes:
    start, end = find(message).spans[_MASTER]
    rest = message[4:start] + message[end:]
    return (len(rest) + 4).to_bytes(4, sys.byteorder) + rest
