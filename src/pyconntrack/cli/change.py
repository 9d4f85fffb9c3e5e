"""-D and -U: a filtered dump, then a request for each entry, many to a send.

Owns deleting and updating; an entry that vanished meanwhile is no error, a refusal is reported.
"""

from __future__ import annotations

import errno

from .. import request as ask
from ..driver import call
from ..output.writer import Scalar
from ..session import batch
from ..transport import Transport
from .build import changes
from .document import Document, writer_of
from .out import complain, failure
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..filter import Node
    from ..layout import Layout
    from ..request import Request
    from .parse import Command
    from .run import Runner

#: entries that are found before the requests about them are sent
CHUNK = 1024


def _chunks(
    runner: Runner, command: Command, node: Node | None
) -> Iterator[list[tuple[Layout, bytes]]]:
    chunk: list[tuple[Layout, bytes]] = []
    for item in runner.messages(command, node):
        chunk.append(item)
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _apply(
    requests: list[Request], change: Transport, errors: dict[str, int]
) -> tuple[set[int], list[tuple[int, bytes]]]:
    """Sends requests about entries; (indices of what failed, answers).  A vanished entry is none
    of the errors."""
    failures, answers = call(change, batch(requests))
    for bad in failures:
        if bad.errno != errno.ENOENT:
            text = failure(bad.errno, bad.ext_ack)
            errors[text] = errors.get(text, 0) + 1
    return {bad.index for bad in failures}, answers


def _report(errors: dict[str, int]) -> None:
    for text, count in errors.items():
        complain(text if count == 1 else f"{text} ({count} entries)")


def delete(runner: Runner, command: Command) -> int:
    """-D: all flows that match, each by its tuple and id."""
    document = Document(runner.out, writer_of(command, "-D"))
    scalar = Scalar(document.writer, None)
    errors: dict[str, int] = {}
    change = Transport(rcvbuf=4 << 20)
    for chunk in _chunks(runner, command, predicate(command)):
        failed, _ = _apply([ask.delete_entry(*item) for item in chunk], change, errors)
        for number, (_, message) in enumerate(chunk):
            if number not in failed:
                document.add(scalar.line(message) or "")
    document.close()
    return _finish(runner, document.count, errors, "flow entries have been deleted")


def _finish(runner: Runner, count: int, errors: dict[str, int], what: str) -> int:
    _report(errors)
    if count or not errors:
        runner.summary(count, what)
    return 0 if count and not errors else 1


def update(runner: Runner, command: Command) -> int:
    """-U: changes all flows that match, and shows them as they are then."""
    document = Document(runner.out, writer_of(command))
    scalar = Scalar(document.writer, None)
    errors: dict[str, int] = {}
    change = Transport(rcvbuf=4 << 20)
    for chunk in _chunks(runner, command, predicate(command)):
        todo = []
        for layout, message in chunk:
            new = changes(command, layout, message)
            if new:
                todo.append((layout, message, new))
        failed, _ = _apply([ask.update_entry(*item) for item in todo], change, errors)
        done = [item for number, item in enumerate(todo) if number not in failed]
        gets = [ask.get_entry(layout, message) for layout, message, _ in done]
        _, answers = _apply(gets, change, errors)
        for _, message in answers:
            document.add(scalar.line(message) or "")
    document.close()
    return _finish(runner, document.count, errors, "flow entries have been updated")
