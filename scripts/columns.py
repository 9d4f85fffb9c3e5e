"""Generate the page of the columns of a FlowTable."""

from __future__ import annotations

from pyconntrack.columnar.table_columns import (
    ADDRESS,
    COLUMNS,
    DEFAULT,
    FLAG,
    NUMBER,
    NUMBERS,
    OCTETS,
    PACKED,
    TEXTS,
    TIME,
    WORD,
    TableColumn,
)

#: form -> what ``table[name]`` is, the type in Arrow, and how both show that a row has no value
FORMS = {
    WORD: ("`WordColumn`", "dictionary of utf8", "`None`"),
    FLAG: ("`FlagColumn`", "list of dictionary of utf8", "`None`"),
    ADDRESS: ("`AddressColumn`", "utf8", "`None`"),
    PACKED: ("(n, 16) uint8", "binary, 4 or 16 bytes", "zeros"),
    TIME: ("datetime64[ns]", "timestamp[ns, UTC]", "NaT"),
    TEXTS: ("object: `str`", "utf8", "`None`"),
    OCTETS: ("object: `bytes`", "binary", "`None`"),
    NUMBERS: ("object: `tuple[int, ...]`", "list of uint8", "`None`"),
}


def _line(column: TableColumn) -> str:
    number = column.dtype.name
    shown, arrow, absent = FORMS.get(column.form, (number, number, "0"))
    return f"| `{column.name}` | {shown} | {arrow} | {absent} |\n"


def page() -> str:
    """Return the page."""
    assert set(FORMS) | {NUMBER} == {column.form for column in COLUMNS.values()}
    head = "| Column | `table[name]` | In Arrow | Where a row has none |\n|---|---|---|---|\n"
    asked = [name for name in COLUMNS if name not in DEFAULT]
    return (
        "# Columns of a table\n\n"
        "The columns that [`table()`](tables.md) can give, generated from the schema; what each\n"
        "means is on the page of the [fields](fields.md). In Arrow, and so in pandas, polars,\n"
        "DuckDB and Parquet, a value that a row lacks is null in every column.\n\n"
        f"## Without `columns=`\n\nIn this order, whatever the flows have.\n\n"
        f"{head}{''.join(_line(COLUMNS[name]) for name in DEFAULT)}\n"
        "## On request\n\n"
        "The numbers of words, the bits of `status`, and the bytes of addresses.\n\n"
        f"{head}{''.join(_line(COLUMNS[name]) for name in asked)}"
    )
