"""Errors in a command line: the nearest word, and on a terminal also what would be right.

A pipe gets the words of conntrack(8), which scripts match, and at most the nearest word.
"""

from __future__ import annotations

import shlex

import pytest

from support.ctool import c_tool, ours_argv, run
from support.terminal import run as on_terminal

OUTPUT = "extended, id, labels, timestamp, ktimestamp, userspace, xml, save, json, ndjson"
#: a line; what a pipe gets; what a terminal shows behind that
LINES = [
    ("-L -o jsno", "Bad parameter `jsno': do you mean `json'?", ""),
    ("-L -o yaml", "Bad parameter `yaml'", f": {OUTPUT}"),
    ("-L -o id,yaml", "Bad parameter `yaml'", f": {OUTPUT}"),
    ("-E -e NEU", "Bad parameter `NEU': do you mean `NEW'?", ""),
    ("-E -e CHANGE", "Bad parameter `CHANGE'", ": ALL, NEW, UPDATES or DESTROY is expected"),
    ("-D -u ASURED", "Bad parameter `ASURED': do you mean `ASSURED'?", ""),
    ("-D -u FOO", "Bad parameter `FOO'", ": EXPECTED, SEEN_REPLY, UNREPLIED, ASSURED, "),
    ("-L -p tpc", "`tpc' unsupported protocol: do you mean `tcp'?", ""),
    ("-L -p 256", "`256' unsupported protocol", ": tcp, udp, "),
    ("-L -p 'tcp '", "`tcp ' unsupported protocol", ": tcp, udp, "),
    ("-L -f ip6", "`ip6' unsupported protocol: ipv4 or ipv6 is expected", ""),
    ("-L -f inet", "`inet' unsupported protocol", ": ipv4 or ipv6 is expected"),
    ("-L -p tcp --state ESTABLISHD",
     "unknown TCP state `ESTABLISHD': do you mean `ESTABLISHED'?", ""),
    ("-L -p tcp --state UP", "unknown TCP state `UP'", ": NONE, SYN_SENT, "),
    ("-L --state ESTABLISHD", "unknown state `ESTABLISHD': do you mean `ESTABLISHED'?", ""),
    ("-I -p dccp --role x", "Unknown DCCP role `x'", ": client or server is expected"),
    ("-L expekt", "unknown type `expekt': do you mean `expect'?", ""),
    ("-L nosuch", "unknown type `nosuch'", ": conntrack, expect, dying or unconfirmed is expected"),
    ("-C nosuch", "unknown type `nosuch'", ": conntrack or expect is expected"),
    ("-L --where mark==5 --sorte id", "unknown option `--sorte': do you mean `--sort'?", ""),
    ("-L --satus 5", "unknown option `--satus': do you mean `--status'?", ""),
    ("-L --whe x", "unknown option `--whe': do you mean `--where'?", ""),
    ("-L --ma 5", "unknown option `--ma'",
     ": do you mean `--mask-src' or `--mask-dst' or `--mark'?"),
    ("-L --zero=1", "unknown option `--zero=1'", ": `--zero' takes no value"),
    ("-L --icmp-type 8", "unknown option `--icmp-type'",
     ": it goes with -p icmp, which must stand before it"),
    ("-L --nosuch", "unknown option `--nosuch'", ""),
    ("-L --sort bytez", "--sort: there is no field `bytez': do you mean `bytes'?", ""),
    ("-R", "unknown option `-R'", None),
    ("-L --undo f", "Illegal option `--undo' with this command", ": it goes with -U -D -F"),
    ("-L expect --where x", "Illegal option `--where' with this command",
     ": nothing takes it for the table expect"),
    ("-C -o xml", "Illegal option `--output' with this command", ": -C takes json or ndjson"),
    ("hlep", "unknown command `hlep': do you mean `help'?", ""),
]  # fmt: skip


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(("line", "piped", "behind"), LINES, ids=[line for line, *_ in LINES])
def test_advice(line: str, piped: str, behind: str | None) -> None:
    words = shlex.split(line)
    done = run([*ours_argv(), *words])
    head, _, tail = done.err.partition("\n")
    assert (done.rc, done.out) == (2, "")
    assert head.endswith(f"(conntrack-tools): {piped}")
    assert tail in ("", "Try `conntrack -h' or 'conntrack --help' for more information.\n")
    code, shown = on_terminal([*ours_argv(), *words], columns=200)
    assert code == 2
    first, _, rest = shown.partition("\n")
    assert rest == tail  # one line, here, too
    if behind is None:
        assert first.endswith("`-R' needs a file: `-R FILE', or `-R -' for standard input")
    elif behind:
        assert first.startswith(head + behind)
    else:
        assert first == head


@pytest.mark.usefixtures("netns")
def test_where_a_terminal_shows_more_a_pipe_gets_what_the_c_tool_says() -> None:
    ours = {"-L expect --where x", "-L --undo f", "-C -o xml"}  # its options are fewer
    for line in (line for line, _, behind in LINES if behind != "" and line not in ours):
        words = shlex.split(line)
        theirs = run([c_tool(), *words]).err.splitlines()[0].partition(": ")[2]
        assert run([*ours_argv(), *words]).err.splitlines()[0].partition(": ")[2] == theirs, line
