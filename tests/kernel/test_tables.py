"""Tables of a real kernel: what a dump says, and the same columns whatever there is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from pyconntrack import AsyncConntrack, Conntrack, Filter, FlowTable, RequestError
from pyconntrack.columnar.table_columns import COLUMNS, DEFAULT
from support.netns import sysctl
from support.traffic import Flows


@pytest.fixture
def ct(flows: Flows) -> Iterator[Conntrack]:
    with Conntrack() as conntrack:
        yield conntrack


def traffic(flows: Flows) -> None:
    flows.tcp(4, port=443)
    flows.udp(4, port=53)
    flows.udp(6, port=53)


def test_rows_have_the_values_of_a_dump(flows: Flows, ct: Conntrack) -> None:
    sysctl("nf_conntrack_acct", 1)
    sysctl("nf_conntrack_timestamp", 1)
    traffic(flows)
    table = ct.table(columns=COLUMNS)
    dumped = {flow.id: flow for flow in ct.dump()}
    assert len(table) == len(dumped) == 3
    moving = {"timeout"}
    for row in table.to_dicts():
        flow = dumped[row["id"]]
        for name in COLUMNS:
            if name in moving or name.endswith("_packed"):
                continue
            value = row.get(name)
            if isinstance(value, np.datetime64):
                value = int(value.astype(np.int64))
            assert value == getattr(flow, name), name
    assert Counter(table["orig_proto"]) == {"tcp": 1, "udp": 2}
    assert table[table["orig_proto"] == "tcp"]["status"].has("ASSURED", "SEEN_REPLY").all()
    assert table["timestamp_start"].min() > np.datetime64("2020-01-01")
    assert (table["orig_bytes"] > 0).all()


def test_columns_do_not_depend_on_what_there_is(flows: Flows, ct: Conntrack) -> None:
    tables = [ct.table()]
    flows.udp(4, port=53)
    tables.append(ct.table())
    sysctl("nf_conntrack_acct", 1)
    sysctl("nf_conntrack_timestamp", 1)
    traffic(flows)
    tables += [ct.table(), ct.table(Filter(proto="tcp")), ct.table(Filter(mark=77))]
    assert [len(table) for table in tables] == [0, 1, 4, 1, 0]
    assert {table.columns for table in tables} == {DEFAULT}
    both = FlowTable.concat(tables)
    assert len(both) == 6
    assert both.mask("orig_bytes").tolist().count(True) == 4
    pyarrow = pytest.importorskip("pyarrow")
    joined = pyarrow.concat_tables([table.to_arrow() for table in tables])
    assert joined.to_pylist() == both.to_arrow().to_pylist()


def test_both_clients_take_columns(flows: Flows, ct: Conntrack) -> None:
    async def other() -> FlowTable:
        async with AsyncConntrack() as conntrack:
            return await conntrack.table(Filter(proto="tcp"), columns=names)

    traffic(flows)
    names = ["orig_dport", "tcp_state", "orig_src_packed"]
    for table in (ct.table(Filter(proto="tcp"), columns=names), asyncio.run(other())):
        assert table.columns == tuple(names)
        assert [row[:2] for row in table.rows()] == [(443, table["tcp_state"][0])]


def test_a_wrong_name_is_refused_before_anything_is_sent(
    ct: Conntrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(*_: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr(Conntrack, "count", sent)
    monkeypatch.setattr(Conntrack, "_emitted", sent)
    with pytest.raises(RequestError, match="do you mean `orig_src'"):
        ct.table(columns=["orig_scr"])
