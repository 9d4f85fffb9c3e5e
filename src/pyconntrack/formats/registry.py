"""The formats by name: for each, its segments, and the frame and separator of the entries."""

from __future__ import annotations

from . import DOCUMENTS, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..ctnetlink.layout import Layout
    from .columns import Columns
    from .segments import Piece
    from .table import Screen, Table

_SAVE_COMMANDS = {"": "-A", "new": "-A", "update": "-U", "destroy": "-D"}


class Writer:
    """Format entries of one table by the words of ``-o``.

    ``head`` and ``foot`` frame the document, ``separator`` precedes each entry except the first;
    ``framed``: the frame is written even without entries.  ``labels``: the names of labels, or
    None if they are not shown.  ``columns``: those of ``--columns``.  ``event``: "" for a listing,
    else new, update or destroy.  ``table``: the table, where it is shown on ``screen``; its head
    is known when it is fitted.
    """

    __slots__ = ("columns", "command", "expect", "foot", "format", "framed", "head", "labels",
                 "options", "separator", "table")  # fmt: skip

    def __init__(
        self, options: Collection[str], labels: Mapping[int, str] | None, *, expect: bool = False,
        command: str = "-A", events: bool = False, columns: Columns | None = None,
        screen: Screen | None = None,
    ) -> None:  # fmt: skip
        self.options = frozenset(options)
        self.labels = labels
        self.expect = expect
        self.command, self.columns = command, columns
        self.table: Table | None = None
        chosen = [word for word in DOCUMENTS if word in self.options]
        self.format = chosen[0] if chosen else "text"
        self.head = self.foot = b""
        self.separator = ""
        if self.format == "xml":
            from .xml import HEAD

            root = b"expect" if expect else b"conntrack"
            self.head, self.foot = HEAD + b"<%s>\n" % root, b"</%s>\n" % root
        elif self.format == "json":
            from .json import FOOT, head

            what = "events" if events else "expectations" if expect else "flows"
            self.head, self.foot, self.separator = head(what), FOOT, ","
            if columns:
                from .columns import json_head

                self.head = json_head(columns, what)
        elif self.format == "csv":
            if columns:
                from .columns import csv_head

                self.head = csv_head(columns, event=events)
            else:
                from .csv import head as full_head

                self.head = full_head(expect=expect, event=events)
        elif self.format == "table":
            self._begin_table(screen, events=events)
        self.framed = self.format in ("json", "csv", "table")

    def _begin_table(self, screen: Screen | None, *, events: bool) -> None:
        from .table import Screen, Table

        screen = screen or Screen()
        if self.columns:
            from .columns import table

            columns, absent = table(self.columns), "-"
        else:
            from .table_columns import expect, flow

            columns = expect() if self.expect else flow(self.options, self.labels, screen)
            absent = ""
        if events and "timestamp" in self.options:
            from .table_columns import times

            columns.insert(0, times(self.options))
        self.table = Table(columns, screen, absent, events=events)
        self.head = self.table.fit([], more=True)

    def pieces(self, layout: Layout, event: str = "") -> list[Piece]:
        """Return the segments of a line without its newline."""
        if self.format == "xml":
            from . import xml

            if self.expect:
                return xml.expect(layout, self.options, event)
            return xml.flow(layout, self.options, self.labels, event)
        if self.table is not None:
            return self.table.pieces(layout, event)
        if self.columns:
            from . import columns

            row = columns.csv_row if self.format == "csv" else columns.json_row
            return [self.separator, *row(layout, self.columns, event)]
        if self.format in ("json", "ndjson"):
            from . import json

            return [self.separator, *json.flow(layout, event)]
        if self.format == "csv":
            from . import csv

            return csv.flow(layout, event, expect=self.expect)
        if self.format == "save" and not self.expect:
            from . import save

            command = _SAVE_COMMANDS[event] if event else self.command
            return save.flow(layout, command, self.labels or {})
        out = text.expect(layout) if self.expect else text.flow(layout, self.options, self.labels)
        if "timestamp" in self.options and self.expect and not event:
            out.insert(0, text.stamp(layout, self.options))
        return out
