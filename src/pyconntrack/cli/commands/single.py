"""-G, -I, -A and -F, and -D of an expectation: the commands that send a single request."""

from __future__ import annotations

from ...ctnetlink import requests as ask
from ...ctnetlink.restoration import Restoration
from ...netlink.constants import NLM_F_ACK
from ...netlink.conversation import ask as converse
from ...netlink.driver import call
from ..attributes import expect_tuple, expect_values, flow_tuple, flow_values
from ..console import complain
from ..selection import Document, of_messages, writer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...ctnetlink.predicates import Node
    from ...ctnetlink.requests import Request
    from ..main import Runner
    from ..parser import Command


def _one(runner: Runner, command: Command, request: Request, what: str, node: Node | None) -> int:
    document = Document(runner.out, writer_of(command))
    answers = call(runner.transport, converse(request, "looking up"))
    document.add(of_messages(answers, node))
    document.close()
    runner.summary(document.count, f"{what} have been shown")
    return 0 if document.count else 1


def get(runner: Runner, command: Command) -> int:
    """Run -G: the kernel finds an entry by its tuple; other options are compared here."""
    from ..filters import predicate

    node = predicate(command)
    return _one(runner, command, ask.get(*flow_tuple(command)), "flow entries", node)


def get_expect(runner: Runner, command: Command) -> int:
    """Run -G of an expectation."""
    return _one(runner, command, ask.expect_get(*expect_tuple(command)), "expectations", None)


def create(runner: Runner, command: Command) -> int:
    """Run -I: create a flow."""
    call(runner.transport, converse(ask.create(*flow_values(command)), "creating"))
    runner.summary(1, "flow entries have been created")
    return 0


def add(runner: Runner, command: Command) -> int:
    """Run -A: create a flow, or renew one that exists."""
    request = ask.add(*flow_values(command))
    data = request.message(1, NLM_F_ACK)
    for failure in call(runner.transport, Restoration().send(data, 1)):
        raise failure.error("adding")
    runner.summary(1, "flow entries have been added")
    return 0


def create_expect(runner: Runner, command: Command) -> int:
    """Run -I of an expectation."""
    call(runner.transport, converse(ask.expect_create(*expect_values(command)), "creating"))
    return 0


def delete_expect(runner: Runner, command: Command) -> int:
    """Run -D of an expectation."""
    call(runner.transport, converse(ask.expect_delete(*expect_tuple(command)), "deleting"))
    runner.summary(1, "expectations have been deleted")
    return 0


def flush(runner: Runner, command: Command) -> int:
    """Run -F: empty the table."""
    if command.family or "undo" in command.opts or "dry_run" in command.opts:
        # a kernel without the flush of one family would empty the whole table
        from .delete import flush as run

        return run(runner, command)
    call(runner.transport, converse(ask.flush(), "flushing"))
    complain("connection tracking table has been emptied.")
    return 0


def flush_expect(runner: Runner, command: Command) -> int:
    """Run -F of expectations."""
    call(runner.transport, converse(ask.expect_flush(command.family), "flushing"))
    complain("expectation table has been emptied.")
    return 0
