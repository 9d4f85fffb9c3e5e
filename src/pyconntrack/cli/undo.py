"""``--undo FILE``: what ``conntrack -R FILE`` reads to bring the old entries back.

Owns the file's lines and that it is there, whole and on disk, before anything is changed.
"""

from __future__ import annotations

import os

from ..output import json, save
from .matches import Formatter
from .values import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..layout import Layout
    from ..output.pieces import Piece
    from .found import Found


def deleted() -> Formatter:
    """Lines that create deleted entries anew: save format, or JSON where that says less."""

    def pieces(layout: Layout) -> list[Piece]:
        # labels have names only where there is a map of them: as numbers they are always safe
        if "labels" in layout.slots:
            return json.flow(layout)
        return save.flow(layout, "-A", {})

    return Formatter(pieces)


def updated(names: Collection[str]) -> Formatter:
    """Lines that give entries back their old values of `names` (fields of the schema)."""

    def pieces(layout: Layout) -> list[Piece]:
        wanted = {name for name in layout.slots if name in names or name in _NAMES}
        inner = json.flow(_Part(layout, wanted))[1:-1]  # type: ignore[arg-type]
        # what the entry lacked: an absent mark is 0, absent labels are none
        tail = ',"mark":0' if "mark" in names and "mark" not in layout.slots else ""
        if "labels" in names and "labels" not in layout.slots:
            tail += ',"labels":[]'
        return ['{"event":"update",', *inner, tail + "}"]

    return Formatter(pieces)


#: what names an entry
_NAMES = {
    "zone", "orig_zone", "orig_src", "orig_dst", "orig_proto", "orig_sport", "orig_dport",
    "orig_icmp_type", "orig_icmp_code", "orig_icmp_id",
}  # fmt: skip


class _Part:
    """A layout with only some of its fields, for a writer."""

    def __init__(self, layout: Layout, names: Collection[str]) -> None:
        self.family, self.shape, self.names = layout.family, layout.shape, layout.names
        self.slots = {name: slot for name, slot in layout.slots.items() if name in names}


def write(path: str, parts: Iterable[Found], lines: Formatter) -> None:
    """Writes the file beside its place, to disk, then into it; UsageError where it can't be."""
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(0, "not a regular file")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                for found in parts:
                    file.write(lines(found))
                file.flush()
                os.fsync(fd)
            os.rename(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
        at = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(at)
        finally:
            os.close(at)
    except OSError as error:
        text = f"cannot write the undo file {path}: {error.strerror} (nothing was changed)"
        raise UsageError(text, hint=False) from None
