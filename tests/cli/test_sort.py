"""``--sort``, ``--limit`` and ``--columns``."""

from __future__ import annotations

import json

import pytest

from support.ctool import ours
from support.entries import fill, last_words

pytestmark = pytest.mark.usefixtures("netns")


def test_sort_and_limit() -> None:
    fill(100)
    done = ours("-L", "--sort", "-dport,src", "--limit", "5", "--columns", "src,dport,state")
    assert done.out.splitlines() == [
        "src        dport  state",
        "10.0.0.3     443  ESTABLISHED",
        "10.0.0.12    443  ESTABLISHED",
        "10.0.0.18    443  ESTABLISHED",
        "10.0.0.27    443  ESTABLISHED",
        "10.0.0.33    443  ESTABLISHED",
    ]
    assert last_words(done) == "5 flow entries have been shown."
    everything = [json.loads(line) for line in ours("-L", "-o", "ndjson", "--sort", "dport")
                  .out.splitlines()]  # fmt: skip
    ports = [flow["orig"].get("dport", 1 << 16) for flow in everything]
    assert ports == sorted(ports)
    assert ports[-1] == 1 << 16  # without a port: last, whichever the order
    up = json.loads(ours("-L", "-o", "json", "--limit", "3").out)
    assert len(up["flows"]) == 3
    last = ours("-L", "-o", "ndjson", "--sort", "-dport").out.splitlines()[-1]
    assert "dport" not in json.loads(last)["orig"]


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    for option in ("--columns", "--sort"):
        done = ours("-L", option, "src,dprt")
        assert done.rc == 2
        assert done.err.count("\n") == 1
        assert "`dprt': do you mean `dport'?" in done.err


def test_columns_as_csv() -> None:
    fill(1)
    done = ours("-L", "-o", "csv", "--columns", "src,status,helper")
    assert done.out == "src,status,helper\n10.0.0.0,SEEN_REPLY|ASSURED|CONFIRMED,\n"
