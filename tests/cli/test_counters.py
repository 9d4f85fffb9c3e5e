"""``-C`` and ``-S`` as JSON."""

from __future__ import annotations

import json

import pytest

from support.ctool import Result, ours
from support.entries import fill, last_words

pytestmark = pytest.mark.usefixtures("netns")


def test_counts_and_statistics_as_json() -> None:
    fill(3)
    assert json.loads(ours("-C", "-o", "json").out) == {"schema": "pyconntrack/1", "count": 3}
    assert json.loads(ours("-C", "-o", "ndjson").out) == {"count": 3}
    stats = json.loads(ours("-S", "-o", "json").out)
    assert stats["stats"][0]["cpu"] == 0
    lines = ours("-S", "-o", "ndjson").out.splitlines()
    assert [json.loads(line) for line in lines] == stats["stats"]
    for words in ("xml", "json,id", "extended"):
        done = ours("-C", "-o", words)
        assert done.rc == 2
        assert last_words(Result(2, "", done.err.splitlines()[0])) == (
            "Illegal option `--output' with this command"
        )
