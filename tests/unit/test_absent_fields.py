"""A field that an entry lacks means the same in expressions, options and keywords."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from pyconntrack import Filter, where
from pyconntrack.cli.filters import predicate
from pyconntrack.cli.parser import parse
from pyconntrack.columnar.columns import groups, starts
from pyconntrack.columnar.predicates import mask
from pyconntrack.ctnetlink.constants import AF_INET, ct_msg
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.predicates import And, Node, bind
from pyconntrack.ctnetlink.schema import CONNTRACK
from pyconntrack.ctnetlink.socket_filter import program
from pyconntrack.filters import node_of
from pyconntrack.netlink.messages import message
from support import ROOT
from support.bpf import run

#: an entry of the table's second column -> its fields
ENTRIES: dict[str, dict[str, Any]] = {
    "another protocol": {"orig_proto": 1, "status": 8},
    "no accounting": {"orig_proto": 6},
    "no zone": {"orig_proto": 17},
    "orig_zone 5": {"orig_proto": 17, "orig_zone": 5},
    "zone 5": {"orig_proto": 17, "zone": 5},
    "no mark": {"orig_proto": 17},
    "no helper": {"orig_proto": 17},
    "no labels": {"orig_proto": 17},
    "status 0": {"orig_proto": 17, "status": 0},
}


def rows() -> list[tuple[str, ...]]:
    """Return the rows of the table in docs/where.md, without their backquotes."""
    text = (ROOT / "docs/where.md").read_text(encoding="utf-8")
    table = text.partition("| expression | an entry with |")[2].partition("\n\n")[0]
    lines = table.splitlines()[2:]
    return [tuple(cell.strip().strip("`") for cell in line.split("|")[1:-1]) for line in lines]


def decided(node: Node, values: dict[str, Any]) -> bool:
    """Decide ``node`` in each of the ways; fail if they differ."""
    entry = message(ct_msg(0), 0, 1, AF_INET, encode(CONNTRACK, values, AF_INET))
    layout = find(entry)
    test = bind(node, layout)
    answer = test if isinstance(test, bool) else bool(test(layout.unpack(entry)))
    (group,) = groups(entry, starts(entry, len(entry)))
    assert mask(node, group).tolist() == [answer]
    code = program(node)
    assert not code or run(code, entry) or not answer
    return answer


@pytest.mark.parametrize("row", rows(), ids=" - ".join)
def test_the_table_is_true(row: tuple[str, ...]) -> None:
    text, entry, matches, option, keywords = row
    spellings = [where.parse(text), where.parse(where.show(where.parse(text)))]
    if option:
        node = predicate(parse(["-L", *shlex.split(option)]))
        assert node is not None
        spellings.append(node)
    if keywords:
        node = node_of(eval(keywords, {"Filter": Filter}))
        assert node is not None
        spellings.append(node)
    for node in spellings:
        assert decided(node, ENTRIES[entry]) is (matches == "yes")


def test_the_table_has_a_row_for_each_answer() -> None:
    assert {row[2] for row in rows()} == {"yes", "no"}
    assert {row[1] for row in rows()} == ENTRIES.keys()


@pytest.mark.parametrize(
    ("text", "option", "keywords"),
    [
        ("zone == 0", "-w 0", {"zone": 0}), ("zone == 5", "-w 5", {"zone": 5}),
        ("orig_zone == 0", "--orig-zone 0", {"orig_zone": 0}),
        ("reply_zone == 3", "--reply-zone 3", {"reply_zone": 3}),
        ("mark == 0", "-m 0", {"mark": 0}), ("mark & 0xf == 1", "-m 1/0xf", {"mark": (1, 0xF)}),
    ],
)  # fmt: skip
def test_all_spellings_are_one_predicate(text: str, option: str, keywords: Any) -> None:
    node = where.parse(text)
    assert predicate(parse(["-L", *option.split()])) == And([node])
    assert node_of(Filter(**keywords)) == node
