"""-E --limit, --for and --iso: when a stream ends by itself, and times that people read."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from pyconntrack.thresholds import BURST
from support.ctool import environment, ours, ours_argv, subscriptions
from support.netns import Namespace, sysctl
from support.traffic import TIMEOUT, eventually, track

pytestmark = pytest.mark.usefixtures("_tracking")


@pytest.fixture
def _tracking(netns: Namespace) -> None:
    track()


@contextmanager
def watching(*words: str, zone: str = "UTC") -> Iterator[subprocess.Popen[str]]:
    """-E, subscribed."""
    before = subscriptions()
    process = subprocess.Popen([*ours_argv(), "-E", *words], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               env={**environment(), "TZ": zone})  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or subscriptions() > before, "subscribing")
        yield process
    finally:
        process.kill()
        process.communicate()


def create(number: int, first: int = 0) -> None:
    """Create ``number`` entries at once."""
    lines = [f"-A -p udp -s 1.1.{n >> 8}.{n & 255} -d 2.2.2.2 --sport 1 --dport 2 -t 900\n"
             for n in range(first, first + number)]  # fmt: skip
    assert ours("-R", "-", stdin="".join(lines)).rc == 0


@pytest.mark.parametrize("number", [1, 3, BURST, 3 * BURST + 1])
@pytest.mark.parametrize("words", ["", "-p udp -e NEW", "-o json", "-o xml", "-o csv"])
def test_it_ends_after_the_limit(number: int, words: str) -> None:
    with watching("--limit", str(number), *words.split()) as process:
        create(4 * BURST)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert err.endswith(f": {number} flow events have been shown.\n")
    if "json" in words:
        assert len(json.loads(out)["events"]) == number
    elif "xml" in words:
        assert len(ElementTree.fromstring(out)) == number
    else:
        lines = out.splitlines()[1 if "csv" in words else 0 :]
        assert len(lines) == number
        # the first that came
        assert sorted(lines) == sorted({*lines})
        assert all(re.search(r"1\.1\.", line) for line in lines)


def test_only_events_that_are_shown_count() -> None:
    with watching("--limit", "2", "-s", "1.1.0.50-1.1.0.59") as process:
        create(55)
        assert process.poll() is None or process.wait() == 0
        out, _ = process.communicate(timeout=TIMEOUT)
    assert re.findall(r"src=(1\.1\.0\.\S+)", out) == ["1.1.0.50", "1.1.0.51"]


def test_a_limit_of_0_shows_nothing() -> None:
    with watching("--limit", "0") as process:
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (0, "")
    assert err.endswith(": 0 flow events have been shown.\n")


def test_it_ends_after_a_time() -> None:
    with watching("--for", "1s") as process:
        create(3)
        out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert out.count("[NEW]") == 3
    assert err.endswith(": 3 flow events have been shown.\n")


def test_expectations_end_as_well() -> None:
    with watching("expect", "--for", "1") as process:
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (0, "")
    assert err.endswith(": 0 expectation events have been shown.\n")


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Asia/Kolkata", 5.5), ("EST5", -5)])
@pytest.mark.parametrize("kernel", [0, 1])
def test_times_of_events(zone: str, hours: float, kernel: int) -> None:
    sysctl("nf_conntrack_timestamp", kernel)
    before = datetime.now(UTC)
    with watching("-o", "timestamp", "--iso", "--limit", "1", zone=zone) as process:
        create(1)
        out, _ = process.communicate(timeout=TIMEOUT)
    after = datetime.now(UTC)
    match = re.match(r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d)\]\t", out)
    assert match, out
    moment = datetime.fromisoformat(match[1])
    assert moment.utcoffset() == timedelta(hours=hours)
    assert before <= moment + timedelta(microseconds=1)
    assert moment <= after


def test_times_of_entries() -> None:
    sysctl("nf_conntrack_timestamp", 1)
    before = datetime.now(UTC).replace(microsecond=0)
    create(2)
    done = ours("-L", "-o", "ktimestamp", "--iso")
    found = re.findall(r"delta-time=\d+ \[start=(\S+)\]", done.out)
    assert len(found) == 2
    for text in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", text)
        assert before <= datetime.fromisoformat(text) <= datetime.now(UTC)
    # without the option all is as it was
    assert re.search(r"\[start=[A-Z][a-z]{2} [A-Z][a-z]{2} ", ours("-L", "-o", "ktimestamp").out)
