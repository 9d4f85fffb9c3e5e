"""The help: within 80 columns, from the rows, of a command and of a word."""

from __future__ import annotations

import re

import pytest

from pyconntrack.cli import help, options
from pyconntrack.cli.options import Option, Verb
from pyconntrack.cli.parser import parse
from pyconntrack.cli.subcommands import SUBCOMMANDS
from support.ctool import Result, ours_argv, run
from support.terminal import run as on_terminal

WORKING = [verb for verb in options.VERBS if options.tables(verb)]


def conntrack(*words: str) -> Result:
    return run([*ours_argv(), *words])


def test_the_whole_help_names_every_command_and_option() -> None:
    text = conntrack("-h").out
    assert text.startswith("Command line interface for the connection tracking system. Version ")
    assert text.splitlines()[1] == "Usage: conntrack [commands] [options]"
    rows: list[Verb | Option] = [*options.VERBS]
    for row in (*rows, *options.OPTIONS, *options.EXTENSIONS, *options.ANYWHERE):
        assert f"--{row.long[0]}" in text or row.name == "nat-range"
    for word in SUBCOMMANDS:
        assert f"  {word} " in text
    assert len([line for line in text.splitlines() if line.startswith("  conntrack -")]) == 5


def test_the_examples_are_command_lines() -> None:
    for line in conntrack("-h").out.splitlines():
        if line.startswith("  conntrack -"):
            parse(line[2:42].split()[1:])


def test_a_protocol_adds_its_options() -> None:
    whole = conntrack("-h").out
    for words in (["-h", "-p", "tcp"], ["-p", "tcp", "-h"]):
        assert conntrack(*words).out.startswith(whole)
        assert "Proto `tcp' help:" in conntrack(*words).out


def test_no_line_is_wider_than_80_columns() -> None:
    texts = [help.text((6, 132))]
    texts += [help.explanation(word) for word in help.topics()]
    for verb in options.VERBS:
        for table in options.tables(verb) or [options.CONNTRACK]:
            texts += [help.command_text(verb, table, numbers) for numbers in ((), (6,), (6, 17))]
    wide = {line for text in texts for line in text.splitlines() if len(line) > 80}
    assert not wide


@pytest.mark.parametrize("verb", WORKING, ids=lambda verb: verb.name)
def test_the_help_of_a_command_has_what_goes_with_it(verb: Verb) -> None:
    for words in ([f"-{verb.short}", "-h"], ["--help", f"--{verb.long[0]}"]):
        done = conntrack(*words)
        assert (done.rc, done.err) == (0, "")
        for row in (*options.OPTIONS, *options.EXTENSIONS):
            told = re.search(rf"^  (-., )?--{row.name}( |$)", done.out, re.MULTILINE) is not None
            takes = verb.letter in row.on.upper() and row.name != "nat-range"
            assert told is takes, row.name


def test_the_help_of_a_command_follows_table_and_protocol() -> None:
    assert "--where" not in conntrack("-L", "expect", "-h").out
    assert "--icmp-type" in conntrack("-L", "-p", "icmp", "-h").out
    assert "--icmp-type" not in conntrack("-L", "-h").out
    needed = conntrack("-I", "-p", "tcp", "-h").out.partition("Needed:\n")[2].partition("\n\n")[0]
    for name in ("--protonum", "--timeout", "--state"):
        assert name in needed


def test_help_changes_nothing() -> None:
    """An option behind -h is not carried out."""
    assert conntrack("-F", "--help").out.startswith("Usage: conntrack -F [TABLE] [options]")


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("-L", ["Usage: conntrack -L [TABLE]"]),
        ("dump", ["Usage: conntrack -L [TABLE]"]),
        ("list", ["Usage: conntrack -L [TABLE]"]),
        ("--load-file", ["Usage: conntrack -R FILE"]),
        ("-p", ["-p, --protonum, --proto PROTO", "Needed with: -G -I -A", "Words: tcp, udp"]),
        ("--srckey", ["Needs -p gre before it"]),
        ("mark", ["-m, --mark MARK[/MASK]", "Goes with: -L", "Field mark:"]),
        ("csv", ["csv, a word of -o, --output:"]),
        ("assured", ["ASSURED, a word of -u, --status:", "Flag assured"]),
        ("NEW", ["NEW, a word of -e, --event-mask:"]),
        ("orig.bytes", ["Field orig.bytes:", "In --where: a number", "--sort"]),
        ("orig_bytes", ["Field orig.bytes:"]),
        ("sctp", ["Proto `sctp' help:", "--orig-vtag", "COOKIE_WAIT"]),
        ("dying", ["Table dying:", "Goes with: -L\n"]),
        ("expect", ["Table expect:", "-L -G -I -D -E -F -C -S"]),
        ("-h", ["Usage: conntrack [commands] [options]"]),
        ("help", ["Usage: conntrack [commands] [options]"]),
    ],
)
def test_help_on_a_word(word: str, parts: list[str]) -> None:
    done = conntrack("help", word)
    assert (done.rc, done.err) == (0, "")
    for part in parts:
        assert part in done.out


def test_every_topic_is_explained() -> None:
    for word in help.topics():
        assert help.explanation(word)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["jsn"], "there is no help on `jsn': do you mean `json'?"),
        (["--undoo"], "there is no help on `--undoo': do you mean `--undo'?"),
        (["qqqq"], "there is no help on `qqqq'"),
        (["-L", "-s"], "help takes one word, such as `-L', not 2"),
    ],
)
def test_help_on_nothing(words: list[str], message: str) -> None:
    done = conntrack("help", *words)
    assert (done.rc, done.out) == (2, "")
    assert done.err.splitlines()[0].endswith(f": {message}")


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_shows_what_a_pipe_gets(columns: int) -> None:
    for words in (["-h"], ["-D", "-h"], ["help", "status"]):
        code, shown = on_terminal([*ours_argv(), *words], columns=columns)
        assert (code, shown) == (0, conntrack(*words).out)
