"""Filters as people type them, on a real table: what matches is chosen, no stranger beside it."""

from __future__ import annotations

import shlex

import pytest

from support.ctool import Stream, ours, ours_argv
from support.netns import Namespace
from support.traffic import track

#: the last part of the destination is the number of an entry
TABLE = """\
-A -p tcp -s 10.0.0.1 -d 10.9.0.1 --sport 1000 --dport 22 -t 900 --state ESTABLISHED
-A -p tcp -s 10.0.0.2 -d 10.9.0.2 --sport 1000 --dport 21 -t 900 --state TIME_WAIT
-A -p tcp -s 10.0.0.9 -d 10.9.0.3 --sport 1000 --dport 90 -t 900 --state CLOSE
-A -p tcp -s 10.0.0.10 -d 10.9.0.4 --sport 1000 --dport 91 -t 900 --state ESTABLISHED
-A -p udp -s 10.0.0.1 -d 10.9.0.5 --sport 1000 --dport 53 -t 900
-A -p udp -s 10.0.1.0 -d 10.9.0.6 --sport 1000 --dport 22 -t 900
-A -p sctp -s 10.0.0.7 -d 10.9.0.7 --sport 1000 --dport 80 -t 900 --state ESTABLISHED \
 --orig-vtag 1 --reply-vtag 2
-A -p icmp -s 10.0.0.5 -d 10.9.0.8 --icmp-type 8 --icmp-code 0 --icmp-id 22 -t 900
-A -p tcp -s fd::1 -d fd:9::9 --sport 1000 --dport 22 -t 900 --state ESTABLISHED
-A -p udp -s fd::9 -d fd:9::10 --sport 1000 --dport 20 -t 900
-A -p gre -s 10.0.0.3 -d 10.9.0.11 --srckey 22 --dstkey 22 -t 900
-A -p tcp -s 10.0.0.0 -d 10.9.0.12 --sport 1000 --dport 0 -t 900 --state SYN_SENT
"""
ALL = set(range(1, 13))
CASES = [
    ("--dport ssh", {1, 6, 9}),
    ("-p tcp --dport ssh", {1, 9}),
    ("--dport ssh -p udp,sctp", {6}),
    ("--dport 20-90", {1, 2, 3, 5, 6, 7, 9, 10}),
    ("--dport 21,ssh,90-91", {1, 2, 3, 4, 6, 9}),
    ("--dport domain,http", {5, 7}),
    ("--sport 1000 -p icmp,udp", None),
    ("-p icmp,udp", {5, 6, 8, 10}),
    ("-p 6,UDP,gre", ALL - {7, 8}),
    ("-p tcp,tcp", {1, 2, 3, 4, 9, 12}),
    ("--state ESTABLISHED", {1, 4, 7, 9}),
    ("--state established,close", {1, 3, 4, 7, 9}),
    ("--state ESTABLISHED -p tcp", {1, 4, 9}),
    ("-p tcp --state CLOSE,TIME_WAIT", {2, 3}),
    ("-p sctp,udp --state ESTABLISHED", {7}),
    ("--state ESTABLISHED -s 10.0.0.1-10.0.0.9", {1, 7}),
    ("--state OPEN", set()),
    ("-s 10.0.0.1-10.0.0.9", {1, 2, 3, 5, 7, 8, 11}),
    ("-s 10.0.0.1,10.0.0.10", {1, 4, 5}),
    ("-s 10.0.0.8/30,10.0.1.0-10.0.1.0", {3, 4, 6}),
    ("-s 10.0.0.0-10.0.0.0", {12}),
    ("-s 0.0.0.0-255.255.255.255", ALL - {9, 10}),
    ("-s fd::1-fd::8", {9}),
    ("-s fd::9,fd::1", {9, 10}),
    ("-r 10.9.0.2-10.9.0.4", {2, 3, 4}),
    ("-q 10.0.0.1,10.0.0.2 -p tcp", {1, 2}),
    ("-d 10.9.0.1,10.9.0.2,10.9.0.5 --dport 0-50", {1, 2}),
]


def chosen(lines: str) -> set[int]:
    return {
        int(line.split("dst=")[1].split()[0].replace(":", ".").rpartition(".")[2])
        for line in lines.splitlines()
    }


@pytest.fixture
def _table(netns: Namespace) -> None:
    track()
    done = ours("-R", "-", stdin=TABLE)
    assert done.rc == 0, done.err
    assert chosen(ours("-L").out) == ALL


@pytest.mark.usefixtures("_table")
def test_each_chooses_what_matches_and_no_more() -> None:
    for line, expected in CASES:
        words = shlex.split(line)
        done = ours("-L", *words)
        if expected is None:
            assert done.rc == 2, line
            continue
        assert done.rc == 0, done.err
        assert chosen(done.out) == expected, line
        dry = ours("-D", "--dry-run", *words)
        assert chosen(dry.out) == expected, line
        assert chosen(ours("-D", *words).out) == expected, line
        assert chosen(ours("-L").out) == ALL - expected, line
        again = ours("-R", "-", stdin=TABLE)
        assert again.rc == 0, again.err
    # the same as lines of one file
    few = [line for line, expected in CASES if expected and len(expected) < 3]
    done = ours("-D", "--from-file", "-", stdin="\n".join(few))
    assert done.rc == 0
    union = set().union(*(expected or set() for line, expected in CASES if line in few))
    assert chosen(ours("-L").out) == ALL - union


@pytest.mark.usefixtures("_table")
def test_updates_choose_by_lists_and_set_by_one() -> None:
    done = ours("-U", "-s", "10.0.0.1-10.0.0.2,10.0.0.9", "-p", "tcp,udp", "-t", "1h30m")
    assert chosen(done.out) == {1, 2, 3, 5}
    seconds = {line.split()[2] for line in done.out.splitlines()}
    assert seconds <= {"5400", "5399"}
    assert ours("-U", "-p", "tcp", "--dport", "ssh", "--state", "CLOSE").rc == 0
    assert chosen(ours("-L", "-p", "tcp", "--state", "CLOSE").out) == {1, 3, 9}


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize(
    "line",
    ["-U --state CLOSE -m 5", "-U -p tcp --state CLOSE,NONE", "-D -s 10.0.0.9-10.0.0.1",
     "-D -s 10.0.0.1,", "-D -p tcp,", "-D --dport ssh,", "-D --state ''", "-D --dport nosuch",
     "-D -s 10.0.0.1/,10.0.0.2", "-D -s 10.0.0.1-fd::9", "-D -t 1d", "-F --state CLOSE",
     "-I -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 10-20 -t 9 --state NONE",
     "nonsense -F", "-D --whe 'dport == 22'", "-D --sta CLOSE"],
)  # fmt: skip
def test_what_is_not_clear_changes_nothing(line: str) -> None:
    done = ours(*shlex.split(line))
    assert (done.rc, done.out) == (2, "")
    assert chosen(ours("-L").out) == ALL


@pytest.mark.usefixtures("netns")
def test_events() -> None:
    track()
    for line, expected in CASES:
        if not expected or "state" in line:
            continue
        last = max(expected)
        with Stream([*ours_argv(), "-E", "-e", "NEW", *shlex.split(line)]) as stream:
            assert ours("-R", "-", stdin=TABLE).rc == 0
            end = f"fd:9::{last} " if last in (9, 10) else f"10.9.0.{last} "
            assert chosen("\n".join(stream.until(f"dst={end}"))) == expected, line
        assert ours("-F").rc == 0


@pytest.mark.usefixtures("_table")
def test_they_are_explained() -> None:
    done = ours("-L", "--explain", "-s", "10.0.0.1-10.0.0.6", "-p", "tcp,udp", "--dport", "ssh")
    for part in ("orig.src in 10.0.0.1-10.0.0.6", "orig.proto in {tcp, udp}", "dport == 22"):
        assert part in done.out
    done = ours("-L", "--explain", "-f", "ipv4", "--state", "ESTABLISHED")
    assert "tcp.state == ESTABLISHED or sctp.state == ESTABLISHED" in done.out


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize(
    "line", ["help -F", "help -D", "hlep -F", "conntrack -F", "-p tcp help -D"]
)
def test_a_bare_word_first_runs_no_command(line: str) -> None:
    ours(*line.split())
    assert chosen(ours("-L").out) == ALL


def test_unknown_subcommands() -> None:
    for line, message in (
        ("hlep", "unknown command `hlep': do you mean `help'?"),
        ("-p tcp help", "`help' is no option: it must be the first word"),
    ):
        done = ours(*line.split())
        assert (done.rc, done.out) == (2, "")
        assert done.err.splitlines()[0].endswith(f"(conntrack-tools): {message}")


@pytest.mark.usefixtures("netns")
def test_files_of_lines_as_people_type_them() -> None:
    """Lines of one shape are loaded by a template: each with its own service and time."""
    track()
    ports, times = ("ssh", "22", "domain", "443"), ("1d", "3600", "90m")
    lines = [f"-A -p udp -s 1.1.1.1 -d 2.2.2.2 --sport {n + 1} --dport {ports[n % 4]}"
             f" -t {times[n % 3]}\n" for n in range(600)]  # fmt: skip
    assert ours("-R", "-", stdin="".join(lines)).rc == 0
    found = [line.split() for line in ours("-L").out.splitlines()]
    assert len(found) == 600
    for words in found:
        n = int(words[5].removeprefix("sport=")) - 1
        assert words[6] == f"dport={(22, 22, 53, 443)[n % 4]}"
        seconds = (86400, 3600, 5400)[n % 3]
        assert seconds - 60 < int(words[2]) <= seconds
