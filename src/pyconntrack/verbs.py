"""The verbs as conversations without I/O: what is sent, and what becomes of the answers.

The blocking and the asyncio driver run the same generators, so that both cannot differ.
"""

from __future__ import annotations

import errno

from . import request, restore_rules, session
from .convert import family_number
from .errors import DecodeError, DumpInterrupted, KernelError, RequestError, kernel_error
from .filter import In, push_down
from .keywords import as_node
from .layout import find
from .model import TUPLE_NAMES, CpuStats, Expect, Flow, Stats, Tuple, decode
from .netns import sysctl
from .restoration import Restoration
from .wire import consts as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any, Literal, TypeVar

    from .filter import Node
    from .request import Request
    from .session import Conversation
    from .table import Builder

    E = TypeVar("E", Flow, Expect)
    Existing = Literal["error", "update"]
    OnInterrupt = Literal["raise", "retry", "accept"]
    Table = Literal["conntrack", "dying", "unconfirmed"]

#: how often an interrupted dump is begun again
RETRIES = 10


class LoadError:
    """A flow of ``load`` that was refused: its `index`, the `flow`, and the `error`."""

    __slots__ = ("_error", "_flow", "_index")

    def __init__(self, index: int, flow: Flow, error: KernelError) -> None:
        self._index, self._flow, self._error = index, flow, error

    @property
    def index(self) -> int:
        """Which flow it was, counted from 0."""
        return self._index

    @property
    def flow(self) -> Flow:
        """The flow itself."""
        return self._flow

    @property
    def error(self) -> KernelError:
        """What the kernel said."""
        return self._error

    def __repr__(self) -> str:
        return f"LoadError({self._index}, {self._error})"


# -- dumps --------------------------------------------------------------------------------------


class Listing:
    """A dump of a table, narrowed by the kernel where it can: what to run, and what it says.

    ``interrupted``: whether it was, known when it is over and ``on_interrupt`` is "accept".
    Raises RequestError for an argument that is wrong.
    """

    __slots__ = ("conversation", "interrupted", "node")

    def __init__(self, filter: Node | None, table: str, on_interrupt: str) -> None:
        self.node: Node | None = as_node(filter)
        self.interrupted: bool = False
        _check_word("on_interrupt", on_interrupt, ("raise", "retry", "accept"))
        _check_word("table", table, ("conntrack", "dying", "unconfirmed"))
        # the other dumps heed no filter
        down = push_down(self.node if table == "conntrack" else None)
        wanted = request.dump(table, down.family, down.payload)
        self.conversation: Conversation = self._dump(wanted, on_interrupt)

    def _dump(self, wanted: Request, on_interrupt: str) -> Conversation:
        operation = "listing flows"
        if on_interrupt != "retry":
            self.interrupted = yield from session.dump(wanted, operation, on_interrupt=on_interrupt)
            return
        for _ in range(RETRIES):
            batches: list[Any] = []
            inner = session.dump(wanted, operation, on_interrupt="accept")
            interrupted = yield from _collect(inner, batches)
            if not interrupted:
                yield from batches
                return
        raise DumpInterrupted(f"{operation}: the table changed meanwhile, {RETRIES} times")

    def builder(self, expect: int) -> Builder:
        """Return what makes a FlowTable of the batches, of about ``expect`` flows where all are."""
        from functools import partial

        from .columns import mask
        from .table import Builder

        select = None if self.node is None else partial(mask, self.node)
        return Builder(select=select, expect=expect)


def _check_word(name: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        raise RequestError(f"{name}: {value!r} is none of {', '.join(words)}")


def _collect(inner: Conversation, found: list[Any]) -> Conversation:
    """Run `inner`, keeping the batches that it emits in `found`; return its result."""
    answer = None
    while True:
        try:
            effect = inner.send(answer)
        except StopIteration as stop:
            return stop.value
        if isinstance(effect, session.Batch):
            found.append(effect)
            answer = None
        else:
            answer = yield effect


def _all(cls: Any, wanted: Request, operation: str) -> Conversation:
    batches: list[Any] = []
    yield from _collect(session.dump(wanted, operation, on_interrupt="accept"), batches)
    return [value for batch in batches for value in decode(cls, batch.data, batch.end)]


# -- one entry -----------------------------------------------------------------------------------


def _ask(wanted: Request, operation: str, about: Flow | Expect) -> Conversation:
    try:
        return (yield from session.ask(wanted, operation))
    except KernelError as error:
        error.flow = about
        raise


def _get(wanted: Request, operation: str, about: E) -> Generator[Any, Any, E]:
    answers = yield from _ask(wanted, operation, about)
    if not answers:
        raise kernel_error(errno.ENOENT, operation, flow=about)
    return about.from_message(answers[0])


def _entry(cls: type[E], target: object, zone: int | None) -> E:
    entry = cls(target) if isinstance(target, Tuple) else target
    if not isinstance(entry, cls):
        kind = "flow: a Flow" if cls is Flow else "expect: an Expect"
        raise RequestError(f"{kind} or a Tuple is wanted, not {target!r}")
    return entry if zone is None else entry.replace(zone=zone)


def _identity(flow: Flow, *, with_id: bool) -> dict[str, Any]:
    """The values that name a flow: its tuple, zone and id."""
    values = flow._values()
    names = ["orig_" + name for name in TUPLE_NAMES]
    if "orig_src" not in values:
        names = ["reply_" + name for name in TUPLE_NAMES]
    prefix = names[0].removesuffix("src")
    _check_tuple(values, prefix)
    found = {name: values[name] for name in names if name in values}
    if "zone" in values and prefix + "zone" not in values:
        found["zone"] = values["zone"]
    if with_id and "id" in values:
        found["id"] = values["id"]
    return found


def _check_tuple(values: Mapping[str, Any], prefix: str) -> None:
    missing = [name for name in ("src", "dst", "proto") if prefix + name not in values]
    if missing:
        names = ", ".join(missing)
        raise RequestError(f"{prefix.rstrip('_')}: a Tuple with src, dst and proto is wanted; "
                           f"{names} is missing")  # fmt: skip
    proto = values[prefix + "proto"]
    ports = sum(prefix + name in values for name in ("sport", "dport"))
    if ports == 1 or (not ports and proto in _WITH_PORTS):
        raise RequestError(f"{prefix}sport, {prefix}dport: both ports are wanted for this protocol")
    icmp = {c.IPPROTO_ICMP: 4, c.IPPROTO_ICMPV6: 16}.get(proto)
    if icmp:
        if len(values[prefix + "src"]) != icmp:
            raise RequestError(f"{prefix}proto: this protocol does not go with these addresses")
        for name in ("icmp_type", "icmp_code", "icmp_id"):
            if prefix + name not in values:
                raise RequestError(f"{prefix}{name}: a number is wanted for this protocol")


#: protocols that every kernel finds ports in; without its tracker another one has none
_WITH_PORTS = (c.IPPROTO_TCP, c.IPPROTO_UDP)


def get(target: Flow | Tuple, zone: int | None) -> Generator[Any, Any, Flow]:
    """The flow as the kernel has it now."""
    flow = _entry(Flow, target, zone)
    wanted = request.get(_identity(flow, with_id=True), flow.family)
    return (yield from _get(wanted, "getting a flow", flow))


def create_request(flow: object) -> Request:
    """Return the request that creates ``flow``; a direction that it lacks is the other's inverse.

    A flow that the kernel reported becomes what it was, as far as a request can say it.
    Raises RequestError where something is missing.
    """
    if not isinstance(flow, Flow):
        raise RequestError(f"flow: a Flow is wanted, not {flow!r}")
    values = restore_rules.creation(
        dict(zip(flow._layout.names, flow._layout.unpack(flow.message), strict=True)), sysctl
    )
    writers = flow._layout.writers
    if create_request not in writers:
        for prefix in ("orig_", "reply_"):
            _check_tuple(values, prefix)
        writers[create_request] = True
    if "timeout" not in values:
        raise RequestError("timeout: seconds are wanted to create a flow")
    return request.create(values, flow.family)


def create(flow: Flow) -> Conversation:
    """Creates a flow."""
    yield from _ask(create_request(flow), "creating a flow", flow)


def update(target: Flow | Tuple, changes: Mapping[str, Any], zone: int | None) -> Conversation:
    """Changes a flow: `changes`, or every changeable field that `target` carries."""
    flow = _entry(Flow, target, zone)
    for name in changes:
        if name not in restore_rules.CHANGEABLE:
            known = ", ".join(restore_rules.CHANGEABLE)
            raise RequestError(f"{name}: the kernel changes only {known}")
    if changes:
        values = Flow(family=flow.family, **changes)._values()
    else:
        values = {name: v for name, v in flow._values().items() if name in restore_rules.CHANGEABLE}
        if flow.fixed_timeout:
            values.pop("timeout", None)  # the kernel refuses to change it
    if "status" in values:
        values["status"] |= (flow.status or 0) & restore_rules.KEPT_STATUS | c.IPS_CONFIRMED
    for name in restore_rules.MASKED & values.keys():
        values[name] = restore_rules.masked_flags(values[name])
    if not values:
        raise RequestError("changes: at least one field to change is wanted")
    wanted = request.update({**_identity(flow, with_id=False), **values}, flow.family)
    yield from _ask(wanted, "updating a flow", flow)


def delete(target: Flow | Tuple, zone: int | None) -> Conversation:
    """Delete one flow; where its id is known, none with another id that took its place."""
    flow = _entry(Flow, target, zone)
    wanted = request.delete(_identity(flow, with_id=True), flow.family)
    yield from _ask(wanted, "deleting a flow", flow)


# -- many flows ---------------------------------------------------------------------------------


def delete_window(batch: session.Batch, node: Node | None) -> Conversation:
    """Delete each flow of a window of a dump that meets ``node``; return those that were deleted.

    Per entry, by tuple, zone and id: a flow that ended by itself meanwhile is not among them.
    """
    flows = list(decode(Flow, batch.data, batch.end, node))
    kind = c.ct_msg(c.IPCTNL_MSG_CT_DELETE)
    requests = [request.about_entry(kind, flow._layout, flow.message) for flow in flows]
    failures, _ = yield from session.batch(requests)
    for failure in failures:
        if failure.errno != errno.ENOENT:
            raise kernel_error(
                failure.errno, "deleting flows", failure.ext_ack, flows[failure.index]
            )
    gone = {failure.index for failure in failures}
    return [flow for index, flow in enumerate(flows) if index not in gone]


def wanted_node(filter: Node | None) -> Node:
    """Return the predicate of a caller's filter; RequestError where there is none."""
    node = as_node(filter)
    if node is None:
        raise RequestError("filter: a Filter is wanted; flush() empties the table")
    return node


def deletion(node: Node) -> Conversation:
    """Emit the batches of what is to be deleted, for :func:`delete_window`."""
    down = push_down(node)
    wanted = request.dump("conntrack", down.family, down.payload)
    return session.dump(wanted, "deleting flows", on_interrupt="accept")


def flush() -> Conversation:
    """Empty the table."""
    yield from session.ask(request.flush(), "flushing the table")


def family_node(family: int | str | None) -> Node | None:
    """Return what a flush of one family deletes entry by entry; None where it empties the table.

    The kernel's own flush of one family is not used: a kernel without it empties the whole table.
    """
    number = family_number(family)
    return In("family", (number, number)) if number else None


#: flows of one round of `load`
LOAD_ROUND = 256


def load(flows: Iterable[Flow], existing: str) -> Conversation:
    """Create many flows; emit a :class:`LoadError` for each refused one.

    A list or tuple is checked as a whole before anything is sent; any other iterable is read and
    checked a round at a time, so it may be longer than memory.  ``existing``: what a flow that is
    there already draws, a LoadError ("error") or a change of what differs ("update").
    Warn (UserWarning) of those that were made without the master that they name.
    """
    _check_word("existing", existing, ("error", "update"))
    flags = c.NLM_F_APPEND if existing == "update" else 0
    if isinstance(flows, (list, tuple)):
        for number, flow in enumerate(flows):
            _load_request(number, flow)
    source = iter(flows)
    restoration = Restoration()
    first = session.sequence() & 0x3FFFFFFF
    end = first
    given: dict[int, Flow] = {}  # those of this round, and those that wait for their masters
    while True:
        parts = []
        for flow in source:
            wanted = _load_request(end - first, flow)
            parts.append(wanted.message(end, flags))
            given[end] = flow
            end += 1
            if len(parts) == LOAD_ROUND:
                break
        if parts:
            parts[-1] = session.with_ack(parts[-1])
            failures = yield from restoration.send(b"".join(parts), end - 1)
        else:
            failures = yield from restoration.finish()
        for failure in failures:
            flow = given[failure.index]
            error = kernel_error(failure.errno, "creating a flow", failure.ext_ack, flow)
            yield LoadError(failure.index - first, flow, error)
        if not parts:
            break
        given = {number: given[number] for number, _ in restoration.waiting}
    if restoration.orphans:
        from warnings import warn

        warn(f"{restoration.orphans} flows were created without the master that they name: "
             "it does not exist", stacklevel=2)  # fmt: skip


def _load_request(number: int, flow: Flow) -> Request:
    try:
        return create_request(flow)
    except RequestError as error:
        raise RequestError(f"flow {number}: {error}") from None


# -- statistics ---------------------------------------------------------------------------------


def count() -> Generator[Any, Any, int]:
    """The number of flows in the table."""
    entries, _ = yield from _global()
    return entries


def _global() -> Generator[Any, Any, tuple[int, int | None]]:
    answers = yield from session.ask(request.stats_global(), "asking for statistics")
    values = find(answers[0]).values(answers[0]) if answers else {}
    if "entries" not in values:
        raise DecodeError("the kernel's answer holds no number of entries")
    return values["entries"], values.get("max_entries")


def stats() -> Generator[Any, Any, Stats]:
    """All statistics."""
    entries, most = yield from _global()
    cpus = yield from _cpus(request.stats_cpu())
    expect_cpus = yield from _cpus(request.stats_exp_cpu())
    return Stats(entries, most, cpus, expect_cpus)


def _cpus(wanted: Request) -> Conversation:
    batches: list[Any] = []
    inner = session.dump(wanted, "asking for statistics", on_interrupt="accept")
    yield from _collect(inner, batches)
    return [cpu for batch in batches for cpu in decode(CpuStats, batch.data, batch.end)]


# -- expectations -------------------------------------------------------------------------------


def _as_expect(target: object, zone: int | None) -> tuple[Expect, dict[str, Any]]:
    """Return the expectation, and the values that name it: its tuple, zone and id."""
    expect = _entry(Expect, target, zone)
    values = expect._values()
    _check_tuple(values, "tuple_")
    names = [name for name in values if name.startswith("tuple_") or name in ("zone", "id")]
    return expect, {name: values[name] for name in names}


def expectations() -> Conversation:
    """Emit the expectation table."""
    return session.dump(request.dump("expect"), "listing expectations", on_interrupt="accept")


def get_expectation(target: Expect | Tuple, zone: int | None) -> Generator[Any, Any, Expect]:
    """The expectation as the kernel has it now."""
    expect, values = _as_expect(target, zone)
    wanted = request.expect_get(values, expect.family)
    return (yield from _get(wanted, "getting an expectation", expect))


def create_expectation(expect: Expect) -> Conversation:
    """Creates an expectation of a master connection that exists."""
    if not isinstance(expect, Expect):
        raise RequestError(f"expect: an Expect is wanted, not {expect!r}")
    values = expect._values()
    for prefix in ("tuple_", "mask_", "master_"):
        _check_tuple(values, prefix)
    values.pop("id", None)
    if "timeout" not in values:
        raise RequestError("timeout: seconds are wanted to create an expectation")
    wanted = request.expect_create(values, expect.family)
    yield from _ask(wanted, "creating an expectation", expect)


def delete_expectation(target: Expect | Tuple, zone: int | None) -> Conversation:
    """Deletes one expectation."""
    expect, values = _as_expect(target, zone)
    wanted = request.expect_delete(values, expect.family)
    yield from _ask(wanted, "deleting an expectation", expect)


def flush_expectations() -> Conversation:
    """Empties the expectation table."""
    yield from session.ask(request.expect_flush(), "flushing the expectations")
