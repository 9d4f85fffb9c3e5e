"""``--undo FILE``: write a file by which ``conntrack -R FILE`` restores the old entries.

The file grows window by window: the lines of a window are written before the window's entries are
changed, so a process that is killed leaves a line for each entry that it changed.  There is no
fsync: a power failure ends the kernel's table as well.
"""

from __future__ import annotations

import errno
import os

from ..ctnetlink import requests as ask
from ..ctnetlink.layout import find
from ..ctnetlink.schema import TUPLE, leaves
from ..formats import json
from ..netlink.conversation import dump
from ..netlink.driver import stream
from ..netlink.messages import split
from .console import UsageError
from .selection import Formatter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ..ctnetlink.layout import Layout
    from ..formats.segments import Piece
    from ..netlink.socket import Transport
    from .selection import Selection

#: the attributes that name an expectation
_EXPECTATION = ("CTA_EXPECT_MASTER", "CTA_EXPECT_TUPLE", "CTA_EXPECT_MASK")


class WayBack:
    """The undo file, created before the first window is changed.

    It is always a new file, of mode 0600; an existing file of that name, or a symbolic link, is
    refused (UsageError), both by the constructor and when the file is created.
    """

    __slots__ = ("_fd", "_size", "_text", "path")

    def __init__(self, path: str, text: Formatter) -> None:
        self.path, self._text = path, text
        self._fd = -1
        self._size = 0
        try:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            _try(os.path.dirname(path) or ".")
        except OSError as error:
            raise self._refused(error) from None

    def keep(self, chosen: Selection) -> str:
        """Append the lines of a window; return "", or the reason if that failed.

        Raises UsageError if the first window cannot be written: nothing was changed then.
        """
        if not chosen.count:
            return ""
        try:
            if self._fd < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(self.path, flags, 0o600)
            self._append(self._text(chosen))
        except OSError as error:
            if self._size:
                return f"cannot write the undo file {self.path}: {error.strerror} " \
                       "(nothing more was changed)"  # fmt: skip
            if self._fd >= 0:
                os.unlink(self.path)
            raise self._refused(error) from None
        return ""

    def _append(self, lines: bytes) -> None:
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(lines)

    def _refused(self, error: OSError) -> UsageError:
        why = error.strerror
        if error.errno in (errno.EEXIST, errno.ELOOP):
            why = "it exists, and is not replaced; name a new file"
        text = f"cannot write the undo file {self.path}: {why} (nothing was changed)"
        return UsageError(text, hint=False)


def _try(folder: str) -> None:
    """Raise OSError if no file can be created in ``folder``."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        # a file system or kernel without O_TMPFILE: the first window finds out
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise


class Expectations:
    """The expectations of a namespace, which end with their masters and are in no undo file."""

    __slots__ = ("_before", "_deleted", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._before = self._dump()
        self._deleted: set[bytes] = set()

    def _dump(self) -> dict[bytes, bytes]:
        """Return by expectation (master, tuple and mask as the kernel sends them) its master's
        tuple."""
        found = {}
        conversation = dump(ask.dump("expect"), "listing", on_interrupt="accept")
        for part in stream(self._transport, conversation):
            for pos, length, *_ in split(part.data[: part.end]):
                message = part.data[pos : pos + length]
                spans = find(message).spans
                names = [message[slice(*spans.get(name, (0, 0)))] for name in _EXPECTATION]
                found[b"".join(names)] = names[0][4:]
        return found

    def add(self, chosen: Selection) -> None:
        """Record that these flows were deleted."""
        if self._before:
            for layout, message in chosen.items():
                self._deleted.add(message[slice(*layout.spans["CTA_TUPLE_ORIG"])][4:])

    def lost(self) -> int:
        """Return the number of expectations that are gone with their deleted masters."""
        ours = {one for one, master in self._before.items() if master in self._deleted}
        return len(ours - self._dump().keys()) if ours else 0


def deleted() -> Formatter:
    """Return the formatter of lines that create deleted entries again."""
    return Formatter(json.flow)


def updated(names: Collection[str]) -> Formatter:
    """Return the formatter of lines that restore the fields ``names`` of entries."""
    identity = {"zone", *(name for name, _, _ in leaves(TUPLE, "orig_"))}

    def pieces(layout: Layout) -> list[Piece]:
        wanted = {name for name in layout.slots if name in names or name in identity}
        inner = json.flow(_Part(layout, wanted))[1:-1]  # type: ignore[arg-type]
        # fields that the entry lacked: an absent mark is 0, absent labels are none
        tail = ',"mark":0' if "mark" in names and "mark" not in layout.slots else ""
        if "labels" in names and "labels" not in layout.slots:
            tail += ',"labels":[]'
        return ['{"event":"update",', *inner, tail + "}"]

    return Formatter(pieces)


class _Part:
    """A layout with only some of its fields, for a writer."""

    def __init__(self, layout: Layout, names: Collection[str]) -> None:
        self.family, self.shape, self.names = layout.family, layout.shape, layout.names
        self.slots = {name: slot for name, slot in layout.slots.items() if name in names}
        self.unknown: dict[str, object] = {}
