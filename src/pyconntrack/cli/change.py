"""-D, -U and the careful -F: find entries, then a request for each, many to a send.

An entry that vanished meanwhile is no error, a refusal is reported.  The table is gone through
window by window: each is found, written to the undo file and changed before the next, so memory
does not grow with the table.
"""

from __future__ import annotations

import errno

from .. import request as ask
from ..driver import call
from ..encode import encode
from ..output.writer import Scalar
from ..schema import CONNTRACK
from ..session import batch, dump
from ..transport import Transport
from ..wire import consts as c
from ..wire.frame import message as framed
from .build import changes
from .document import Document, writer_of
from .found import Found
from .matches import LARGE, Formatter, matches
from .out import complain, failure
from .progress import Progress
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ..layout import Layout
    from ..request import Request
    from ..session import Failure
    from .bulk import Keys
    from .many import Lines
    from .parse import Command
    from .run import Runner
    from .undo import WayBack

    Item = tuple[Layout, bytes]

#: entries that few GETs show again; more are shown by a second dump
_GETS = 1024
#: fields that an update changes, by option, each with those that must come along
_FIELDS = {
    "timeout": ("timeout",), "mark": ("mark",), "tcp_state": ("tcp_state",),
    "sctp_state": ("sctp_state", "sctp_vtag_orig", "sctp_vtag_reply"),
    "dccp_state": ("dccp_state", "dccp_role", "dccp_handshake_seq"),
    "label_add": ("labels",), "label_del": ("labels",),
}  # fmt: skip


class _Change:
    """One command's change: its socket, what the kernel refused, how many entries were done."""

    def __init__(self, runner: Runner, command: Command) -> None:
        self.runner, self.command = runner, command
        self.errors: dict[str, int] = {}
        wanted = "progress" in command.opts
        self.progress = Progress(wanted, shared=runner.out.terminal)
        self.undo: WayBack | None = None
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The socket of the changes, opened for the first."""
        if self._transport is None:
            self._transport = Transport(rcvbuf=4 << 20)
        return self._transport

    def found(self, lines: Lines | None = None) -> Iterable[Found]:
        """The entries that the command is about."""
        node = predicate(self.command)
        return matches(self.runner, self.command, node, lines, self.progress)

    def keep(self, found: Found) -> bool:
        """Write the way back of what is about to be changed; False where nothing may be."""
        text = self.undo.keep(found) if self.undo is not None else ""
        if text:
            self.errors[text] = 1
        return not text

    def apply(self, requests: Sequence[Request]) -> tuple[set[int], list[tuple[int, bytes]]]:
        """Sends requests about entries; (indices of what failed, answers)."""
        failures, answers = call(self.transport, batch(requests))
        self.note(failures)
        return {bad.index for bad in failures}, answers

    def note(self, failures: Iterable[Failure]) -> None:
        """Counts what the kernel refused; a vanished entry is no error."""
        for bad in failures:
            if bad.errno != errno.ENOENT:
                text = failure(bad.errno, bad.ext_ack)
                self.errors[text] = self.errors.get(text, 0) + 1

    def finish(self, count: int, what: str, *, none: int = 1) -> int:
        """Reports errors and the summary; the exit code, `none` where nothing matched."""
        self.progress.close()
        for text, number in self.errors.items():
            complain(text if number == 1 else f"{text} ({number} entries)")
        if count or not self.errors:
            self.runner.summary(count, what)
        return 1 if self.errors else 0 if count else none


# ---- deleting -----------------------------------------------------------------------------------


def delete(runner: Runner, command: Command) -> int:
    """-D: all flows that match, each by its tuple and id."""
    lines = None
    if "from_file" in command.opts:
        from .many import Lines

        lines = Lines.read(str(command.opts["from_file"]))
    return _delete(_Change(runner, command), lines, none=1)


def flush(runner: Runner, command: Command) -> int:
    """-F with --undo or --dry-run: exactly the entries that were found, one by one."""
    return _delete(_Change(runner, command), None, none=0)


def _delete(change: _Change, lines: Lines | None, *, none: int) -> int:
    opts = change.command.opts
    document = Document(change.runner.out, writer_of(change.command, "-D"))
    text = Formatter(document.writer.pieces)
    dry = "dry_run" in opts
    expectations = None
    if "undo" in opts and not dry:
        from . import undo

        change.undo = undo.WayBack(str(opts["undo"]), undo.deleted())
        expectations = undo.Expectations(change.transport)
    found = change.found(lines)
    # -F prints no entries unless it is to say what it would do
    shown = dry or change.command.verb == "delete"
    count = 0
    for part in found:
        if not change.keep(part):
            break
        done = part if dry else _remove(change, part)
        if lines is not None:
            lines.count(done.lines)
        if expectations is not None:
            expectations.add(done)
        if shown and done.count:
            document.raw(text(done), done.count)
        count += done.count
    if shown:
        document.close()
    would = "would be deleted (nothing was changed)"
    what = f"flow entries {would if dry else 'have been deleted'}"
    if expectations is not None and (lost := expectations.lost()):
        complain(f"WARNING: {lost} expectations ended with their masters; "
                 "--undo does not hold them")  # fmt: skip
    code = change.finish(count, what, none=none)
    if lines is not None:
        lines.report("would be deleted" if dry else "deleted")
    return code


def _remove(change: _Change, found: Found) -> Found:
    """Deletes entries; those that were there to be deleted."""
    if not found.large:
        failed, _ = change.apply([ask.delete_entry(*item) for item in found.items()])
        return found.without(failed)
    from .bulk import send, without

    _, failures = send(change.transport, found, c.ct_msg(c.IPCTNL_MSG_CT_DELETE))
    change.note([bad for _, bad in failures])
    return without(found, [index for index, _ in failures])


# ---- updating -----------------------------------------------------------------------------------


def update(runner: Runner, command: Command) -> int:
    """-U: changes all flows that match, and shows them as they are then."""
    change = _Change(runner, command)
    document = Document(runner.out, writer_of(command))
    found = change.found()
    if "dry_run" in command.opts:
        text = Formatter(document.writer.pieces)
        for part in found:
            new = _imagined(command, part)
            if new.count:
                document.raw(text(new), new.count)
        document.close()
        return change.finish(
            document.count, "flow entries would be updated (nothing was changed)")  # fmt: skip
    if "undo" in command.opts:
        from . import undo

        names = {name for option in _FIELDS if option in command.opts for name in _FIELDS[option]}
        change.undo = undo.WayBack(str(command.opts["undo"]), undo.updated(names))
    shown = _Shown(change, document)
    unkept = 0
    for part in found:
        if change.undo is not None:
            part, kept = _concerned(command, part)
            unkept += part.count - kept.count
            if not change.keep(kept):
                break
        shown.add(_set(change, part))
    shown.close()
    document.close()
    if change.undo is not None and "status" in command.opts:
        complain("WARNING: the kernel does not clear status bits, so --undo does not hold them"
                 + (f"; {unkept} entries have no line in it" if unkept else ""))  # fmt: skip
    return change.finish(document.count, "flow entries have been updated")


def _new(command: Command, items: Iterable[Item]) -> list[tuple[int, dict[str, Any]]]:
    """(index, new values) of each entry that the command changes."""
    out = []
    for number, (layout, message) in enumerate(items):
        new = changes(command, layout, message)
        if new:
            out.append((number, new))
    return out


def _concerned(command: Command, found: Found) -> tuple[Found, Found]:
    """The entries that the command changes, and those of which that can be taken back."""
    new = _new(command, found.items())
    kept = {number for number, values in new if values.keys() - {"status"}}
    every = set(range(found.count))
    return found.without(every - {number for number, _ in new}), found.without(every - kept)


def _imagined(command: Command, found: Found) -> Found:
    """The entries as an update would leave them."""
    items = found.items()
    out = []
    for number, new in _new(command, items):
        layout, message = items[number]
        old = layout.values(message)
        if "labels_mask" in new:
            new["labels"] = _relabelled(old.get("labels", b""), new["labels"], new["labels_mask"])
            del new["labels_mask"]
        if all(name in layout.slots and value is not None for name, value in new.items()):
            out.append(_patched(layout, message, new))
            continue
        values = {**old, **new}
        payload = encode(CONNTRACK, values, layout.family)
        out.append(framed(c.ct_msg(c.IPCTNL_MSG_CT_NEW), 0, 1, layout.family, payload))
    return Found(b"".join(out), len(out), large=False)


def _relabelled(was: bytes, labels: bytes, mask: bytes) -> bytes | None:
    """The labels that an update leaves, as the kernel computes them; it tells none as nothing."""
    old = was.ljust(len(labels), b"\0")
    left = bytes(a & ~m & 0xFF ^ b for a, b, m in zip(old, labels, mask, strict=True))
    return left if any(left) else None


def _patched(layout: Layout, message: bytes, new: dict[str, Any]) -> bytes:
    """A message with other values in their places."""
    out = bytearray(message)
    for name, value in new.items():
        slot = layout.slots[name]
        raw = value.to_bytes(slot.size) if isinstance(value, int) else value[: slot.size]
        out[slot.offset : slot.offset + slot.size] = raw
    return bytes(out)


def _set(change: _Change, found: Found) -> Found:
    """Updates entries; those that were changed, as they were before."""
    command = change.command
    if found.large:
        from .bulk import send, simple, without

        extra = simple(command)
        if extra is not None:
            kind = c.ct_msg(c.IPCTNL_MSG_CT_NEW)
            asked, failures = send(change.transport, found, kind, extra)
            change.note([bad for _, bad in failures])
            gone = (~asked).nonzero()[0].tolist()
            return without(found, gone + [index for index, _ in failures])
    items = found.items()
    todo = _new(command, items)
    requests = []
    encoded: dict[Any, bytes] = {}  # mostly all entries change alike
    for number, new in todo:
        layout, message = items[number]
        key = (layout.family, *new.items())
        if key not in encoded:
            encoded[key] = encode(CONNTRACK, new, layout.family)
        requests.append(ask.update_entry(layout, message, encoded[key]))
    failed, _ = change.apply(requests)
    done = {number for at, (number, _) in enumerate(todo) if at not in failed}
    return found.without(set(range(found.count)) - done)


class _Shown:
    """Shows updated entries as they are now: each asked for anew, or many by a second dump."""

    def __init__(self, change: _Change, document: Document) -> None:
        self._change, self._document = change, document
        self._scalar = Scalar(document.writer, None)
        self._waiting: list[Found] = []
        self._size = 0
        self._keys: Keys | None = None

    def add(self, found: Found) -> None:
        """These were updated."""
        if not found.count:
            return
        self._waiting.append(found)
        self._size += len(found.data)
        if not found.large:
            self._gets()
        elif self._size >= LARGE:
            self._remember()

    def close(self) -> None:
        """Shows the rest."""
        if self._keys is None:
            self._gets()
            return
        self._remember()
        self._dump()

    def _gets(self) -> None:
        for found in self._waiting:
            items = found.items()
            for at in range(0, len(items), _GETS):
                requests = [ask.get_entry(*item) for item in items[at : at + _GETS]]
                for _, message in self._change.apply(requests)[1]:
                    self._document.add(self._scalar.line(message) or "")
        self._waiting.clear()
        self._size = 0

    def _remember(self) -> None:
        from .bulk import Keys

        if self._keys is None:
            self._keys = Keys()
        for found in self._waiting:
            self._keys.add(found)
        self._waiting.clear()
        self._size = 0

    def _dump(self) -> None:
        from ..ring import received
        from .bulk import matching

        assert self._keys is not None
        text = Formatter(self._document.writer.pieces)
        request = ask.dump("conntrack", self._change.command.family)
        parts: list[bytes] = []
        size = 0
        for part in received(dump(request, "listing", on_interrupt="accept")):
            parts.append(part.data[: part.end])
            size += part.end
            if size >= 1 << 20:
                self._print(matching(b"".join(parts), self._keys), text)
                parts, size = [], 0
        self._print(matching(b"".join(parts), self._keys), text)

    def _print(self, found: Found, text: Formatter) -> None:
        if found.count:
            self._document.raw(text(found), found.count)
