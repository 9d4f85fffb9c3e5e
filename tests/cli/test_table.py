"""``-o table``, the view for people, and ``--columns`` in every format that takes them."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from pyconntrack.formats.segments import duration, size
from pyconntrack.formats.table import Column, Screen, Table
from support.ctool import Stream, environment, ours, ours_argv
from support.entries import NAT, fill
from support.terminal import run

pytestmark = pytest.mark.usefixtures("netns")

LIVE = "-u SEEN_REPLY,ASSURED"
LINES = (
    f"-A -s 10.0.0.5 -d 198.51.100.9 -p tcp --sport 40001 --dport 443 -t 431999 {LIVE} "
    "--state ESTABLISHED -n 203.0.113.7:23001",
    f"-A -s 10.0.0.5 -d 198.51.100.9 -p tcp --sport 40002 --dport 80 -t 600 {LIVE} "
    "--state TIME_WAIT -g 10.0.0.8:8080",
    "-A -s 10.0.0.6 -d 8.8.8.8 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 3600",
)
SIX = ("-A -s 2001:db8:1111:2222:3333:4444:5555:6666 -d 2001:db8:1111:2222:3333:4444:5555:7777 "
       "-p udp --sport 53530 --dport 53 -t 600 -m 7")  # fmt: skip
COLOUR = re.compile("\x1b\\[[0-9]+m")


@pytest.fixture(autouse=True)
def _any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def rows(text: str) -> list[list[str]]:
    """Return the cells of each line, sorted after the heading, without times."""
    text = re.sub(r"\d+[dhms] \d+[hms]", "T", COLOUR.sub("", text))
    head, *lines = [re.split("   *", line.strip()) for line in text.splitlines()]
    return [head, *sorted(lines)]


def test_a_table_in_a_pipe() -> None:
    fill(0, *LINES)
    done = ours("-L", "-o", "table")
    assert done.rc == 0
    assert done.err.endswith("3 flow entries have been shown.\n")
    assert rows(done.out) == [
        ["PROTO", "STATE", "SOURCE", "-> DESTINATION", "NAT", "TIMEOUT", "FLAGS"],
        ["icmp", "UNREPLIED", "10.0.0.6", "-> 8.8.8.8 type 8 id 77", "T"],
        ["tcp", "ESTABLISHED", "10.0.0.5:40001", "-> 198.51.100.9:443",
         "via 203.0.113.7:23001", "T", "A"],
        ["tcp", "TIME_WAIT", "10.0.0.5:40002", "-> 198.51.100.9:80", "-> 10.0.0.8:8080", "T", "A"],
    ]  # fmt: skip
    head, *lines = done.out.splitlines()
    for name in ("STATE", "SOURCE", "-> DESTINATION"):
        place = head.index(name)
        assert all(line[place - 2 : place] == "  " != line[place] for line in lines)
    end = head.index("TIMEOUT") + len("TIMEOUT")
    assert all(line[end - 1].isalpha() and not line[end : end + 2].strip() for line in lines)


def test_nothing_to_show_is_a_heading() -> None:
    done = ours("-L", "-o", "table")
    assert (done.rc, len(done.out.splitlines())) == (0, 1)
    assert done.out.startswith("PROTO  STATE")
    assert ours("-D", "-p", "tcp", "-o", "table").rc == 1


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 132, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    fill(60, *NAT, *LINES)
    code, text = run([*ours_argv(), "-L", "-f", "ipv4", "-o", "table"], columns=columns)
    assert code == 0
    lines = COLOUR.sub("", text).splitlines()[:-1]
    assert len(lines) > 60
    assert "-> DESTINATION" in lines[0]
    # source and destination are never cut
    whole = max(line.find("-> ") for line in lines) + len("-> 198.51.100.9:443")
    assert max(map(len, lines)) <= max(columns, whole + 12)
    if columns >= 80:
        assert max(map(len, lines)) <= columns
        assert "TIMEOUT" in lines[0] or columns == 80
    argv = [*ours_argv(), "-L", "-f", "ipv4", "-o", "table"]
    piped = subprocess.run(argv, capture_output=True, text=True, check=True,
                           env={**environment(), "COLUMNS": str(columns)})  # fmt: skip
    assert [line.split()[:6] for line in piped.stdout.splitlines()] == [
        line.split()[:6] for line in lines
    ]


def test_ipv6_addresses_are_whole_in_any_width() -> None:
    fill(20, *LINES, SIX)
    for columns in (80, 200):
        _, text = run([*ours_argv(), "-L", "-o", "table"], columns=columns)
        line = next(line for line in COLOUR.sub("", text).splitlines() if "6666" in line)
        assert (
            "[2001:db8:1111:2222:3333:4444:5555:6666]:53530  "
            "-> [2001:db8:1111:2222:3333:4444:5555:7777]:53" in line
        )


def heading(width: int, row: list[str], *, more: bool = False) -> list[str]:
    """Return the headings of columns of the ranks 0 to 3 for a row of cells."""
    columns = [Column(name, rank, lambda layout: [])
               for name, rank in (("THIRD", 3), ("FIRST", 1), ("KEPT", 0), ("2ND", 2))]  # fmt: skip
    return Table(columns, Screen(width)).fit([row], more=more).decode().split()


def test_columns_take_their_room_by_rank() -> None:
    row = ["c", "a", "-", "b"]
    assert heading(0, row) == heading(23, row) == ["THIRD", "FIRST", "KEPT", "2ND"]
    assert heading(22, row) == heading(16, row) == ["FIRST", "KEPT", "2ND"]
    assert heading(15, row) == heading(11, row) == ["FIRST", "KEPT"]
    assert heading(10, row) == ["KEPT", "2ND"]
    assert heading(8, row) == heading(1, row) == ["KEPT"]


def test_an_empty_column_gives_way_to_all_others() -> None:
    row = ["c", "", "-", "b"]
    assert heading(0, row, more=True) == ["THIRD", "FIRST", "KEPT", "2ND"]
    assert heading(16, row, more=True) == ["THIRD", "KEPT", "2ND"]
    assert heading(0, row) == ["THIRD", "KEPT", "2ND"]  # no other entry follows


def test_events() -> None:
    with Stream([*ours_argv(), "-E", "-o", "table"]) as stream:
        assert ours("-R", "-", stdin="\n".join([*LINES, SIX]) + "\n").rc == 0
        assert ours("-D", "-p", "icmp", "-o", "table").out.count("\n") == 2
        head, *lines = [stream.line() for _ in range(1 + 4 + 1)]
    assert head.startswith("EVENT    PROTO  STATE        SOURCE                 -> DESTINATION")
    kinds = [line.split()[:4] for line in lines]
    assert kinds[0] == ["NEW", "tcp", "ESTABLISHED", "10.0.0.5:40001"]
    assert kinds[-1] == ["DESTROY", "icmp", "UNREPLIED", "10.0.0.6"]
    place = head.index(" NAT ") + 1
    assert lines[0][place:].startswith("via 203.0.113.7:23001 ")
    assert lines[1][place:].startswith("-> 10.0.0.8:8080 ")


def test_columns_of_events() -> None:
    argv = [*ours_argv(), "-E", "-e", "NEW", "-o", "ndjson", "--columns", "sport,dst"]
    with Stream(argv) as stream:
        fill(0, LINES[0])
        event = json.loads(stream.line())
    assert list(event) == ["event", "time", "sport", "dst"]
    assert (event["event"], event["sport"], event["dst"]) == ("new", 40001, "198.51.100.9")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["time"])


def test_a_burst_of_events_is_shown_as_single_ones() -> None:
    with Stream([*ours_argv(), "-E", "-e", "NEW", "-o", "table"]) as stream:
        stream.process.send_signal(signal.SIGSTOP)
        fill(2000, *LINES)
        stream.process.send_signal(signal.SIGCONT)
        head, *lines = [stream.line() for _ in range(2004)]
    place = head.index("-> DESTINATION")
    assert sum(line[place : place + 3] == "-> " for line in lines) == 2003
    assert {line.split()[0] for line in lines} == {"NEW"}


def test_expectations() -> None:
    master = ["-p", "tcp", "-s", "10.0.0.5", "-d", "10.0.0.9", "--sport", "4000", "--dport", "21"]
    assert ours("-I", *master, "-t", "600", "--state", "ESTABLISHED", "--helper", "ftp").rc == 0
    made = ours("-I", "expect", *master, "-t", "60", "--tuple-src", "10.0.0.9", "--tuple-dst",
                "10.0.0.5", "--mask-src", "255.255.255.255", "--mask-dst", "255.255.255.255",
                "--tuple-port-src", "0", "--tuple-port-dst", "2001", "--mask-port-src", "0",
                "--mask-port-dst", "65535")  # fmt: skip
    assert made.rc == 0, made.err
    head, line = ours("-L", "expect", "-o", "table").out.splitlines()
    assert head.split()[:4] == ["PROTO", "SOURCE", "->", "DESTINATION"]
    cells = re.split("   *", line)
    assert cells[:3] == ["tcp", "10.0.0.9:*", "-> 10.0.0.5:2001"]
    assert cells[-1] == "10.0.0.5:4000 -> 10.0.0.9:21"


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_colours_on_a_terminal_only(env: dict[str, str], coloured: bool) -> None:
    fill(0, *LINES)
    _, text = run([*ours_argv(), "-L", "-o", "table"], columns=200, env=env)
    assert ("\x1b[1mPROTO" in text) == coloured
    assert ("\x1b[32mESTABLISHED\x1b[39m" in text) == coloured
    assert coloured or "\x1b" not in text
    plain = ours("-L", "-o", "table").out
    assert "\x1b" not in plain
    assert rows("\n".join(text.splitlines()[:-1])) == rows(plain)


def test_a_large_table_is_shown_as_a_small_one() -> None:
    fill(4200, *LINES, SIX)
    many = ours("-L", "-o", "table").out
    assert not re.search(" $", many, re.MULTILINE)
    lines = many.splitlines()
    assert len(lines) == 1 + 4200 + 4
    # each column begins at the same place in nearly all lines
    place = lines[0].index("-> DESTINATION")
    assert sum(line[place : place + 3] == "-> " for line in lines) > 4190
    one = ours("-L", "-o", "table", "-s", "10.0.0.5", "--sport", "40001", "-p", "tcp").out
    assert one.splitlines()[1].split()[:7] == next(
        line for line in lines if "10.0.0.5:40001" in line).split()[:7]  # fmt: skip


def test_columns_are_shown_in_their_order_with_units() -> None:
    fill(0, *LINES)
    done = ours("-L", "--columns", "timeout,reply.dst,orig_src,mark,sport")
    assert rows(done.out) == rows(ours("-L", "-o", "table", "--columns",
                                       "timeout,reply.dst,orig_src,mark,sport").out)  # fmt: skip
    head, *lines = done.out.splitlines()
    assert head == "timeout  reply.dst    orig_src  mark  sport"
    assert [line.split()[-4:] for line in sorted(lines, key=lambda line: line.split()[-1])] == [
        ["10.0.0.6", "10.0.0.6", "0", "-"],
        ["203.0.113.7", "10.0.0.5", "0", "40001"],
        ["10.0.0.5", "10.0.0.5", "0", "40002"],
    ]
    assert re.match(r" ?\d+[dhm] \d+[hms]", min(lines))


def test_columns_as_json_have_null_for_an_absent_value() -> None:
    fill(0, *LINES)
    names = "src,sport,orig.bytes,state,status,family,start"
    flows = [json.loads(line) for line in ours("-L", "-o", "ndjson", "--columns", names)
             .out.splitlines()]  # fmt: skip
    assert [list(flow) for flow in flows] == [names.split(",")] * 3
    ping = next(flow for flow in flows if flow["sport"] is None)
    assert ping["src"] == "10.0.0.6"
    assert ping["state"] is ping["orig.bytes"] is ping["start"] is None
    assert ping["family"] == "ipv4"
    assert isinstance(ping["status"], list)
    document = json.loads(ours("-L", "-o", "json", "--columns", "src,state").out)
    assert document["columns"] == ["src", "state"]
    assert len(document["flows"]) == 3
    assert json.loads(ours("-L", "-o", "json", "-s", "9.9.9.9", "--columns", "src").out) == {
        "columns": ["src"], "flows": [],
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["-L", "-G", "-U", "-D"])
def test_columns_with_each_command(verb: str) -> None:
    fill(0, *LINES)
    more = ["-m", "9"] if verb == "-U" else []
    tuple_ = ["-p", "tcp", "-s", "10.0.0.5", "-d", "198.51.100.9", "--sport", "40001",
              "--dport", "443"]  # fmt: skip
    done = ours(verb, *tuple_, *more, "-o", "csv", "--columns", "src,sport,state")
    assert (done.rc, done.out) == (0, "src,sport,state\n10.0.0.5,40001,ESTABLISHED\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-L -o xml --columns src", "cannot combine --columns with -o xml"),
        ("-L -o id --columns src", "cannot combine --columns with -o id"),
        ("-L -o save,table", "save"),
        ("-L -o csv,table", "cannot combine output formats `csv' and `table'"),
        ("-L --columns src,,dst", "Empty name in `src,,dst' of --columns"),
        ("-L --columns ", "Empty name in `' of --columns"),
        ("-L --columns scr", "there is no field `scr': do you mean `src'?"),
        ("-L --columns src --columns dst", "can only be specified once"),
        ("-L expect --columns src", "Illegal option `--columns'"),
        ("-C --columns src", "Illegal option `--columns'"),
        ("-C -o table", "Illegal option `--output'"),
        ("-S -o table", "Illegal option `--output'"),
    ],
)
def test_wrong_values_and_places_are_refused_in_one_line(arguments: str, message: str) -> None:
    words = arguments.split(" ")
    done = ours(*words)
    assert (done.rc, done.out) == ((1 if "save" in arguments else 2), "")
    assert message in done.err.splitlines()[0]


def test_durations_and_sizes() -> None:
    texts = {0: "0s", 59: "59s", 60: "1m 0s", 252: "4m 12s", 3599: "59m 59s", 3600: "1h 0m",
             86399: "23h 59m", 431999: "4d 23h", 8640000: "100d", 2**32: "49710d"}  # fmt: skip
    assert {seconds: duration(seconds) for seconds in texts} == texts
    texts = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 9999: "9.9 kB", 10000: "10 kB",
             999_999: "999 kB", 1_250_000_000: "1.2 GB", 2**64 - 1: "18 EB"}  # fmt: skip
    assert {number: size(number) for number in texts} == texts
