"""Count the flows of each destination port: with polars, with SQL in DuckDB, and in pandas."""

import duckdb
import polars as pl

from pyconntrack import Conntrack


def by_port(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the number of flows of each destination port, the largest first."""
    return frame.group_by("orig_dport").len("flows").sort("flows", descending=True)


if __name__ == "__main__":
    with Conntrack() as ct:
        table = ct.table(columns=["orig_src", "orig_dst", "orig_proto", "orig_dport"])
    frame = pl.DataFrame(table)
    print(by_port(frame))
    answer = duckdb.sql(
        "select orig_dport, count(*) as flows from frame group by all order by flows desc"
    )
    print(answer)
    print(table.to_pandas().head())
    print(table.to_arrow().schema)
