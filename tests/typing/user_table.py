"""A user's program about a table as columns."""

from collections.abc import Iterator
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import polars

from pyconntrack import AddressColumn, FlagColumn, FlowTable, Unknown, ValueColumn, WordColumn


def look(table: FlowTable) -> None:
    assert_type(len(table), int)
    assert_type(table.columns, tuple[str, ...])
    assert_type(table.nbytes, int)
    assert_type("mark" in table, bool)
    assert_type(table["orig_bytes"], npt.NDArray[Any])
    assert_type(table.mask("mark"), npt.NDArray[np.bool_])
    assert_type(table["orig_proto"], WordColumn)
    texts: list[ValueColumn[Any]] = [table["orig_src"]]
    assert texts
    assert_type(table["orig_proto"] == "tcp", npt.NDArray[np.bool_])
    assert_type(table["orig_proto"][0], str | Unknown | None)
    assert_type(table["orig_proto_number"], npt.NDArray[Any])
    assert_type(table["status"], FlagColumn)
    assert_type(table["status"].has("ASSURED"), npt.NDArray[np.bool_])
    assert_type(table["orig_src"], AddressColumn)
    assert_type(table["orig_src"].tolist(), list[str | None])
    assert_type(table.select("orig_src", "orig_bytes"), FlowTable)
    assert_type(table.to_dicts(), list[dict[str, Any]])
    assert_type(table.rows("mark", "zone"), Iterator[tuple[Any, ...]])
    assert table.mark  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    table["orig_bytes"] = 5  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


def arrange(table: FlowTable) -> None:
    assert_type(table[:10], FlowTable)
    assert_type(table[table["orig_bytes"] > 1_000_000], FlowTable)
    assert_type(table[[3, 1]], FlowTable)
    assert_type(table.sort("orig_bytes", descending=True), FlowTable)
    assert_type(table.sort(["orig_src", "orig_dport"]), FlowTable)
    assert_type(table.group_sum("orig_src", ["orig_bytes"]), FlowTable)
    assert_type(FlowTable.concat([table, table]), FlowTable)
    assert_type(FlowTable({"mark": np.zeros(3, np.uint32)}), FlowTable)
    assert table[5]  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert table["mark", "zone"]  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    table.sort(0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def leave(table: FlowTable) -> None:
    assert_type(table.to_polars(), polars.DataFrame)
    print(table.to_arrow())
    print(table.to_pandas())
