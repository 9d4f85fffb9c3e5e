"""The documentation tells the truth: recipes run, examples parse, the map holds."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scripts.reference import answers

import pyconntrack
from pyconntrack.cli.parser import parse
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT
from support import ROOT, ctool
from support.ctool import ours, subscriptions
from support.netns import Namespace, sysctl
from support.traffic import TIMEOUT, Flows, eventually

pytest_plugins = ["pytester"]

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
MAN = ROOT / "share/man/man8/conntrack.8"
PACKAGE = ROOT / "src/pyconntrack"


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_blocks(path: Path) -> list[tuple[str, str]]:
    """(heading above it, code) of each python block."""
    found = []
    heading = ""
    for title, code in re.findall(
        r"^(#+ [^\n]*)$|^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S
    ):
        heading = title or heading
        if code:
            found.append((heading.lstrip("# "), code))
    return found


RECIPES = dict(python_blocks(ROOT / "docs/recipes.md"))


def recipe(title: str) -> dict[str, Any]:
    """Runs a recipe; the names that it defines."""
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(RECIPES[title], f"docs/recipes.md: {title}", "exec"), names)
    return names


# -- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_python_blocks_compile_and_import_what_exists(path: Path) -> None:
    for title, code in python_blocks(path):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module == "pyconntrack":
                missing = {alias.name for alias in node.names} - set(pyconntrack.__all__)
                assert not missing, f"{title}: {missing}"


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_links_lead_somewhere(path: Path) -> None:
    generated = {"man.md", "schema.json"}
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
    assert len(COMMAND_LINES) > 30
    assert len(man_examples()) > 10


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_the_commands_of_the_pages_are_legal(page: str, line: str) -> None:
    words = shlex.shlex(line, posix=True, punctuation_chars=";|>")
    words.whitespace_split = True
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";|>"):
            if command and command[0] == "conntrack":
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


# -- recipes ----------------------------------------------------------------------------------


def test_who_talks_most(flows: Flows, capsys: pytest.CaptureFixture[str]) -> None:
    sysctl("nf_conntrack_acct", 1)
    flows.udp(4, payload=b"x" * 1000, rounds=3)
    flows.ping(6)
    recipe("Who talks most?")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [address for _, address in lines] == [flows.here4, flows.here6]
    assert int(lines[0][0].replace(",", "")) > 3000


def test_watch_nat_mappings(flows: Flows) -> None:
    flows.snat("udp")
    names = recipe("Watch NAT mappings")
    lines: list[str] = []

    def watch() -> None:
        with pyconntrack.Conntrack() as ct:
            lines.append(next(names["nat_mappings"](ct)))

    with in_thread(watch):
        flows.tcp(4)  # is not translated
        flows.udp(4, port=53, sport=5000)
    assert lines == [f"udp {flows.here4}:5000 is seen as {flows.snat4}:5000"]


def test_delete_stale_udp(flows: Flows) -> None:
    flows.dnat(53, 5353, "udp")
    names = recipe("Delete stale UDP entries after a pod is gone")
    server = flows.udp(4, port=5353, sport=5000)
    server.client.sendto(b"again", (flows.dnat4, 53))
    server.server.recvfrom(100)
    with pyconntrack.Conntrack() as ct:
        assert ct.count() == 2
        assert names["forget_pod"](ct, flows.dnat4, "192.0.2.77") == 0
        assert names["forget_pod"](ct, flows.dnat4, flows.peer4) == 1
        assert [flow.orig_dst for flow in ct.dump()] == [flows.peer4]


def test_in_the_place_of_netlink_lib(flows: Flows) -> None:
    names = recipe("In the place of Neutron's netlink_lib")
    for line in (
        "-p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 --state ESTABLISHED -w 1",
        "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 4 --dport 1 -w 1",
        "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 4 --dport 1 -w 2",
        "-p icmp -s 1.1.1.1 -d 2.2.2.2 --icmp-type 8 --icmp-code 0 --icmp-id 9 -w 1",
        "-p icmpv6 -s ::1 -d ::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9 -w 1",
        "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 4 --dport 1",
        "-p gre -s 1.1.1.1 -d 2.2.2.2 --srckey 1 --dstkey 2 -w 1",
    ):
        done = ours("-I", *line.split(), "-t", "600")
        assert done.rc == 0, done.err
    zone1 = [
        (4, "icmp", 8, 0, "1.1.1.1", "2.2.2.2", 9, 1),
        (6, "icmpv6", 128, 0, "::1", "::2", 9, 1),
        (4, "udp", 4, 1, "1.1.1.1", "2.2.2.2", 1),
        (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 1),
    ]
    listed = names["list_entries"](1)
    assert sorted(listed, key=repr) == sorted(zone1, key=repr)
    assert [entry[3] for entry in listed] == [0, 0, 1, 2]
    assert len(names["list_entries_of_zones"]([1, 2])) == 5
    names["delete_entries"]([*zone1[:3], zone1[0]])  # the last has gone by then
    assert names["list_entries"](1) == [zone1[3]]
    assert len(names["list_entries"](2)) == 1
    names["flush_entries"]()
    assert ours("-C").out == "0\n"


def test_follow_one_connection(flows: Flows) -> None:
    names = recipe("Follow one connection")
    steps: list[str] = []

    def watch() -> None:
        with pyconntrack.Conntrack() as ct:
            connection = {"proto": "tcp", "orig_src": flows.here4, "orig_sport": 40001}
            steps.extend(names["follow"](ct, **connection))

    with in_thread(watch):
        other = flows.tcp(4, port=8081, sport=40002)
        flows.tcp(4, port=8080, sport=40001).close()
        other.close()
        assert ours("-D", "-p", "tcp", "--sport", "40001").rc == 0
    assert steps[0] == "new SYN_SENT"
    assert "update ESTABLISHED" in steps
    assert steps[-1].startswith("destroy")


def test_polars_and_duckdb(flows: Flows, capsys: pytest.CaptureFixture[str]) -> None:
    for port in (5000, 5001, 5002):
        flows.udp(4, port=53, sport=port)
    flows.tcp(6, port=443)
    names = recipe("A table in polars, and SQL on it with DuckDB")
    assert names["by_port"].rows() == [(53, 3), (443, 1)]
    assert names["answer"].fetchall() == [(53, 3), (443, 1)]
    assert "53" in capsys.readouterr().out


def test_every_recipe_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for title in RECIPES:
        assert f'recipe("{title}")' in text


# -- the page about testing -------------------------------------------------------------------

TESTING = dict(python_blocks(ROOT / "docs/testing.md"))


def test_the_scripted_kernel_of_the_docs() -> None:
    exec(compile(TESTING["Without a kernel"], "docs/testing.md", "exec"), {})


def test_the_fixture_of_the_docs(netns: Namespace, pytester: pytest.Pytester) -> None:
    fixture, _, test = TESTING["With a kernel, in a namespace of its own"].partition("\n\n\n")
    pytester.makeconftest(fixture)
    pytester.makepyfile("from pyconntrack import Conntrack, Flow, Tuple\n\n\n" + test)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


class in_thread:
    """Runs a function that listens for events, from when it listens until it returns.

    A new thread begins in the namespace of the one that made it.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> None:
        before = subscriptions()
        self._thread.start()
        eventually(lambda: self._error or subscriptions() > before, "the subscription")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._thread.join(TIMEOUT)
            assert self._error is None, self._error
            assert not self._thread.is_alive(), "the recipe goes on waiting"
