"""The verbs as conversations without I/O: the requests, and the results of their answers.

The blocking and the asyncio client run the same generators, so they cannot differ.
"""

from __future__ import annotations

import errno

from ..ctnetlink import constants as c
from ..ctnetlink import requests as request
from ..ctnetlink import restore_rules
from ..ctnetlink.layout import find
from ..ctnetlink.predicates import And
from ..ctnetlink.pushdown import push_down
from ..errors import (
    DecodeError,
    DumpInterruptedError,
    KernelError,
    RequestError,
    check_word,
    kernel_error,
)
from ..filters import node_of
from ..model import CpuStats, Expect, Flow, Stats, decode
from ..netlink import conversation
from . import entry_requests
from .entry_requests import entry_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    from ..columnar.table_builder import Builder
    from ..columnar.table_columns import TableColumn
    from ..ctnetlink.predicates import Node
    from ..ctnetlink.requests import Request
    from ..filters import Filter
    from ..model import Tuple
    from ..netlink.conversation import Batch, Conversation, Stream

    E = TypeVar("E", Flow, Expect)

#: how often a dump is tried with ``on_interrupt="retry"``
RETRIES = 10


# -- dumps --------------------------------------------------------------------------------------


class Listing:
    """A dump of a table, narrowed by the kernel where it can.

    ``conversation``: the dump to run; ``interrupted``: whether it was interrupted, set at its end
    if ``on_interrupt`` is "accept".  Raises RequestError for a wrong argument.
    """

    __slots__ = ("conversation", "interrupted", "node")

    def __init__(self, filter: Filter | None, table: str, on_interrupt: str) -> None:
        self.node: Node | None = node_of(filter)
        self.interrupted: bool = False
        check_word("on_interrupt", on_interrupt, ("raise", "retry", "accept"))
        check_word("table", table, ("conntrack", "dying", "unconfirmed"))
        # the kernel ignores filters in the other dumps
        down = push_down(self.node if table == "conntrack" else None)
        wanted = request.dump(table, down.family, down.payload)
        self.conversation: Stream[Batch, None] = self._dump(wanted, on_interrupt)

    def _dump(self, wanted: Request, on_interrupt: str) -> Stream[Batch, None]:
        operation = "listing flows"
        if on_interrupt != "retry":
            self.interrupted = yield from conversation.dump(
                wanted, operation, on_interrupt=on_interrupt
            )  # fmt: skip
            return
        for _ in range(RETRIES):
            answer = conversation.Answer(wanted, operation)
            batches = yield from answer.whole()
            if not answer.interrupted:
                yield from batches
                return
        raise DumpInterruptedError(f"{operation}: the table changed meanwhile, {RETRIES} times")

    def builder(self, columns: Mapping[str, TableColumn], expect: int) -> Builder:
        """Return a builder of a FlowTable of about ``expect`` flows (0: unknown)."""
        from functools import partial

        from ..columnar.predicates import mask
        from ..columnar.table_builder import Builder

        select = None if self.node is None else partial(mask, self.node)
        return Builder(columns, select, expect)


# -- one entry -----------------------------------------------------------------------------------


def _ask(wanted: Request, operation: str, about: Flow | Expect) -> Conversation[list[bytes]]:
    try:
        return (yield from conversation.ask(wanted, operation))
    except KernelError as error:
        error.flow = about
        raise


def _get(wanted: Request, operation: str, about: E) -> Conversation[E]:
    answers = yield from _ask(wanted, operation, about)
    if not answers:
        raise kernel_error(errno.ENOENT, operation, flow=about)
    return about.from_message(answers[0])


def get(target: Flow | Tuple, zone: int | None) -> Conversation[Flow]:
    """Return the flow as the kernel has it now."""
    flow = entry_of(Flow, target, zone)
    return (yield from _get(entry_requests.lookup(flow), "getting a flow", flow))


def create(flow: Flow, translations: Mapping[str, Any]) -> Conversation[None]:
    """Create a flow, with the ``translations`` "src_nat" and "dst_nat" that are not None.

    An entry that the kernel translates otherwise is deleted again.
    """
    given = {name: target for name, target in translations.items() if target is not None}
    if given and isinstance(flow, Flow):
        flow = flow.replace(**given)
    values = entry_requests.creation_values(flow)
    yield from _ask(entry_requests.creation(flow, values), "creating a flow", flow)
    if not restore_rules.translates(values):
        return
    wanted = entry_requests.lookup(flow.replace(id=None))
    made = yield from _get(wanted, "creating a flow", flow)
    if error := entry_requests.translation_error(values, made.message, flow):
        yield from _ask(entry_requests.deletion(made), "creating a flow", flow)
        raise error


def update(
    target: Flow | Tuple, changes: Mapping[str, Any], zone: int | None
) -> Conversation[None]:  # fmt: skip
    """Change a flow: make ``changes``, or set every changeable field that ``target`` carries."""
    flow = entry_of(Flow, target, zone)
    yield from _ask(entry_requests.update(flow, changes), "updating a flow", flow)


def delete(target: Flow | Tuple, zone: int | None) -> Conversation[None]:
    """Delete one flow; if its id is known, no other flow of its tuple."""
    flow = entry_of(Flow, target, zone)
    yield from _ask(entry_requests.deletion(flow), "deleting a flow", flow)


# -- many flows ---------------------------------------------------------------------------------


def delete_window(batch: Batch, node: Node | None) -> Conversation[list[Flow]]:
    """Delete each flow of a window that matches ``node``; return those that were deleted.

    They are deleted by tuple, zone and id; a flow that ended by itself meanwhile is not returned.
    """
    flows = list(decode(Flow, batch.data, batch.end, node))
    kind = c.ct_msg(c.IPCTNL_MSG_CT_DELETE)
    requests = [request.about_entry(kind, flow._layout, flow.message) for flow in flows]
    failures, _ = yield from conversation.batch(requests)
    for failure in failures:
        if failure.errno != errno.ENOENT:
            raise failure.error("deleting flows", flows[failure.index])
    gone = {failure.index for failure in failures}
    return [flow for index, flow in enumerate(flows) if index not in gone]


def wanted_node(filter: Filter | None) -> Node:
    """Return the predicate of a deletion; raise RequestError if it has no condition.

    A keyword that is None is no condition, so a filter of a value that is not known has none.
    """
    node = node_of(filter)
    if node is None:
        raise RequestError("filter: a Filter is wanted; flush() empties the table")
    if isinstance(node, And) and not node.nodes:
        raise RequestError("filter: a Filter with a condition is wanted (a keyword that is None is "
                           "none); flush() empties the table")  # fmt: skip
    return node


def deletion(node: Node) -> Stream[Batch, bool]:
    """Emit the batches of a dump narrowed by ``node``, for :func:`delete_window`."""
    down = push_down(node)
    wanted = request.dump("conntrack", down.family, down.payload)
    return conversation.dump(wanted, "deleting flows", on_interrupt="accept")


def flush() -> Conversation[None]:
    """Empty the table."""
    yield from conversation.ask(request.flush(), "flushing the table")


# -- statistics ---------------------------------------------------------------------------------


def count() -> Conversation[int]:
    """Return the number of flows in the table."""
    entries, _ = yield from _global()
    return entries


def _global() -> Conversation[tuple[int, int | None]]:
    answers = yield from conversation.ask(request.stats_global(), "asking for statistics")
    values = find(answers[0]).values(answers[0]) if answers else {}
    if "entries" not in values:
        raise DecodeError("the kernel's answer holds no number of entries")
    return values["entries"], values.get("max_entries")


def stats() -> Conversation[Stats]:
    """Return all statistics."""
    entries, most = yield from _global()
    cpus = yield from _cpus(request.stats_cpu())
    expect_cpus = yield from _cpus(request.stats_exp_cpu())
    return Stats(entries, most, cpus, expect_cpus)


def _cpus(wanted: Request) -> Conversation[list[CpuStats]]:
    batches = yield from conversation.Answer(wanted, "asking for statistics").whole()
    return [cpu for batch in batches for cpu in decode(CpuStats, batch.data, batch.end)]


# -- expectations -------------------------------------------------------------------------------


def expectations() -> Stream[Batch, bool]:
    """Emit the batches of a dump of the expectation table."""
    return conversation.dump(request.dump("expect"), "listing expectations", on_interrupt="accept")


def get_expectation(target: Expect | Tuple, zone: int | None) -> Conversation[Expect]:
    """Return the expectation as the kernel has it now."""
    expect = entry_of(Expect, target, zone)
    wanted = entry_requests.expect_lookup(expect)
    return (yield from _get(wanted, "getting an expectation", expect))


def create_expectation(expect: Expect) -> Conversation[None]:
    """Create an expectation, whose master connection must exist."""
    wanted = entry_requests.expect_creation(expect)
    yield from _ask(wanted, "creating an expectation", expect)


def delete_expectation(target: Expect | Tuple, zone: int | None) -> Conversation[None]:
    """Delete one expectation."""
    expect = entry_of(Expect, target, zone)
    yield from _ask(entry_requests.expect_deletion(expect), "deleting an expectation", expect)


def flush_expectations() -> Conversation[None]:
    """Empty the expectation table."""
    yield from conversation.ask(request.expect_flush(), "flushing the expectations")
