"""``-L --sort --limit``: a sorted listing, and the first entries of a listing.

Sorting keeps all entries that match in memory; a limit without it stops when it is reached.
"""

from __future__ import annotations

from operator import itemgetter

from ...netlink.messages import text
from ...thresholds import LISTING, PRINTED
from ...where.fields import ADDRESS, FAMILY, LABEL, STRING
from ..field_options import kept_field
from ..filters import predicate
from ..progress import Progress
from ..selection import Document, Messages, of_messages, selections, writer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ...ctnetlink.layout import Layout
    from ...where.fields import Field
    from ..main import Runner
    from ..parser import Command
    from ..selection import Selection


def show(runner: Runner, command: Command) -> int:
    """Run -L with --sort or --limit."""
    opts = command.opts
    order = [(kept_field(name, "--sort"), down) for name, down in opts.get("sort", ())]
    writer = writer_of(command)
    progress = Progress(wanted=False) if order else None
    found = selections(runner, command, predicate(command), LISTING, progress=progress)
    if progress is not None:
        found = _sorted(found, order, opts.get("limit"), progress)
    elif "limit" in opts:
        found = _first(found, int(opts["limit"]))
    document = Document(runner.out, writer)
    for part in found:
        document.add(part)
    if progress is not None:
        progress.close()
    document.close()
    runner.summary(document.count, "flow entries have been shown")
    return 0


def _first(found: Iterable[Selection], limit: int) -> Iterator[Selection]:
    for part in found:
        if not limit:
            return
        if part.count > limit:
            part = of_messages([message for _, message in part.items()[:limit]])
        limit -= part.count
        yield part
        if not limit:
            return


# ---- order --------------------------------------------------------------------------------------


def _sorted(
    found: Iterable[Selection], order: list[tuple[Field, bool]], limit: int | None,
    progress: Progress,
) -> Iterator[Selection]:  # fmt: skip
    """Yield the entries in order, equal ones in the kernel's; those that lack a field come last."""
    entries: list[tuple[list[tuple[bool, Any]], Layout, bytes]] = []
    getters: dict[Layout, list[Any]] = {}
    columns = False
    for part in found:
        columns |= not isinstance(part, Messages)
        for layout, message in part.items():
            mine = getters.get(layout)
            if mine is None:
                mine = getters[layout] = [_key(layout, field, down) for field, down in order]
            raw = layout.unpack(message)
            entries.append(([key(raw) for key in mine], layout, message))
        if limit is not None and len(entries) > 4 * max(limit, PRINTED):
            entries.sort(key=itemgetter(0))
            entries = entries[:limit]
    entries.sort(key=itemgetter(0))
    entries = entries[:limit]
    progress.stage("sorted entries written", len(entries))
    for low in range(0, len(entries), PRINTED):
        progress.add(len(entries[low : low + PRINTED]))
        block = entries[low : low + PRINTED]
        if columns:
            yield of_messages([message for _, _, message in block], columns=True)
        else:
            yield Messages([(layout, message, layout.unpack(message))
                            for _, layout, message in block])  # fmt: skip


def _key(layout: Layout, field: Field, down: bool) -> Any:
    """Return a function from an entry's raw values to (absent, a value to compare)."""
    value = _value(layout, field)
    if value is None:
        return lambda raw: (True, 0)
    if field.kind == STRING:
        if not down:
            return lambda raw: (False, value(raw))
        # where one text begins with the other, the longer comes first
        return lambda raw: (False, [*(-ord(char) for char in value(raw)), 1])
    if field.kind == ADDRESS or field.kind == LABEL:
        plain = value

        def value(raw: Any) -> int:
            packed = plain(raw)
            return int.from_bytes(packed) + (len(packed) << 130)

    number = value
    return (lambda raw: (False, -number(raw))) if down else (lambda raw: (False, number(raw)))


def _value(layout: Layout, field: Field) -> Any:
    """Return a function from raw values to the field's value, or None if the layout lacks it."""
    if field.kind == FAMILY:
        family = layout.family
        return lambda raw: family
    places = [layout.names.index(name) for name in field.within(layout)]
    if not places:
        return None
    if len(places) > 1:
        return lambda raw: sum([raw[place] for place in places])
    place = places[0]
    if field.kind == STRING:
        return lambda raw: text(raw[place])
    return lambda raw: raw[place]
