"""``conntrack doctor``: its command line, its output and its exit codes."""

from __future__ import annotations

import json
import os

import pytest

from support.ctool import ours
from support.entries import fill

pytestmark = pytest.mark.usefixtures("netns")


def test_one_look_reports_the_namespace_and_what_is_wrong() -> None:
    fill(3)
    done = ours("doctor", "--for", "0")
    assert (done.rc, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.startswith(f"{os.uname().nodename}, Linux {os.uname().release}, namespace ")
    assert ": 3 entries of " in head
    assert head.endswith("looked at once")
    assert lines[-1].startswith("ok    ")
    assert lines[-1].endswith("(--all shows them)") or lines[-1].endswith("(--all shows it)")


def test_all_shows_each_check() -> None:
    listed = ours("doctor", "--help").out.partition("Checks:\n")[2]
    codes = {line.split()[0] for line in listed.splitlines()}
    lines = ours("doctor", "--for=0", "--all").out.splitlines()[1:]
    assert {line.split()[1] for line in lines if not line.startswith(" ")} == codes


def test_json_has_what_the_text_has() -> None:
    document = json.loads(ours("doctor", "--for", "0", "-o", "json").out)
    assert document["schema"] == "pyconntrack/1"
    assert document["doctor"]["entries"] == 0
    text = ours("doctor", "--for", "0", "--all").out
    codes = [line.split()[1] for line in text.splitlines()[1:] if not line.startswith(" ")]
    assert [finding["code"] for finding in document["findings"]] == codes


def test_a_plugin_prints_one_line_and_its_exit_code_is_the_severity() -> None:
    done = ours("doctor", "--check", "--for", "0", "table-full")
    assert (done.rc, done.err) == (0, "")
    assert done.out.startswith("CONNTRACK OK - 1 check | entries=0;;;0;")
    assert done.out.count("\n") == 1
    done = ours("doctor", "--check", "--for", "0", "accounting")
    assert (done.rc, done.out.split(" - ")[0]) == (1, "CONNTRACK WARNING")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chekc"], "doctor: unknown option `--chekc': do you mean `--check'?"),
        (["tabel-full"], "doctor: unknown check 'tabel-full': do you mean `table-full'?"),
        (["-o", "xml"], "doctor: unknown format `xml': text or json"),
        (["--for"], "doctor: --for needs a value: TIME"),
        (["--for", "1", "--for", "2"], "doctor: --for is given twice"),
        (["--all=1"], "doctor: --all takes no value"),
        (["--for", "x"], "Invalid --for `x': a number from 0 to 86400 is expected, or a time"
                         " such as 90s, 1h30m"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_bad_words_are_one_line(words: list[str], message: str) -> None:
    done = ours("doctor", *words)
    assert (done.rc, done.out) == (2, "")
    assert done.err.splitlines()[0].endswith(f": {message}")
    done = ours("doctor", "--check", *words)
    assert (done.rc, done.out, done.err) == (3, f"CONNTRACK UNKNOWN - {message}\n", "")
