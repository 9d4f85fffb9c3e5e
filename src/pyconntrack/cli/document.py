"""The document that a command prints: entries of one format between its head and its foot."""

from __future__ import annotations

from ..output.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .out import Output
    from .parse import Command


def writer_of(command: Command, save: str = "-A", *, events: bool = False) -> Writer:
    """The writer that the words of -o choose; `save`: the command of -o save."""
    labels = None
    # whatever needs the map of labels shows them, but -D (as conntrack(8) has it)
    if command.labelmap is not None and (command.verb != "delete" or "save" in command.output):
        from .values import label_names

        labels = label_names(command.labelmap)
    return Writer(command.output, labels, expect=command.table == "expect", command=save,
                  events=events)  # fmt: skip


class Document:
    """Lines into an output, framed as the format wants it; nothing at all for no lines."""

    __slots__ = ("count", "out", "writer")

    def __init__(self, out: Output, writer: Writer) -> None:
        self.out, self.writer, self.count = out, writer, 0

    def add(self, text: str) -> None:
        """One line."""
        self.raw((text + "\n").encode("utf-8", "backslashreplace"), 1)

    def raw(self, data: bytes, count: int) -> None:
        """Formatted lines, `count` of them."""
        if not count:
            return
        if not self.count:
            data = self.writer.head + data[len(self.writer.separator) :]
        self.out.write(data)
        self.count += count

    def close(self) -> None:
        """The end of the document."""
        if self.count or self.writer.framed:
            self.out.write(self.writer.foot if self.count else self.writer.head + self.writer.foot)
