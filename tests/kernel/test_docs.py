"""What the pages and the man page say of commands, links, fields and JSON is true."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scripts.reference import answers

from pyconntrack.cli.parser import parse
from pyconntrack.cli.subcommands import SUBCOMMANDS
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT
from support import ROOT, ctool
from support.ctool import ours
from support.netns import sysctl
from support.pages import PAGES, blocks, page_id
from support.traffic import Flows

MAN = ROOT / "share/man/man8/conntrack.8"
PACKAGE = ROOT / "src/pyconntrack"


# -- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_links_lead_somewhere(path: Path) -> None:
    generated = {"man.md", "schema.json"}  # by docs/hooks.py
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert target in generated or (path.parent / target).exists(), target


def man_examples() -> list[str]:
    section = MAN.read_text(encoding="utf-8").partition(".SH EXAMPLES")[2].partition(".SH ")[0]
    lines = re.findall(r"^\.B (.*)$", section, re.M)
    return [line.replace("\\-", "-").replace("\\(aq", "'") for line in lines]


def command_lines() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("    ") and line.lstrip().startswith("conntrack "):
                yield page_id(path), line.strip()
    for line in man_examples():
        yield "conntrack.8", line


COMMAND_LINES = list(command_lines())


def test_there_are_command_lines_to_check() -> None:
    assert len(COMMAND_LINES) > 20
    assert len(man_examples()) > 10


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_the_commands_of_the_pages_are_legal(page: str, line: str) -> None:
    words = shlex.shlex(line, posix=True, punctuation_chars=";|>")
    words.whitespace_split = True
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";|>"):
            if command and command[0] == "conntrack" and command[1] not in SUBCOMMANDS:
                parse(command[1:])
            command = []
        else:
            command.append(word)


# -- what is made from the schema -------------------------------------------------------------


def test_every_field_is_in_the_reference() -> None:
    page = (ROOT / "docs/fields.md").read_text(encoding="utf-8")
    for rows in (CONNTRACK, EXPECT):
        for name, row, _ in answers(rows):
            assert f"| `{name}` |" in page
            assert row.cta in page
    assert "| `src_nat_min_addr` |" not in page


@pytest.fixture
def valid() -> Callable[[str, str], Any]:
    """Reads a JSON text and proves it against a part of the JSON Schema."""
    schema = json.loads((PACKAGE / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    def check(text: str, part: str = "") -> Any:
        data = json.loads(text)
        chosen = {**schema, **schema["$defs"][part]} if part else schema
        if part:
            del chosen["anyOf"]
            chosen |= schema["$defs"][part]
        jsonschema.Draft202012Validator(chosen).validate(data)
        return data

    return check


def test_the_json_schema_refuses_what_is_wrong(valid: Callable[..., Any]) -> None:
    entry = {"family": "ipv4", "orig": {"sport": 1}}
    good = {"schema": "pyconntrack/1", "flows": [entry]}
    valid(json.dumps(good))
    newer = {**entry, "unknown": [{"path": [1, 77], "data": "00ff"}]}
    valid(json.dumps({**good, "flows": [newer]}))
    mistakes: list[dict[str, Any]] = [
        {"flows": []},
        {**good, "schema": "pyconntrack/2"},
        {**good, "flows": [{"family": "ipv4", "orig": {"sport": "1"}}]},
        {**good, "flows": [{"family": "ipv4", "orig": {"sport": 65536}}]},
        {**good, "flows": [{"family": "ipv4", "orig": {}, "stat": []}]},
        {**good, "flows": [{"family": "ipv4", "orig": {"source": "::1"}}]},
        {**good, "flows": [{"family": "ipv4"}]},
        {**good, "flows": [{**entry, "unknown": [{"path": [1, 77]}]}]},
    ]
    for wrong in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            valid(json.dumps(wrong))


def test_the_json_of_the_pages_meets_the_json_schema(valid: Callable[..., Any]) -> None:
    texts = [text for path in PAGES for text in blocks(path, "json")]
    assert len(texts) > 1
    for _, text in texts:
        valid(text, "" if "schema" in json.loads(text) else "line")


def test_real_output_meets_the_json_schema(flows: Flows, valid: Callable[..., Any]) -> None:
    sysctl("nf_conntrack_acct", 1)
    flows.snat("udp")
    flows.tcp(4)
    flows.tcp(6)
    flows.udp(4)
    flows.ping(4)
    flows.ping(6)
    flows.sctp(4)
    flows.raw(47, bytes(8))
    listing = valid(ours("-L", "-o", "json").out)["flows"]
    assert len(listing) >= 7
    assert {flow["orig"]["proto"] for flow in listing} >= {"tcp", "udp", "icmp", "icmpv6", "sctp"}
    lines = ours("-L", "-o", "ndjson").out.splitlines()
    assert len(lines) == len(listing)
    for line in lines:
        valid(line, "line")
    groups = valid(ours("-L", "-o", "json", "--count-by", "proto,status,zone").out)["groups"]
    assert sum(group["count"] for group in groups) == len(listing)
    deleted = valid(ours("-D", "-p", "tcp", "-o", "json").out)["flows"]
    assert len(deleted) == 2


def test_real_events_meet_the_json_schema(flows: Flows, valid: Callable[..., Any]) -> None:
    with ctool.Stream([*ctool.ours_argv(), "-E", "-p", "udp", "-o", "ndjson"]) as stream:
        flows.udp(4, sport=5000)
        event = valid(stream.line(), "line")
    assert event["event"] == "new"
    assert event["orig"]["sport"] == 5000
    assert event["time"] > 10**18


def test_real_expectations_meet_the_json_schema(flows: Flows, valid: Callable[..., Any]) -> None:
    flows.ftp().passive(40002)
    found = valid(ours("-L", "expect", "-o", "json").out)["expectations"]
    assert [expect["tuple"]["dport"] for expect in found] == [40002]
    assert found[0]["helper"] == "ftp"


# -- the man page's examples ------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], ctool.Result]:
    """Runs a line of an example in a shell in which `conntrack` is ours."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "conntrack").write_text(f'#!/bin/sh\nexec {sys.executable} -m pyconntrack "$@"\n')
    # stands in for the one filter that the example gives to jq
    (bin_ / "jq").write_text(
        f"#!{sys.executable}\nimport json, sys\nassert sys.argv[1:] == ['-c', '.mark = 7']\n"
        "for line in sys.stdin:\n    print(json.dumps({**json.loads(line), 'mark': 7}))\n"
    )
    for program in bin_.iterdir():
        program.chmod(0o755)
    path = f"{bin_}:{os.environ['PATH']}"

    def run(line: str) -> ctool.Result:
        script = f"set -e -o pipefail; PATH={shlex.quote(path)}; cd {shlex.quote(str(tmp_path))}; "
        return ctool.run(["bash", "-c", script + line])

    return run


def test_the_examples_of_the_man_page_run(
    flows: Flows, shell: Callable[[str], ctool.Result]
) -> None:
    flows.tcp(4, 80, 40001)
    flows.tcp(4, 443)
    flows.udp(4, 53, 5000)
    make = "-I -p udp -s 10.1.2.3 -d 10.9.9.9 --sport 7 --dport 7 -t 600"
    assert ours(*make.split()).rc == 0
    total = int(ours("-C").out)
    assert total == 4
    expected = {
        "conntrack -L -p tcp --dport 443": 4,
        "conntrack -D -p udp -s 10.1.2.0/24": 3,
        "conntrack -D -p udp --dport 53 --dry-run": 3,
        "conntrack -D -p udp --dport 53 --undo undo": 2,
        "conntrack -R undo": 3,
        "conntrack -F": 0,
        "conntrack -R edited": 3,
    }
    seen = set()
    for line in man_examples():
        if line.startswith("conntrack -E"):
            continue  # it has no end; the next test runs it
        done = shell(line)
        assert done.rc == 0, (line, done)
        if line in expected:
            seen.add(line)
            assert int(ours("-C").out) == expected[line], line
    assert seen == set(expected)
    assert ours("-L", "-m", "7").err.endswith("3 flow entries have been shown.\n")


def test_the_events_of_the_man_page(flows: Flows) -> None:
    (line,) = (line for line in man_examples() if line.startswith("conntrack -E"))
    with ctool.Stream([*ctool.ours_argv(), *shlex.split(line)[1:]]) as stream:
        flows.udp(4, sport=5000)
        assert re.match(r"\[\d+\.\d{6}\s*\]\s+\[NEW\] .*sport=5000", stream.line())
