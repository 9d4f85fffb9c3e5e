"""``make bench`` runs to its end and says what it measured; how fast is not asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.jobs import Row
from bench.measure import Sample
from bench.report import text

from support.ctool import c_tool
from support.netns import Namespace, unavailable

ROOT = Path(__file__).resolve().parent.parent


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.usefixtures("netns")  # skips, with the reason, where there is no namespace to be had
def test_a_small_run_ends_well_and_prints_a_table(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        unavailable("the measurements need root")
    tool = c_tool()
    picture = tmp_path / "picture.svg"
    jobs = "^(growth|-L|-L -s CIDR|-D one|load -R.*)$"
    done = bench(
        *("--max", "1000", "--rounds", "1", "--only", jobs, "--c-tool", tool),
        *("--out", str(tmp_path), "--svg", str(picture)),
    )
    assert done.returncode == 0, done.stderr
    heads = done.stdout.splitlines()
    assert any(line.startswith("job ") and "ratio" in line for line in heads)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["entries"] == 1000
    rows = {row["job"]: row for row in results["rows"]}
    assert list(rows) == ["-L, 1,000 entries", "-L", "-L -s CIDR", "-D one", "load -R", "-R ndjson"]
    for name, row in rows.items():
        assert None not in (row["ours"], row["theirs"]), (name, row["notes"])
        assert row["ratio"] > 0
        assert any(line.startswith(name) for line in heads)
    assert rows["-L, 1,000 entries"]["floor"]
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_nonsense_options_are_refused(netns: Namespace) -> None:
    assert bench("--max", "10").returncode == 2
    assert bench("--only", "(").returncode == 2


def test_what_is_near_the_floor_is_no_miss() -> None:
    def seconds(value: float) -> Sample:
        return Sample(value, value, 10)

    row = Row("-L", "list", theirs=seconds(4), target=0.45)
    for ours, floor, verdict in (
        (1.7, None, "ok"), (2.0, None, "MISS"), (2.0, 1.2, "MISS"), (2.0, 1.9, "floor"),
    ):  # fmt: skip
        row.ours, row.floor = seconds(ours), seconds(floor) if floor else None
        assert row.verdict == verdict
    told = text(row, 1_000_000)
    assert " floor" in told
    assert "the floor alone is 0.47 of the reference here; ours is 1.05 of the floor" in told
