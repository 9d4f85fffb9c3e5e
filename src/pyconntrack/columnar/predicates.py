"""Predicates over batches: which rows of a group meet a condition.

The slow equal that defines it is :func:`pyconntrack.ctnetlink.predicates.bind`, message by message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ctnetlink import predicates
from ..ctnetlink.kinds import label_place
from ..ctnetlink.predicates import (
    OPERATORS,
    SECOND,
    UNORDERED,
    Age,
    And,
    Bits,
    Compare,
    In,
    Label,
    Net,
    Not,
    Or,
    Text,
    addends,
    constant,
)
from ..netlink.messages import c_string

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..ctnetlink.predicates import Node
    from .columns import Bools, Column, Group


def mask(node: Node, group: Group) -> Bools:
    """Return a mask of the rows of ``group`` that meet the predicate ``node``, shape (n,).

    It agrees with :func:`pyconntrack.ctnetlink.predicates.bind` for single messages.
    """
    answer = _decide(node, group)
    return np.full(len(group), answer) if isinstance(answer, bool) else answer


def _decide(node: Node, group: Group) -> Bools | bool:
    if isinstance(node, And | Or):
        every = isinstance(node, And)
        joined: Bools | bool = every
        for inner in node.nodes:
            answer = _decide(inner, group)
            if isinstance(answer, bool):
                if answer is not every:
                    return answer
            elif isinstance(joined, bool):
                joined = answer
            else:
                joined = joined & answer if every else joined | answer
        return joined
    if isinstance(node, Not):
        answer = _decide(node.node, group)
        return not answer if isinstance(answer, bool) else ~answer
    if isinstance(node, In):
        return _in(node, group)
    slots = group.layout.slots
    if isinstance(node, Net):
        return _net(node, group)
    if isinstance(node, Bits):
        return _bits(node, group)
    if isinstance(node, Compare):
        return _compare(node, group)
    if isinstance(node, Age):
        return _age(node, group)
    if isinstance(node, Text):
        if node.field not in slots:
            return False
        texts = {word.encode() for word in node.words}
        found = [c_string(raw) in texts for raw in group.raw(node.field)]
        return np.array(found, np.bool_)
    if isinstance(node, Label):
        if "labels" not in slots or node.bit >= 8 * slots["labels"].size:
            return False
        byte, bit = label_place(node.bit)
        return np.asarray((group.column("labels")[:, byte] & np.uint8(bit)) != 0)
    raise TypeError(f"not a predicate: {node!r}")


def _in(node: In, group: Group) -> Bools | bool:
    parts = addends(node.fields, group.layout)
    if parts is None:
        return False
    base, fields = parts
    ranges = [(low - base, high - base) for low, high in node.ranges]
    if not fields:
        return any(low <= 0 <= high for low, high in ranges)
    values = group.column(fields[0])
    if len(fields) > 1:
        total, carried = values.astype(np.uint64), np.zeros(len(group), np.bool_)
        for field in fields[1:]:
            more = total + group.column(field)
            carried |= more < total
            total = more
        if carried.any():  # beyond 64 bits; exact, and so rare that it may be slow
            rows = zip(*[group.raw(field) for field in fields], strict=True)
            sums = [sum(row) for row in rows]
            return np.array([any(lo <= n <= hi for lo, hi in ranges) for n in sums], np.bool_)
        values = total
    return _inside(values, ranges)


def _inside(values: Column, ranges: Iterable[tuple[int, int]]) -> Bools | bool:
    """Return a mask of the ``values`` in any of ``ranges``, both ends included."""
    limit = int(np.iinfo(values.dtype).max)
    kind = values.dtype.type
    answer: Bools | bool = False
    for low, high in ranges:
        low, high = max(low, 0), min(high, limit)
        if low > high:
            continue
        inside: Bools = (
            values == kind(low) if low == high else (values >= kind(low)) & (values <= kind(high))
        )
        answer = inside if isinstance(answer, bool) else answer | inside
    return answer


def _net(node: Net, group: Group) -> Bools | bool:
    slot = group.layout.slots.get(node.field)
    answer: Bools | bool = False
    for address, bits in node.networks:
        if slot is None or len(address) != slot.size or slot.size not in (4, 16):
            continue
        inside: Bools | bool = True
        for at in range(0, slot.size, 4):
            want_mask, want = (np.frombuffer(part, np.uint32, 1, at)[0] for part in (bits, address))
            if want_mask:
                fits = (group.wire(slot.offset + at, 4) & want_mask) == want & want_mask
                inside = fits if isinstance(inside, bool) else inside & fits
        if inside is True:
            return True
        answer = inside if isinstance(answer, bool) else answer | inside
    return answer


def _age(node: Age, group: Group) -> Bools | bool:
    if "timestamp_start" not in group:
        return False
    start = group.column("timestamp_start")
    end = group.column("timestamp_stop") if "timestamp_stop" in group else np.uint64(
        predicates.now())  # fmt: skip
    ages = np.where(end > start, end - start, np.uint64(0)) // np.uint64(SECOND)
    return _inside(ages, node.ranges)


def _bits(node: Bits, group: Group) -> Bools | bool:
    value = constant(node.field, group.layout)
    if value is not None:
        return value & node.mask == node.want
    if node.field not in group:
        return False
    values = group.column(node.field)
    limit = int(np.iinfo(values.dtype).max)
    if not 0 <= node.want <= limit:
        return False
    bits = values & values.dtype.type(node.mask & limit)
    return np.asarray(bits == values.dtype.type(node.want))


def _compare(node: Compare, group: Group) -> Bools | bool:
    holds = OPERATORS[node.op]
    values: list[Any] = []
    numbers = 0
    for name in (node.a, node.b):
        value = constant(name, group.layout)
        if value is None:
            if name not in group:
                return False
            values.append(group.column(name))
            numbers += group.layout.slots[name].kind.number
        else:
            values.append(np.uint64(value))
            numbers += 1
    if numbers < 2 and node.op not in UNORDERED:
        return False
    a, b = values
    if numbers == 1 or (not numbers and a.shape != b.shape):
        return node.op == "!="
    answer: Bools = holds(a, b)
    if numbers:
        return answer if answer.ndim else bool(answer)
    return np.asarray(answer.all(axis=1) if node.op == "==" else answer.any(axis=1), np.bool_)
