"""A table as Arrow, pandas, polars, DuckDB and Parquet: the same values, and always the same types.

Where one of these packages is missing, its tests are skipped, and say which.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconntrack import Flow, FlowTable, Tuple
from pyconntrack.columnar import arrow
from pyconntrack.columnar.table_columns import COLUMNS, DEFAULT, PACKED
from support.messages import batch

FLOWS = st.builds(batch, st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 12))
ROWS = [
    Flow(
        Tuple("10.0.0.1", "10.0.0.2", "tcp", 1, 80), status=["ASSURED", "SEEN_REPLY"], mark=7,
        tcp_state="ESTABLISHED", timestamp_start=1_700_000_000_123_456_789, labels=[1, 5],
        orig_bytes=2**40, helper="ftp",
    ),
    Flow(Tuple("2001:db8::1", "2001:db8::2", "udp", 1, 53), mark=0, orig_bytes=10),
    Flow(Tuple("10.0.0.1", "10.0.0.2", 99), orig_bytes=5, status=1 << 20),
]  # fmt: skip


def built(messages: list[bytes], **options: Any) -> FlowTable:
    data = b"".join(messages)
    return FlowTable.from_batches([(data, len(data))] if data else [], **options)


@pytest.fixture
def table() -> FlowTable:
    return built([flow.message for flow in ROWS])


def exported(value: Any) -> Any:
    """A value of a row as Arrow has it: nested lists and plain texts."""
    if isinstance(value, frozenset):
        return {str(word) for word in value}
    if isinstance(value, np.datetime64):
        return int(value.astype(np.int64))
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, (int, bytes)):
        return value
    return str(value).encode("utf-8", "replace").decode()


@settings(max_examples=25)  # each has 87 columns
@given(FLOWS)
def test_arrow_has_the_same_values(messages: list[bytes]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = built(messages, columns=COLUMNS)
    read = table.to_arrow()
    read.validate(full=True)
    want = zip(*table, strict=True)
    for name, values in zip(table.columns, want, strict=True):
        if name.startswith("timestamp_"):
            got = read[name].cast(pyarrow.int64()).to_pylist()
        else:
            got = read[name].to_pylist()
        if name == "status":
            got = [None if value is None else set(value) for value in got]
        assert got == [exported(value) for value in values], name


def test_types_are_the_same_whatever_the_rows_have(table: FlowTable) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    for columns in (None, [*COLUMNS]):
        whole = built([flow.message for flow in ROWS], columns=columns)
        want = whole.to_arrow().schema
        for rows in ([], [1], [0, 1]):
            some = built([ROWS[row].message for row in rows], columns=columns)
            assert some.to_arrow().schema.equals(want)
    assert want.field("mark").type == pyarrow.uint32()
    assert want.field("orig_bytes").type == pyarrow.uint64()
    assert want.field("timestamp_start").type == pyarrow.timestamp("ns", "UTC")
    word = pyarrow.dictionary(pyarrow.int16(), pyarrow.string())
    assert want.field("tcp_state").type == word
    assert want.field("status").type == pyarrow.list_(word)
    assert want.field("labels").type == pyarrow.list_(pyarrow.uint8())
    assert want.field("orig_src").type == pyarrow.string()
    assert want.field("orig_src_packed").type == pyarrow.binary()
    sums = pyarrow.table(table.group_sum("orig_src", "orig_bytes"))
    assert sums.schema.names == ["orig_src", "flows", "orig_bytes"]


def test_successive_tables_are_joined(table: FlowTable, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    empty = built([])
    parts = [empty, table, table[1:2], empty]
    joined = pyarrow.concat_tables([part.to_arrow() for part in parts])
    assert joined.to_pylist() == FlowTable.concat(parts).to_arrow().to_pylist()
    assert joined.num_rows == 4
    assert joined["tcp_state"].unify_dictionaries().to_pylist() == ["ESTABLISHED", None, None, None]


def test_a_large_table_comes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    messages = batch(3, 4, 50)
    table = built(messages)
    want = table.to_arrow().to_pylist()
    monkeypatch.setattr(arrow, "BATCH", 7)
    read = pyarrow.table(table)
    assert read["mark"].num_chunks == 8
    read.validate(full=True)
    assert read.to_pylist() == want
    reader = pyarrow.RecordBatchReader.from_stream(table)
    assert reader.read_next_batch().num_rows == 7


def test_an_array_outlives_the_table_and_its_neighbours() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    column = pyarrow.table(built([flow.message for flow in ROWS]))["status"]
    pyarrow.RecordBatchReader.from_stream(built([ROWS[0].message]))  # that nobody reads
    built([ROWS[0].message]).__arrow_c_stream__()  # the same
    gc.collect()
    assert column.to_pylist() == [["SEEN_REPLY", "ASSURED"], None, ["1048576"]]


def test_pandas(table: FlowTable) -> None:
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame.columns) == [*DEFAULT]
    assert frame["orig_bytes"].sum() == 2**40 + 15
    assert frame["mark"].isna().tolist() == [False, False, True]
    assert frame["orig_src"].tolist() == table["orig_src"].tolist()
    assert (frame["orig_proto"] == "tcp").tolist() == [True, False, False]
    assert frame["status"].str.join("|").tolist()[0] == "SEEN_REPLY|ASSURED"
    assert frame["timestamp_start"][0] == pandas.Timestamp(1_700_000_000_123_456_789, tz="UTC")
    for part in (table[:0], table[1:2]):
        assert part.to_pandas().dtypes.map(str).tolist() == frame.dtypes.map(str).tolist()
    assert str(frame["mark"].dtype) == "UInt32"
    assert str(frame["tcp_state"].dtype) == "category"
    both = pandas.concat([table[:1].to_pandas(), table[1:2].to_pandas()])
    assert str(both["orig_proto"].dtype) == "category"


def test_pandas_takes_a_table_as_it_is(table: FlowTable) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table)
    assert list(frame.columns) == [*DEFAULT]
    assert frame["orig_bytes"].tolist() == [2**40, 10, 5]
    assert frame["tcp_state"].tolist()[0] == "ESTABLISHED"
    assert frame["timestamp_start"].dtype == np.dtype("M8[ns]")
    if hasattr(pandas.DataFrame, "from_arrow"):
        assert list(pandas.DataFrame.from_arrow(table).columns) == [*DEFAULT]


def test_polars(table: FlowTable) -> None:
    pl = pytest.importorskip("polars")
    frame = table.to_polars()
    assert frame["orig_src"].to_list() == table["orig_src"].tolist()
    assert frame["mark"].to_list() == [7, 0, None]
    assert frame["helper"].to_list() == table["helper"].tolist()
    assert frame.filter(pl.col("status").list.contains("ASSURED"))["orig_dport"].to_list() == [80]
    assert frame.filter(pl.col("tcp_state") == "ESTABLISHED").height == 1
    assert frame["timestamp_start"].dtype == pl.Datetime("ns", "UTC")
    assert pl.DataFrame(table).equals(frame)
    assert pl.DataFrame(table[:0]).schema == frame.schema
    joined = pl.concat([pl.DataFrame(part) for part in (table[:0], table[1:], table[:1])])
    assert joined["orig_proto"].to_list() == ["udp", "99", "tcp"]


def test_duckdb_sees_a_table_by_its_name(table: FlowTable) -> None:
    duckdb = pytest.importorskip("duckdb")
    flows = table
    sums = duckdb.sql("select orig_src, sum(orig_bytes) from flows group by 1 order by 2")
    assert len(flows) == 3
    assert sums.fetchall() == [("2001:db8::1", 10), ("10.0.0.1", 2**40 + 5)]
    assured = duckdb.sql(
        "select orig_proto, tcp_state from flows where list_contains(status, 'ASSURED')"
    )
    assert assured.fetchall() == [("tcp", "ESTABLISHED")]


def test_parquet_brings_back_the_table(table: FlowTable, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    whole = table.to_arrow()
    for number, part in enumerate((table, table[:0], table[1:2])):
        parquet.write_table(part.to_arrow(), tmp_path / f"{number}.parquet")
    read = parquet.read_table(tmp_path / "0.parquet")
    assert read.to_pylist() == whole.to_pylist()
    assert read.schema.equals(whole.schema)
    every = parquet.read_table(tmp_path)
    assert every.num_rows == 4
    assert every.schema.names == [*DEFAULT]


def test_parquet_of_polars(table: FlowTable, tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    for number, part in enumerate((table, table[:0], table[1:2])):
        pl.DataFrame(part).write_parquet(tmp_path / f"{number}.parquet")
    assert pl.read_parquet(tmp_path / "0.parquet").equals(pl.DataFrame(table))
    assert pl.read_parquet(tmp_path / "*.parquet").height == 4


@pytest.mark.parametrize("package", ["pyarrow", "polars", "duckdb", "pandas"])
def test_an_interpreter_ends_well_with_a_table_in_use(package: str) -> None:
    pytest.importorskip(package)
    use = {
        "pyarrow": "kept = pyarrow.RecordBatchReader.from_stream(table); kept.schema",
        "polars": "kept = polars.DataFrame(table)",
        "duckdb": "flows = table; kept = duckdb.sql('from flows'); kept.fetchall()",
        "pandas": "kept = table.to_pandas()",
    }[package]
    code = (
        "from pyconntrack import Flow, FlowTable, Tuple\n"
        f"import {package}\n"
        "data = Flow(Tuple('10.0.0.1', '10.0.0.2', 'tcp', 1, 80), status=4).message * 1000\n"
        "table = FlowTable.from_batches([(data, len(data))])\n"
        f"{use}\nunread = table.__arrow_c_stream__()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("pyarrow", lambda table: table.to_arrow(), "arrow"),
        ("pandas", lambda table: table.to_pandas(), "pandas"),
        ("polars", lambda table: table.to_polars(), "polars"),
    ],
)
def test_a_missing_extra_is_named(
    module: str, use: Any, extra: str, table: FlowTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pyconntrack\[{extra}\]"):
        use(table)


def test_packed_addresses_have_the_length_of_their_family(table: FlowTable) -> None:
    packed = [name for name, column in COLUMNS.items() if column.form == PACKED]
    assert len(packed) == 6
    rows = [len(row[0]) for row in table.rows("orig_src_packed")]
    assert rows == [4, 16, 4]
