"""``conntrack doctor``: its command line, its output and its exit codes."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from pyconntrack import Conntrack
from pyconntrack.doctor import snapshot
from support import terminal
from support.ctool import ours, ours_argv
from support.entries import fill
from support.netns import Namespace, fresh_netns

pytestmark = pytest.mark.usefixtures("netns")


def refused(*words: str, message: str) -> None:
    """Assert that a command line is refused with ``message``, and so by --check."""
    done = ours(*words)
    assert (done.rc, done.out) == (2, "")
    assert done.err.splitlines()[0].endswith(f": {message}")
    done = ours(words[0], "--check", *words[1:])
    assert (done.rc, done.out, done.err) == (3, f"CONNTRACK UNKNOWN - {message}\n", "")


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
    schema = json.loads(files("pyconntrack").joinpath("schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
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
    refused("doctor", *words, message=message)


def test_options_that_a_plugin_does_not_heed_are_refused() -> None:
    for words in (["-o", "json"], ["--all"]):
        done = ours("doctor", "--check", *words)
        message = f"doctor: --check prints one line: {words[0]} has no meaning with it"
        assert (done.rc, done.out) == (3, f"CONNTRACK UNKNOWN - {message}\n")


@pytest.mark.parametrize("count", [0, 3])
def test_what_was_saved_is_examined_later(tmp_path: Path, count: int) -> None:
    if count:
        fill(count)
    seen, anonymous = str(tmp_path / "seen"), str(tmp_path / "anonymous")
    first = ours("doctor", "--for", "0", "--save", seen)
    again = ours("doctor", "--load", seen, "--save", anonymous, "--anonymize")
    assert (again.rc, again.out, again.err) == (0, first.out, "")
    later = ours("doctor", "--load", anonymous)
    assert later.rc == 0
    assert later.out.startswith("anonymous, Linux ")
    assert later.out.splitlines()[1:] == first.out.splitlines()[1:]
    assert "10.0." not in Path(anonymous).read_text(encoding="ascii")


def test_files_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    path = str(tmp_path / "wrong")
    missing = f"doctor: --load: {path}: No such file or directory"
    exists = f"doctor: --save: {path}: File exists"
    truncated = f"doctor: --load: {path}: it is no snapshot, or not all of one: it is no JSON"
    refused("doctor", "--load", path, message=missing)
    refused("doctor", "--anonymize", message="doctor: --anonymize belongs to --save FILE")
    elsewhere = "doctor: --netns and --load: what was saved was seen elsewhere"
    refused("doctor", "--load", path, "--netns", "1", message=elsewhere)
    Path(path).write_text("{", encoding="ascii")
    refused("doctor", "--load", path, message=truncated)
    refused("doctor", "--save", path, message=exists)


def test_another_namespace_is_looked_at(netns: Namespace) -> None:
    fill(2)
    path = f"/proc/{os.getpid()}/fd/{netns.fd}"
    with fresh_netns():
        done = ours("doctor", "--for", "0", "--netns", path)
        assert (": 2 entries of " in done.out, done.err) == (True, "")
        with Conntrack(path) as there, Conntrack() as here:
            assert [snapshot(ct, 0).counts for ct in (there, here)] == [(2, 2), (0, 0)]
            names = [snapshot(ct, 0).netns for ct in (there, here)]
        assert names[0] == f"net:[{netns.inode}]" != names[1]
    done = ours("doctor", "--check", "--netns", "nowhere")
    assert (done.rc, done.err) == (3, "")
    said = "CONNTRACK UNKNOWN - --netns: there is no network namespace `nowhere'"
    assert done.out.startswith(said)


def test_a_terminal_shows_that_it_looks_until_it_has_looked() -> None:
    code, shown = terminal.run([*ours_argv(), "doctor", "--for", "1", "table-full"])
    assert code == 0
    assert shown.startswith("looking for 1 s ...\r\x1b[K")
    assert "looked at for 1." in shown
    code, shown = terminal.run([*ours_argv(), "doctor", "--for", "0", "table-full"])
    assert "looking" not in shown
