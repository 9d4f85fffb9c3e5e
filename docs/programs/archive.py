"""Keep the table in Parquet files, one a call, and sum them up: ``archive.py DIRECTORY``."""

import sys
import time
from pathlib import Path

import polars as pl

from pyconntrack import Conntrack

COLUMNS = ["orig_src", "orig_dst", "orig_proto", "orig_dport", "orig_bytes", "reply_bytes"]


def archive(ct: Conntrack, directory: Path) -> Path:
    """Write the table to a new file; return its path."""
    path = directory / f"{time.time_ns()}.parquet"
    pl.DataFrame(ct.table(columns=COLUMNS)).write_parquet(path)
    return path


def flows_of_each_file(directory: Path) -> pl.DataFrame:
    """Return how many flows of each protocol each file has."""
    every = pl.scan_parquet(directory / "*.parquet", include_file_paths="file")
    return every.group_by("file", "orig_proto").len("flows").sort("file", "orig_proto").collect()


if __name__ == "__main__":
    with Conntrack() as ct:
        archive(ct, Path(sys.argv[1]))
    print(flows_of_each_file(Path(sys.argv[1])))
