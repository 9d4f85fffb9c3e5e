"""Groups of columns are the groups of their messages; both are shown as JSON shows the fields."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.cli.grouping import Groups
from pyconntrack.cli.selection import Messages, of_messages
from pyconntrack.columnar import columns, grouping
from pyconntrack.columnar.grouping import ColumnGroups
from pyconntrack.ctnetlink.json_form import plain
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT
from pyconntrack.formats.group_keys import GroupKey
from pyconntrack.where.fields import (
    ADDRESS,
    AGE,
    FIELDS,
    STATE,
    Field,
    fields_of_expectations,
)
from support.messages import batch

EXPECTATIONS = fields_of_expectations()
SUMS = [FIELDS[name] for name in ("bytes", "packets", "orig_bytes", "reply_packets")]


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[bytes], list[GroupKey], list[Field], list[Any]]:
    """Entries, the keys and sums of their groups, and an order."""
    expect = draw(st.booleans())
    known = EXPECTATIONS if expect else {n: f for n, f in FIELDS.items() if f.kind != AGE}
    names = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=4, unique=True))
    keys = []
    for name in names:
        lengths = {}
        if known[name].kind == ADDRESS and draw(st.booleans()):
            lengths = {4: draw(st.integers(0, 32)), 16: draw(st.integers(0, 128))}
        keys.append(GroupKey(name, known[name], lengths, EXPECT if expect else CONNTRACK))
    sums = [] if expect else draw(st.lists(st.sampled_from(SUMS), max_size=2, unique=True))
    places = 1 + len(sums) + len(keys)
    order = draw(st.lists(st.tuples(st.integers(0, places - 1), st.booleans()), max_size=3))
    seed, shapes, count = draw(st.tuples(st.integers(0, 2**32), st.integers(1, 6),
                                         st.integers(1, 60)))  # fmt: skip
    return batch(seed, shapes, count, expect=expect), keys, sums, order


@pytest.mark.parametrize("few", [1, 12])
@given(question=questions(), chance=st.randoms(use_true_random=False))
def test_columns_count_as_messages_do(question: Any, chance: Any, few: int) -> None:
    messages, keys, sums, order = question
    single, many, before = Groups(keys, sums), ColumnGroups(keys, sums), Groups(keys, sums)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FEW", few)
        patch.setattr(grouping, "GROUPED", chance.choice((1, 10, 1000)))
        patch.setattr(grouping, "PRINTED", chance.choice((1, 7, 1000)))
        while messages:  # some message by message, as the first of a large table are
            part, messages = messages[:17], messages[17:]
            selection = of_messages(part)
            assert isinstance(selection, Messages)
            single.add(selection)
            if chance.random() < 0.3:
                before.add(selection)
            else:
                many.add(of_messages(part, columns=True))  # type: ignore[arg-type]
        many.insert(before.totals)
        limit = chance.choice((None, 0, 1, 5))
        want = [group for some in single.ranked(order, limit) for group in some]
        assert [group for some in many.ranked(order, limit) for group in some] == want
    assert len(many) == len(single)
    assert many.lacking() == single.lacking()


def value(form: dict[str, Any], name: str, field: Field) -> Any:
    """Look a field up in the JSON form of an entry."""
    found = []
    for each in field.names:
        for group, rest in [("", each), *[(each[:n], each[n + 1 :]) for n in range(len(each))]]:
            inner = form.get(group) if group else form
            if isinstance(inner, dict) and rest in inner and not isinstance(inner[rest], dict):
                found.append(inner[rest])
                break
    if field.kind == STATE:
        return found[0] if found else None
    if len(found) < len(field.names):
        return None
    return found[0] if len(found) == 1 else sum(found)


@given(question=questions())
def test_groups_are_what_json_shows_counted(question: Any) -> None:
    messages, keys, sums, _ = question
    groups = Groups(keys, sums)
    selection = of_messages(messages)
    assert isinstance(selection, Messages)
    groups.add(selection)
    want: Counter[str] = Counter()
    amounts: dict[tuple[str, str], list[int]] = {}
    for message in messages:
        form = plain(find(message), message)
        shown = repr([value(form, key.name, key.field) for key in keys if not key.lengths])
        want[shown] += 1
        for field in sums:
            amount = value(form, field.name, field)
            amounts.setdefault((shown, field.name), []).extend([] if amount is None else [amount])
    got: Counter[str] = Counter()
    summed: dict[tuple[str, str], list[int]] = {}
    for some in groups.ranked([]):
        for values, count, totals in some:
            shown = repr([key.shown(each) for key, each in zip(keys, values, strict=True)
                          if not key.lengths])  # fmt: skip
            got[shown] += count
            for field, total in zip(sums, totals, strict=True):
                summed.setdefault((shown, field.name), []).extend([] if total is None else [total])
    assert got == want
    assert {key: sum(all_) for key, all_ in summed.items()} == {
        key: sum(all_) for key, all_ in amounts.items()
    }
