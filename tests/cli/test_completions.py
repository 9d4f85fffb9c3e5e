"""The completions, driven as a person does: real shells on a pseudo terminal."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyconntrack.cli import options
from pyconntrack.cli.completions import SCRIPTS, answer, candidates, script
from pyconntrack.cli.completions.candidates import candidates as candidates_of
from pyconntrack.cli.console import UsageError
from pyconntrack.cli.options import Option, Verb
from pyconntrack.cli.parser import parse
from support import ROOT
from support.ctool import ours_argv, run
from support.netns import unavailable
from support.terminal import Terminal

#: how each shell starts, with nothing of its user's, and what it runs before its first prompt
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"],
             "PS1='ready> '; bind 'set page-completions off'; bind 'set completion-query-items 0'; "
             "bind 'set show-all-if-ambiguous on'; . /usr/share/bash-completion/bash_completion"),
    "zsh": (["zsh", "-f", "-i"],
            "PS1='ready> '; unsetopt zle_bracketed_paste beep; LISTMAX=1000; fpath=($SITE $fpath); "
            "autoload -U compinit; compinit -D -u; zstyle ':completion:*' insert-tab false"),
    "fish": (["fish", "-i"],
             "function fish_prompt; echo -n 'ready> '; end; function fish_greeting; end"),
}  # fmt: skip


def share() -> dict[str, str]:
    """Return where the wheel puts each of its files."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wheel = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    return {target: source for source, target in wheel["shared-data"].items()}


#: a sequence that moves the cursor or sets a colour
_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\(B|\][^\x07]*\x07)")


class Shell:
    """A shell at whose prompt lines are typed and completed."""

    def __init__(self, name: str, terminal: Terminal) -> None:
        self.name, self.terminal = name, terminal

    def run(self, line: str) -> str:
        """Run a line; return what came since, up to its end."""
        start = len(self.terminal.text)
        self.terminal.send(f"{line}; echo the-'end'\n")
        self._prompt(start)
        return self.terminal.text[start:]

    def complete(self, line: str) -> str:
        """Return what the terminal shows when the tabulator is pressed behind ``line``."""
        start = len(self.terminal.text)
        self.terminal.send(f"{line}\t\x15echo the-'end'\n")
        self._prompt(start)
        return _ESCAPE.sub("", self.terminal.text[start:])

    def completed(self, line: str) -> str:
        """Return the words of ``line`` when it was completed."""
        start = len(self.terminal.text)
        # behind a part of an expression zsh leaves a quotation open
        close = "'" if self.name == "zsh" and line.count("'") == 1 else ""
        self.terminal.send(f"{line}\t{close}\x01echo 'so 'it is: \n")
        self.terminal.until("so it is: ", start=start)
        begin = self.terminal.text.index("so it is: ", start)
        self.terminal.until("ready> ", start=begin)
        shown = _ESCAPE.sub("", self.terminal.text[begin:])
        return shown.splitlines()[0].removeprefix("so it is: ")

    def _prompt(self, start: int) -> None:
        """Wait for the prompt behind a line that began at ``start``."""
        self.terminal.until("the-end\n", start=start)
        self.terminal.until("ready> ", start=self.terminal.text.index("the-end\n", start))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as an installation of the wheel makes it, and a label map."""
    folder = tmp_path_factory.mktemp("prefix")
    for target, source in share().items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, folder / target)
    (folder / "bin").mkdir()
    for name in ("conntrack", "pyconntrack"):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {" ".join(ours_argv())} "$@"\n')
        program.chmod(0o755)
    (folder / "map").write_text("1 green\n2 grey\n3 bad;reboot\n")
    (folder / "flows.save").touch()
    return folder


@pytest.fixture(scope="module", params=SCRIPTS)
def shell(request: pytest.FixtureRequest, prefix: Path) -> Iterator[Shell]:
    argv, first = START[request.param]
    if shutil.which(argv[0]) is None:
        unavailable(f"{argv[0]} is not installed")
    env = {
        "PATH": f"{prefix}/bin:{os.environ['PATH']}", "HOME": str(prefix), "PYTHONPATH": "",
        "XDG_DATA_DIRS": f"{prefix}/share", "SITE": f"{prefix}/share/zsh/site-functions",
        "TERM": "xterm",
    }  # fmt: skip
    with Terminal(argv, columns=200, rows=60, env=env) as terminal:
        begun = Shell(request.param, terminal)
        begun.run(f"{first}; cd {prefix}")
        yield begun


#: a line, words that its completions have, and words that they must not have
LINES = [
    ("conntrack doct", ["doctor"], []),
    ("conntrack help --dry", ["--dry-run"], []),
    ("conntrack --completions z", ["zsh"], []),
    ("conntrack -L -o id,", ["timestamp", "labels", "ndjson"], ["save"]),
    ("conntrack -L --output=id,l", ["labels"], []),
    ("conntrack -C -o ", ["json", "ndjson"], ["xml"]),
    ("conntrack -E -e NEW,", ["UPDATES", "DESTROY"], []),
    ("conntrack -D -u ASSURED,", ["UNREPLIED", "SEEN_REPLY"], []),
    ("conntrack -L -p tc", ["tcp"], []),
    ("conntrack -L -p dccp --state ", ["PARTOPEN", "TIMEWAIT"], ["SYN_SENT"]),
    ("conntrack -L -f ipv", ["ipv4", "ipv6"], []),
    ("conntrack -L dy", ["dying"], []),
    ("conntrack -C ", ["expect", "-o"], ["dying", "--src"]),
    ("conntrack -U -", ["--where", "--undo"], ["--from-file", "--sort"]),
    ("conntrack -L --sort bytes,-orig.pack", ["orig.packets"], []),
    ("conntrack -L --columns src,dp", ["dport"], []),
    ("conntrack -L --where orig.s", ["orig.sport", "orig.src"], ["reply"]),
    ("conntrack -L --where 'mark == 5 and proto == icmpv", ["icmpv6"], []),
    ("conntrack -L --labelmap map -l gre", ["green", "grey"], ["bad"]),
    ("conntrack -R flows.", ["flows.save"], []),
    ("conntrack -D --undo=flows.", ["flows.save"], []),
    ("conntrack -D --from-file flows.", ["flows.save"], []),
    ("pyconntrack -L exp", ["expect"], []),
]


@pytest.mark.parametrize(("line", "words", "others"), LINES, ids=[line for line, *_ in LINES])
def test_shells_complete(shell: Shell, line: str, words: list[str], others: list[str]) -> None:
    shown = shell.complete(line)
    assert [word for word in words if word not in shown] == [], shown
    assert [word for word in others if word in shown] == [], shown


#: a line, and its words when it was completed
COMPLETED = [
    ("conntrack -L -p tc", "conntrack -L -p tcp"),
    ("conntrack -L --output=id,la", "conntrack -L --output=id,labels"),
    ("conntrack -L -oid,kt", "conntrack -L -oid,ktimestamp"),
    ("conntrack -L --where 'mark == 5 and proto == icmpv",
     "conntrack -L --where mark == 5 and proto == icmpv6"),
    ("conntrack -L --where state==TIME_", "conntrack -L --where state==TIME_WAIT"),
    ("conntrack -D --undo=flo", "conntrack -D --undo=flows.save"),
    ("conntrack -R flo", "conntrack -R flows.save"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "whole"), COMPLETED, ids=[line for line, _ in COMPLETED])
def test_a_completion_leaves_the_rest_of_the_line(shell: Shell, line: str, whole: str) -> None:
    assert shell.completed(line).rstrip() == whole


# -- the answers -------------------------------------------------------------------------

#: a value that an option takes, by its kind
VALUES = {
    "mark": "5", "flag": "", "proto": "udp", "family": "ipv4", "nat": "1.1.1.1", "events": "NEW",
    "status": "ASSURED", "output": "json", "address": "1.1.1.1", "addresses": "1.1.1.1",
    "labels": "5", "labels?": "5", "any state": "CLOSE", "sort": "mark", "names": "mark",
}  # fmt: skip


def offered(*words: str) -> list[str]:
    return [word for word, _ in candidates_of([*words]).words]


def refused(verb: Verb, table: str, row: Option, protocol: list[str]) -> bool:
    """Return whether a command on a table refuses an option, with any others that it wants."""
    value = (
        next(iter(row.detail[0])) if row.kind in ("choice", "states") else VALUES.get(row.kind, "5")
    )
    words = [*protocol, f"-{verb.short}", table, f"--{row.name}", *([value] if value else [])]
    words += ["-o", "timestamp"] if row.name == "iso" else []
    try:
        parse(words)
    except UsageError as error:
        said = ("Illegal option", "unknown option", "only selects", "needs the times")
        return any(words in error.message for words in said)
    return False


@pytest.mark.parametrize("protocol", [None, *(each.name for each in options.PROTOCOLS)])
@pytest.mark.parametrize("verb", [verb for verb in options.VERBS if options.tables(verb)],
                         ids=lambda verb: verb.name)  # fmt: skip
def test_the_options_offered_are_those_that_the_command_takes(
    verb: Verb, protocol: str | None
) -> None:
    given = ["-p", protocol] if protocol else []
    numbers = tuple(each.number for each in options.PROTOCOLS if each.name == protocol)
    rows = [*options.OPTIONS, *options.EXTENSIONS, *options.own(numbers)]
    proto = next(row for row in rows if row.kind == "proto")
    for table in options.tables(verb):
        if any(options.needs(verb, table, row) for row in rows):
            continue  # what is missing is reported before what is too much
        if given and not options.takes(verb, table, proto):
            continue
        found = offered(*given, f"-{verb.short}", table, "--")
        for row in rows:
            if row.kind != "deprecated" and not (given and row.kind == "proto"):
                legal = not refused(verb, table, row, given)
                assert (f"--{row.long[0]}" in found) is legal, (table, row.name)


def test_an_option_that_stands_once_is_not_offered_again() -> None:
    assert "--limit" in offered("-L", "-o", "id", "--")
    assert "--limit" not in offered("-L", "--limit", "5", "--")
    assert "--output" in offered("-L", "-o", "id", "--")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-L -oid,lab", ("list", 5, ["labels"])),
        ("-Lo id,lab", ("list", 3, ["labels"])),
        ("-Lex", ("word", 2, ["expect"])),
        ("-L --where=orig.sp", ("part", 8, ["orig.sport"])),
        ("-L --where state==TIME_", ("part", 7, ["TIME_WAIT"])),
        ("-L --wher", ("word", 0, ["--where"])),
        ("-L -u !AS", ("list", 1, ["ASSURED"])),
        ("-L -u !UNR", ("list", 1, [])),  # only a bit that is set can be negated
        ("-I -p tcp --state ESTABL", ("word", 0, ["ESTABLISHED"])),
        ("-L -p tcp --state CLOSE,ESTABL", ("list", 6, ["ESTABLISHED"])),
        ("-L -p tcp,udpl", ("list", 4, ["udplite"])),
        ("-L --undo x", ("file", 0, [])),
        ("-L --netns /run/", ("file", 0, [])),
        ("-L -s 10.", ("word", 0, [])),
        ("-L -o save,", ("list", 5, [])),
        ("-L -o json -o cs", ("list", 0, [])),
        ("--completions fi", ("word", 0, ["fish"])),
        ("-L --count-by proto,sta", ("list", 6, ["status", "start", "state"])),
        ("-L --sum orig.", ("list", 0, ["orig.packets", "orig.bytes"])),
        ("help jso", ("word", 0, ["json"])),
        ("doctor --al", ("word", 0, ["--all"])),
        ("doctor --all --al", ("word", 0, [])),
        ("doctor --netns ", ("word", 0, [])),
        ("help json js", ("word", 0, [])),
        ("-R flows", ("file", 0, [])),
    ],
)
def test_answers(line: str, expected: tuple[str, int, list[str]]) -> None:
    found = candidates_of(line.split(" "))
    assert (found.kind, found.stays, [word for word, _ in found.words]) == expected


def test_namespaces_are_offered_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("blue", "black", "a b", "$(reboot)"):
        (tmp_path / name).touch()
    monkeypatch.setattr(candidates, "_NETNS", str(tmp_path))
    assert offered("-L", "--netns", "") == ["black", "blue"]
    monkeypatch.setattr(candidates, "_NETNS", str(tmp_path / "none"))
    assert offered("-L", "--netns", "") == []


def test_bash_divides_words_at_the_equals_sign() -> None:
    assert answer("bash", ["-L", "--output", "=", "id,lab"]) == "list 3\nid,labels\n"
    assert answer("bash", ["-L", "--output", "="]).startswith("list 0\nextended\n")
    assert answer("zsh", ["-L", "--output=id,lab"]).startswith("list 12\nlabels\t")
    assert answer("fish", ["-L", "--output=id,lab"]).startswith("list 12\n--output=id,labels\t")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_are_printed_and_the_shells_can_read_them(name: str, prefix: Path) -> None:
    done = run([*ours_argv(), "--completions", name])
    assert (done.rc, done.out, done.err) == (0, script(name), "")
    if shutil.which(name) is None:
        unavailable(f"{name} is not installed")
    for target in share():
        if name in target:
            subprocess.run([name, "-n", str(prefix / target)], check=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--completions"], "bash, zsh or fish: as in --completions bash"),
        (["--completions", ""], "bash, zsh or fish: as in --completions bash"),
        (["--completions", "bsh"], "bash, zsh or fish: not `bsh': do you mean `bash'?"),
        (
            ["-L", "--completions", "bash"],
            "unknown option `--completions': it must be the first word",
        ),
        (["--completions=bash"], "unknown option `--completions=bash': it must be the first word"),
    ],
)
def test_wrong_requests_for_completions(words: list[str], message: str) -> None:
    done = run([*ours_argv(), *words])
    assert (done.rc, done.out) == (2, "")
    assert message in done.err.splitlines()[0]
    assert len(done.err.splitlines()) == 2  # the second refers to the help
