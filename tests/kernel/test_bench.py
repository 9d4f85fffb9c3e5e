"""``make bench`` runs to its end and says what it measured; how fast is not asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench import child, netlink
from bench.churn import heard
from bench.jobs import Row
from bench.measure import NotAvailable, Sample
from bench.report import text

from support import ROOT
from support.ctool import c_tool
from support.netns import Namespace, unavailable


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
    jobs = "^(growth|-L|-L --count-by|-L -s CIDR|-D one|load -R.*|events.*|churn.*)$"
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
    compared = ["-L, 1,000 entries", "-L", "-L -s CIDR", "-D one", "load -R",
                "-L --count-by proto,state", "-L --count-by src", "-R ndjson"]  # fmt: skip
    events = ["at 20,000/s", "not wanted"]
    counted = ["-E, events/s without loss", "-E, flooded: accounted for",
               "-D under churn: wrong", "-U under churn: wrong"]  # fmt: skip
    assert list(rows) == [*compared, *(f"-E, CPU an event {what}" for what in events), *counted]
    for name, row in rows.items():
        assert row["ours"] is not None, (name, row["notes"])
        assert any(line.startswith(name) for line in heads)
    for name in compared:
        assert rows[name]["theirs"] is not None, (name, rows[name]["notes"])
        assert rows[name]["ratio"] > 0
    assert rows["-L, 1,000 entries"]["floor"]
    assert rows["-E, flooded: accounted for"]["ours"]["wall"] == 100
    for verb in ("-D", "-U"):
        told = rows[f"{verb} under churn: wrong"]["notes"][-1]
        assert re.match(r"ours: \d+ of \d+ wrong, under [\d,]+ reuses a second", told)
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("request_", [netlink.FORGET, netlink.mark(7)], ids=["delete", "update"])
def test_a_change_of_an_entry_that_came_anew_is_wrong(request_: bytes) -> None:
    with netlink.listen(1 << 20) as events, netlink.connect() as changer:
        netlink.populate(10)
        with netlink.connect(child.CHURNER) as churner:
            churner.send(netlink.batch(netlink.FORGET + netlink.create(netlink.OTHER), [3, 7]))
        changer.send(netlink.batch(request_, range(10)))
        assert heard(events) == (10, 2)


@pytest.mark.usefixtures("netns")
def test_where_an_event_was_lost_the_wrong_changes_are_unknown() -> None:
    with netlink.listen(4096) as events, netlink.connect() as changer:
        netlink.populate(100)
        changer.send(netlink.batch(netlink.FORGET, range(100)))
        with pytest.raises(NotAvailable, match=r"\d+ events were lost"):
            heard(events)


@pytest.mark.usefixtures("netns")
def test_each_request_of_the_generator_is_an_event() -> None:
    with netlink.listen(1 << 26) as events:
        netlink.populate(child.POOL)
        for _ in range(2):  # in the second run the marks are what they were
            sent, _seconds = child.generate("200000", "0.05")
            assert heard(events) == (sent, 0)


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


def test_a_bound_holds_whatever_the_reference_takes() -> None:
    wrong = Row("-D under churn", "churn", theirs=Sample(0, 1, 10), bound=50, unit="ppm")
    rate = Row("-E", "events", bound=300, unit="k/s", more_is_better=True)
    for row, figure, floor, verdict in (
        (wrong, 50, None, "ok"), (wrong, 51, None, "MISS"),
        (rate, 300, None, "ok"), (rate, 299, None, "MISS"), (rate, 299, 299, "floor"),
    ):  # fmt: skip
        row.ours = Sample(figure, 1, 10)
        row.floor = Sample(floor, 1, 10) if floor else None
        assert row.verdict == verdict
        assert f"{'>' if row is rate else '<'}={row.bound}" in text(row, 1000)
