"""Which option goes with which command, table and protocol: ours beside Debian's conntrack.

Every option of conntrack(8) with every command and table, and every option of each protocol with
every command: both take it, or both refuse it with the same words.
"""

from __future__ import annotations

import re

import pytest

from pyconntrack.cli import options
from pyconntrack.cli.console import UsageError
from pyconntrack.cli.options import Option
from pyconntrack.cli.parser import parse
from support.ctool import c_tool, run

pytestmark = pytest.mark.usefixtures("netns")

#: a value that an option takes, by its kind; None: none
VALUES = {
    "number": "5", "mark": "5", "ports": "5", "flag": None, "proto": "udp", "family": "ipv4",
    "nat": "1.1.1.1", "status": "ASSURED", "events": "NEW", "output": "id", "address": "1.1.1.1",
    "addresses": "1.1.1.1", "seconds": "5",
    "key": "5", "port": "5",
}  # fmt: skip
_FLOW = "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2"
#: what else each command wants; -E would not end
COMMANDS = {
    "-L": "", "-G": _FLOW, "-I": f"{_FLOW} -t 9", "-A": f"{_FLOW} -t 9", "-D": "-s 9.9.9.9",
    "-U": "-s 9.9.9.9", "-F": "", "-C": "", "-S": "",
}  # fmt: skip
TABLES = ["", "expect", "dying", "unconfirmed"]
#: -a warns, -i crashes the C tool, labels are not numbers there, some versions lack --labelmap
LEFT_OUT = {"nat-range", "id", "label", "label-add", "label-del", "labelmap"}
#: the C tool takes a mask without its address on two tables, and misspells an option
BETTER = {
    *(f"-L {table} --mask-{end} 1.1.1.1" for table in TABLES[2:] for end in ("src", "dst")),
}


def given(row: Option) -> str:
    value = next(iter(row.detail[0])) if row.kind in ("choice", "states") else VALUES[row.kind]
    name = f"--{row.long[0]}" if row.long else f"-{row.short}"
    return f"{name} {value}" if value else name


def lines_of(command: str) -> list[str]:
    lines = []
    for table in TABLES:
        lines += [f"{command} {table}"]
        lines += [
            f"{command} {table} {COMMANDS[command]} {given(row)}"
            for row in options.OPTIONS
            if row.name not in LEFT_OUT
        ]
    addresses = "-s 1.1.1.1 -d 2.2.2.2" if command in ("-G", "-I", "-A") else ""
    for protocol in options.PROTOCOLS:
        for row in protocol.options:
            line = f"{command} -p {protocol.name} {addresses} {given(row)}"
            lines += [line, f"{line} -t 9"]
    return [re.sub(" +", " ", line).strip() for line in lines]


def ours(words: list[str]) -> str | None:
    """What our parser refuses a command line with."""
    try:
        parse(words)
    except UsageError as error:
        return error.classic if error.code == 2 else None
    return None


def theirs(words: list[str]) -> str | None:
    done = run([c_tool(), *words])
    assert done.rc in (0, 1, 2), words
    if done.rc != 2:
        return None
    return re.sub(r"^conntrack v\S+ \(conntrack-tools\): ", "", done.err).splitlines()[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option(command: str) -> None:
    told = {line: (ours(line.split()), theirs(line.split())) for line in lines_of(command)}
    different = {line for line, (mine, other) in told.items() if mine != other}
    assert {line: told[line] for line in different - BETTER} == {}
    assert {line for line in BETTER if line.startswith(command)} <= different
    refused = [mine for mine, _ in told.values() if mine]
    assert len(told) > 150
    assert refused
    assert len(refused) < len(told)
