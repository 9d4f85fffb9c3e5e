"""-U: change all flows that match, and show the result."""

from __future__ import annotations

import errno

from ...ctnetlink import constants as c
from ...ctnetlink import requests as ask
from ...ctnetlink.encode import encode
from ...ctnetlink.moulds import make
from ...ctnetlink.schema import CONNTRACK
from ...netlink.conversation import BATCH_ANSWERED, batch
from ...netlink.driver import call
from ...thresholds import GETS, LISTING
from ..attributes import changes
from ..change import Change
from ..console import complain
from ..selection import Document, Messages, of_messages, select, writer_of
from ..source import Entries, table_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...columnar.selection import Columns, Keys
    from ...ctnetlink.layout import Layout
    from ..main import Runner
    from ..parser import Command
    from ..selection import Selection

    Item = tuple[Layout, bytes]

#: fields that an update changes, by option, each with those that must accompany them
_FIELDS = {
    "timeout": ("timeout",), "mark": ("mark",), "tcp_state": ("tcp_state",),
    "sctp_state": ("sctp_state", "sctp_vtag_orig", "sctp_vtag_reply"),
    "dccp_state": ("dccp_state", "dccp_role", "dccp_handshake_seq"),
    "label_add": ("labels",), "label_del": ("labels",),
}  # fmt: skip


def update(runner: Runner, command: Command) -> int:
    """Run -U: change all flows that match, and show them as they are afterwards."""
    change = Change(runner, command)
    document = Document(runner.out, writer_of(command))
    if "dry_run" in command.opts:
        for part in change.windows():
            document.add(_imagined(command, part))
        document.close()
        return change.finish(
            document.count, "flow entries would be updated (nothing was changed)")  # fmt: skip
    if "undo" in command.opts:
        from .. import undo

        names = {name for option in _FIELDS if option in command.opts for name in _FIELDS[option]}
        change.undo = undo.WayBack(str(command.opts["undo"]), undo.updated(names))
    shown = _Shown(change, document)
    kind = c.ct_msg(c.IPCTNL_MSG_CT_NEW)
    unkept = 0
    for part in change.windows():
        concerned, kept, tails = _planned(command, part)
        unkept += concerned.count - kept.count
        if not change.keep(kept):
            break
        # an entry created before any rule used labels has no space for them
        failures = call(change.transport, concerned.requests(kind, tails))
        shown.add(change.done(concerned, failures, (errno.ENOSPC,)))
    shown.close()
    document.close()
    if change.undo is not None and "status" in command.opts:
        complain("WARNING: the kernel does not clear status bits, so --undo does not hold them"
                 + (f"; {unkept} entries have no line in it" if unkept else ""))  # fmt: skip
    if change.stop is not None:
        unshown = shown.changed - document.count
        return change.finish(
            shown.changed, f"flow entries have been updated ({unshown:,} of them are not shown)"
            if unshown > 0 else "flow entries have been updated")  # fmt: skip
    return change.finish(document.count, "flow entries have been updated")


def _planned(command: Command, chosen: Selection) -> tuple[Any, Selection, Any]:
    """Return the entries that an update changes, those of them with values that an undo can
    restore, and the attributes of the new values as ``requests()`` takes them."""
    if not isinstance(chosen, Messages):
        from ...columnar.selection import Update

        if Update.simple(command.opts):
            new = Update(command.opts)
            concerned = chosen.where(new.differs)
            returned = concerned.where(new.returns) if "undo" in command.opts else concerned
            return concerned, returned, new.tails
    rows, kept, tails = [], [], []
    encoded: dict[Any, bytes] = {}  # mostly all entries get the same change
    for row in _as_messages(chosen).rows:
        layout, message, _ = row
        values = changes(command, layout, message)
        if not values:
            continue
        key = (layout.family, *values.items())
        if key not in encoded:
            encoded[key] = encode(CONNTRACK, values, layout.family)
        rows.append(row)
        tails.append(encoded[key])
        if values.keys() - {"status"}:
            kept.append(row)
    return Messages(rows), Messages(kept), tails


def _as_messages(chosen: Selection) -> Messages:
    if isinstance(chosen, Messages):
        return chosen
    items = chosen.items()
    return Messages([(layout, message, layout.unpack(message)) for layout, message in items])


def _imagined(command: Command, chosen: Selection) -> Messages:
    """Return the entries as an update would leave them, to be printed."""
    rows = []
    for layout, message, raw in _as_messages(chosen).rows:
        new = changes(command, layout, message)
        if not new:
            continue
        if "labels_mask" in new:
            was = layout.values(message).get("labels", b"")
            new["labels"] = _relabelled(was, new["labels"], new.pop("labels_mask"))
        if all(name in layout.slots and value is not None for name, value in new.items()):
            row = layout, message, tuple(map(new.get, layout.names, raw))
        else:
            values = {**layout.values(message), **new}
            there = {name: value for name, value in values.items() if value is not None}
            message, layout = make(c.ct_msg(c.IPCTNL_MSG_CT_NEW), there, layout.family)
            row = layout, message, layout.unpack(message)
        rows.append(row)
    return Messages(rows)


def _relabelled(was: bytes, labels: bytes, mask: bytes) -> bytes | None:
    """Return the labels after an update, as the kernel computes them, or None if no bit is set."""
    old = was.ljust(len(labels), b"\0")
    left = bytes(a & ~m & 0xFF ^ b for a, b, m in zip(old, labels, mask, strict=True))
    return left if any(left) else None


class _Shown:
    """Show updated entries as they are now: requested one by one, or many by a second dump.

    ``changed``: how many were updated.
    """

    def __init__(self, change: Change, document: Document) -> None:
        self._change, self._document = change, document
        self._messages: list[Messages] = []
        self._columns: list[Columns] = []
        self._count = 0
        self._keys: Keys | None = None
        self.changed = 0

    def add(self, chosen: Selection) -> None:
        """Show these updated entries, later: the rest of the dump would become stale meanwhile."""
        self._count += chosen.count
        self.changed += chosen.count
        if not isinstance(chosen, Messages):
            self._columns.append(chosen)
            if self._count > GETS:
                self._remember()
            return
        self._messages.append(chosen)
        if self._count > 4 * GETS:  # messages get this many only without numpy
            self._get(self._messages)

    def close(self) -> None:
        """Show the remaining entries."""
        self._get(self._messages)
        if self._keys is None:
            self._get(self._columns)
            return
        if self._change.stop is not None:
            return  # a whole dump takes long
        self._remember()
        family = self._change.command.family
        again = Entries(ask.dump("conntrack", family), LISTING, 0 if family else table_size())
        progress = self._change.progress
        progress.stage("entries read again", again.size)
        for part in select(again, 0, None, None, progress):
            assert not isinstance(part, Messages)
            self._document.add(part.where(self._keys.has))

    def _get(self, waiting: list[Messages] | list[Columns]) -> None:
        kind = c.ct_msg(c.IPCTNL_MSG_CT_GET)
        for chosen in waiting:
            requests = [ask.about_entry(kind, *item) for item in chosen.items()]
            failures, answers = call(self._change.transport, batch(requests, BATCH_ANSWERED))
            self._change.done(Messages([]), [(0, bad) for bad in failures])
            self._document.add(of_messages([message for _, message in answers]))
        waiting.clear()
        self._count = 0

    def _remember(self) -> None:
        from ...columnar.selection import Columns, Keys

        self._keys = self._keys or Keys()
        self._keys.add(Columns.joined(self._columns))
        self._columns.clear()
        self._count = 0
