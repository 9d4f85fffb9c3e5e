"""Structured output, expression filters and safe bulk changes, on a real kernel's table."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pyconntrack import Conntrack, Event
from support.ctool import Result, ours, ours_argv
from support.netns import Namespace

pytestmark = pytest.mark.usefixtures("netns")


def _line(number: int) -> str:
    host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    port = 1000 + number % 60000
    if number % 5 < 2:
        return (f"-A -t 1000 -u SEEN_REPLY,ASSURED -s {host} -d 192.168.{number % 7}.1 -p udp "
                f"--sport {port} --dport {53 if number % 3 else 123}")  # fmt: skip
    if number % 5 < 4:
        return (f"-A -t 2000 -u SEEN_REPLY,ASSURED -s {host} -d 192.168.{number % 7}.2 -p tcp "
                f"--sport {port} --dport {80 if number % 3 else 443} "
                "--state ESTABLISHED")  # fmt: skip
    if number % 10 == 4:
        return (f"-A -t 300 -s 2001:db8::{number >> 16:x}:{number & 65535:x} -d 2001:db8::1 -p tcp "
                f"--sport {port} --dport 443 --state SYN_SENT -m {number % 9}")  # fmt: skip
    return (f"-A -t 900 -s {host} -d 1.1.1.1 -p icmp --icmp-type 8 --icmp-code 0 "
            f"--icmp-id {number % 65536}")  # fmt: skip


def _fill(count: int, *more: str) -> None:
    text = "".join(_line(number) + "\n" for number in range(count))
    done = ours("-R", "-", stdin=text + "".join(line + "\n" for line in more))
    assert done.rc == 0, done.err


def _flows(*arguments: str) -> list[dict[str, object]]:
    done = ours("-L", "-o", "ndjson", *arguments)
    assert done.rc == 0, done.err
    flows = [json.loads(line) for line in done.out.splitlines()]
    for flow in flows:
        for name in ("id", "use", "timeout"):
            flow.pop(name, None)
    return sorted(flows, key=repr)


def _count() -> int:
    return int(ours("-C").out)


def _said(done: Result) -> str:
    """The last line of what it said, without its name."""
    return done.err.splitlines()[-1].partition("): ")[2]


NAT = (
    "-A -s 1.1.1.1 -d 2.2.2.2 -n 9.9.9.9 -p tcp --sport 1 --dport 2 --state ESTABLISHED -t 999 "
    "-u ASSURED,SEEN_REPLY -w 3",
    "-A -s 1.1.1.1 -d 2.2.2.2 -g 9.9.9.9 -p udp --sport 1 --dport 2 -t 999 -m 5",
    "-A -s 1.1.1.1 -d 2.2.2.2 -p gre --srckey 1 --dstkey 2 -t 999 -m 5",
    "-A -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 999 -m 5",
    "-A -s 1.1.1.1 -d 2.2.2.2 -p sctp --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 3 "
    "--reply-vtag 4 -t 999",
)


# ---- expressions --------------------------------------------------------------------------------


def test_where_selects_and_a_wrong_one_changes_nothing() -> None:
    _fill(100)
    shown = ours("-L", "--where", "proto == udp and dport == 53 and assured")
    assert shown.out.count("\n") == ours("-L", "-p", "udp", "--dport", "53").out.count("\n") > 0
    wrong = ours("-D", "--where", "proto == udp and dprot == 53")
    assert wrong.rc == 2
    assert wrong.err.count("\n") == 1
    assert "column 18" in wrong.err
    assert "`dport'" in wrong.err
    assert _count() == 100


@pytest.mark.parametrize("verb", ["-L", "-D", "-U", "-E", "-F"])
def test_explain_does_nothing(verb: str) -> None:
    _fill(10)
    more = ("-m", "7") if verb == "-U" else ()
    where = () if verb == "-F" else ("--where", "proto == tcp and packets > 5 or mark == 1")
    done = ours(verb, "--explain", *more, *where)
    assert (done.rc, done.err) == (0, "")
    assert "kernel" in done.out
    assert _count() == 10
    assert not any(flow["mark"] == 7 for flow in _flows())


# ---- dry run, undo ------------------------------------------------------------------------------


def test_a_dry_run_says_what_the_real_one_does() -> None:
    _fill(200)
    dry = ours("-D", "-p", "udp", "-o", "save", "--dry-run")
    assert dry.rc == 0
    assert _said(dry) == "80 flow entries would be deleted (nothing was changed)."
    assert _count() == 200
    real = ours("-D", "-p", "udp", "-o", "save")
    assert _without_timeout(real.out) == _without_timeout(dry.out)
    assert ours("-D", "-p", "udp", "--dry-run").rc == ours("-D", "-p", "udp").rc == 1
    dry = ours("-U", "-p", "tcp", "-m", "77", "--dry-run")
    assert _said(dry) == "100 flow entries would be updated (nothing was changed)."
    assert dry.out.count("mark=77 ") == 100
    assert "mark=77" not in ours("-L").out
    assert ours("-F", "--dry-run").rc == 0
    assert _count() == 120


def _without_timeout(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        words = line.split()
        words[words.index("-t") + 1] = "T"
        lines.append(" ".join(words))
    return sorted(lines)


@pytest.mark.parametrize("change", [("-D",), ("-F",), ("-U", "-m", "99")])
def test_undo_restores(change: tuple[str, ...], tmp_path: Path) -> None:
    _fill(300, *NAT)
    before = _flows()
    undo = tmp_path / "undo"
    done = ours(*change, "--undo", str(undo))
    assert done.rc == 0, done.err
    assert _flows() != before
    assert undo.read_text().count("\n") == 305
    again = ours("-R", str(undo))
    assert (again.rc, again.err) == (0, "")
    assert _flows() == before


def test_an_undo_file_holds_what_is_deleted_and_no_more(tmp_path: Path) -> None:
    _fill(100)
    done = ours("-D", "-p", "icmp", "-o", "ndjson", "--undo", str(tmp_path / "undo"))
    assert done.out == (tmp_path / "undo").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["undo"]


def test_nothing_is_changed_where_the_undo_file_cannot_be_written(tmp_path: Path) -> None:
    _fill(10)
    for path in (tmp_path / "no" / "such", tmp_path, Path("/dev/null")):
        for change in (("-D",), ("-F",), ("-U", "-m", "9")):
            done = ours(*change, "--undo", str(path))
            assert done.rc == 2
            assert done.err.count("\n") == 1
            assert "nothing was changed" in done.err
    assert _count() == 10
    assert Path("/dev/null").is_char_device()


# ---- many filters -------------------------------------------------------------------------------


def test_from_file_deletes_what_any_line_matches(tmp_path: Path) -> None:
    _fill(200)
    file = tmp_path / "filters"
    file.write_text(
        "# comment\n-p udp --dport 53\n\n-s 10.0.0.0/28\n-s 10.0.0.2\n--dport 443,444\n"
        "-D -s 99.9.9.9\n"
    )
    dry = ours("-D", "--from-file", str(file), "--dry-run")
    assert _count() == 200
    done = ours("-D", "--from-file", str(file))
    counts = dict(line.removeprefix("line ").split(": ") for line in done.err.splitlines()
                  if line.startswith("line"))  # fmt: skip
    assert counts == {"2": "53 deleted", "4": "14 deleted", "5": "1 deleted", "6": "47 deleted",
                      "7": "0 deleted"}  # fmt: skip
    deleted = done.out.count("\n")
    assert f"{deleted} flow entries have been deleted." in done.err
    assert f"{deleted} flow entries would be deleted" in dry.err
    assert _count() == 200 - deleted


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-s 1.2.3.999", "line 2: Invalid IP address `1.2.3.999'"),
        ("-p tcp --dport 99999", "line 2: Invalid port"),
        ("--undo x", "line 2: `--undo' belongs on the command line"),
        ("-o xml", "line 2: only filters can stand in the file"),
        ("-D", "line 2: a filter is expected"),
        ("-s 1.1.1.1 -d ::1", "line 2: mismatched address family"),
        ('"', "line 2: a double quote"),
    ],
)
def test_a_wrong_line_stops_before_anything_is_deleted(
    line: str, said: str, tmp_path: Path
) -> None:
    _fill(10)
    file = tmp_path / "filters"
    file.write_text(f"-s 10.0.0.0/8\n{line}\n")
    done = ours("-D", "--from-file", str(file))
    assert done.rc == 2
    assert done.err.count("\n") == 1
    assert said in done.err
    assert _count() == 10


# ---- NDJSON -------------------------------------------------------------------------------------


def test_ndjson_goes_round() -> None:
    _fill(200, *NAT)
    before = _flows()
    text = ours("-L", "-o", "ndjson").out
    ours("-F")
    done = ours("-R", "-", stdin=text)
    assert (done.rc, done.err) == (0, "")
    assert _flows() == before


def test_events_of_the_library_go_round() -> None:
    _fill(1)
    with Conntrack() as ct:
        (flow,) = ct.dump()
    line = json.dumps(Event("NEW", flow, synthetic=True).to_dict())
    before = _flows()
    ours("-F")
    done = ours("-R", "-", stdin=line)
    assert (done.rc, done.err) == (0, "")
    assert _flows() == before


def test_a_pipeline_changes_marks() -> None:
    _fill(100)
    lines = []
    for line in ours("-L", "-p", "udp", "-o", "ndjson").out.splitlines():
        flow = json.loads(line)
        lines.append(json.dumps({"orig": flow["orig"], "mark": 4711}))
    done = ours("-R", "-", stdin="\n".join(lines) + "\n")
    assert (done.rc, done.err) == (0, "")
    assert len(_flows("-m", "4711")) == len(lines) == 40


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ('{"stauts":1}', "no member `stauts': do you mean `status'?"),
        ('{"orig":{"src":"1.1.1.1","dprt":3}}', "`orig.dprt': do you mean `orig.dport'?"),
        ('{"orig":{"src":"1.1.1.1","dport":"x"}}', "orig.dport: a whole number is wanted"),
        ('{"orig":{"src":"1.1.1"}}', "orig.src: an IPv4 or IPv6 address is wanted"),
        ('{"orig":{"src":"1.1.1.1","proto":"tpc"}}', "'tpc' is none of icmp, tcp"),
        ('{"orig":[]}', "orig: an object is wanted"),
        ('{"status":["X"]}', "'X' is none of EXPECTED"),
        ('{"mark":true}', "mark: a whole number is wanted"),
        ('{"mark":4294967296}', "mark: 4294967296 is not in"),
        ('{"timeout":1}', "neither orig.src nor reply.src"),
        ('{"timeout":1,"orig":{"src":"1.1.1.1"}}', "lacks orig.proto"),
        ('{"event":"destroy","orig":{"src":"1.1.1.1"}}', "destroyed"),
        ('{"schema":"pyconntrack/1","flows":[]}', "whole document"),
        ('{"schema":"pyconntrack/1","flows":[', "whole document: -o ndjson"),
    ],
)
def test_a_line_that_is_no_flow(line: str, said: str) -> None:
    done = ours("-R", "-", stdin=_line(0) + "\n" + line + "\n")
    assert done.rc == 2
    assert "line 2: " in done.err
    assert said in done.err
    assert _count() == 0


# ---- tables for people --------------------------------------------------------------------------


def test_sort_and_limit() -> None:
    _fill(100)
    done = ours("-L", "--sort", "-dport,src", "--limit", "5", "--columns", "src,dport,state")
    assert done.out.splitlines() == [
        "src        dport  state",
        "10.0.0.3     443  ESTABLISHED",
        "10.0.0.12    443  ESTABLISHED",
        "10.0.0.18    443  ESTABLISHED",
        "10.0.0.27    443  ESTABLISHED",
        "10.0.0.33    443  ESTABLISHED",
    ]
    assert _said(done) == "5 flow entries have been shown."
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
    _fill(1)
    done = ours("-L", "-o", "csv", "--columns", "src,status,helper")
    assert done.out == "src,status,helper\n10.0.0.0,SEEN_REPLY|ASSURED|CONFIRMED,\n"


# ---- numbers as JSON ----------------------------------------------------------------------------


def test_counts_and_statistics_as_json() -> None:
    _fill(3)
    assert json.loads(ours("-C", "-o", "json").out) == {"schema": "pyconntrack/1", "count": 3}
    assert json.loads(ours("-C", "-o", "ndjson").out) == {"count": 3}
    stats = json.loads(ours("-S", "-o", "json").out)
    assert stats["stats"][0]["cpu"] == 0
    lines = ours("-S", "-o", "ndjson").out.splitlines()
    assert [json.loads(line) for line in lines] == stats["stats"]
    for words in ("xml", "json,id", "extended"):
        done = ours("-C", "-o", words)
        assert done.rc == 2
        assert _said(Result(2, "", done.err.splitlines()[0])) == (
            "Illegal option `--output' with this command"
        )


# ---- many entries -------------------------------------------------------------------------------

MANY = 30_000


def test_a_large_table(tmp_path: Path) -> None:
    """The way of columns does what the way of single messages does."""
    _fill(MANY, *NAT)
    before = _flows()
    undo = str(tmp_path / "undo")
    dry = ours("-D", "-p", "udp", "--dry-run", "-o", "save")
    done = ours("-D", "-p", "udp", "--undo", undo, "-o", "save")
    assert _said(done) == f"{MANY * 2 // 5 + 1} flow entries have been deleted."
    assert _without_timeout(done.out) == _without_timeout(dry.out)
    assert _count() == MANY + 5 - MANY * 2 // 5 - 1
    assert ours("-R", undo).rc == 0
    assert _flows() == before

    undo = str(tmp_path / "another")
    done = ours("-U", "-m", "0x40/0xf0", "--undo", undo)
    assert done.rc == 0
    changed = sum(1 for flow in before if flow["mark"] != (int(str(flow["mark"])) & ~0xF0 ^ 0x40))
    assert _said(done) == f"{changed} flow entries have been updated."
    assert done.out.count("\n") == changed
    marks = {flow["mark"] for flow in _flows()}
    assert marks == {64 + n for n in range(9)}
    assert ours("-R", undo).rc == 0
    assert _flows() == before

    file = tmp_path / "filters"
    file.write_text("".join(f"-s 10.0.{n >> 8}.{n & 255} -p tcp\n" for n in range(10_000)))
    done = ours("-D", "--from-file", str(file), "--progress")
    expected = sum(1 for n in range(10_000) if n % 5 in (2, 3))
    assert f"{expected} flow entries have been deleted." in done.err
    assert done.err.count(": 1 deleted\n") == expected
    assert "entries read" in done.err
    assert _count() == MANY + 5 - expected


def test_no_progress_in_a_pipe_unasked() -> None:
    _fill(10)
    assert "read" not in ours("-D").err


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_between(netns: Namespace) -> None:
    _fill(100)
    tool = " ".join(ours_argv())
    change = "jq -c 'select(.orig.dport==53)|.mark=9'"
    script = f"{tool} -L -o ndjson 2>/dev/null | {change} | {tool} -R -"
    subprocess.run(["sh", "-c", script], check=True, timeout=60)
    assert len(_flows("-m", "9", "-p", "udp")) == 26
