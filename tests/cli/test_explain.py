"""What --explain says of the kernel is what the command asks of it, for tables of any size."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import pytest

from pyconntrack import Conntrack, Filter, thresholds, where
from pyconntrack.cli import source
from pyconntrack.cli.commands import explain
from pyconntrack.cli.filters import predicate
from pyconntrack.cli.main import main
from pyconntrack.cli.parser import parse
from pyconntrack.ctnetlink import requests
from pyconntrack.ctnetlink.pushdown import push_down
from pyconntrack.ctnetlink.socket_filter import program
from pyconntrack.ctnetlink.trace import described
from pyconntrack.ctnetlink.vocabulary import FAMILY
from pyconntrack.netlink.constants import NLM_F_DUMP
from support.ctool import Result
from support.entries import fill

pytestmark = pytest.mark.usefixtures("netns")

SMALL, MANY = 10, 40
NUMBERS = {word: number for number, word in FAMILY.items()}

LINES = [
    ("-L", "-p", "udp", "--dport", "53"),
    ("-L", "-f", "ipv4", "-p", "udp", "--dport", "53"),
    ("-L", "-f", "ipv6", "-p", "tcp", "--dport", "443"),
    ("-L", "--dport", "53"),
    ("-L", "-m", "0", "-u", "ASSURED", "-w", "0"),
    ("-L", "-f", "ipv6"),
    ("-L", "-s", "10.0.0.1"),
    ("-L", "-s", "10.0.0.0/8", "-p", "tcp"),
    ("-L", "-d", "2001:db8::1", "-p", "tcp"),
    ("-L", "-p", "icmp", "--icmp-type", "8"),
    ("-L", "-z"),
    ("-L", "--zer"),
    ("-L", "-o", "id", "-zf", "ipv4"),
    ("--dump", "-p", "tcp"),
    ("-D", "--zone", "3"),
    ("-L", "--sort", "src", "-p", "udp"),
    ("-L", "-z", "-f", "ipv6"),
    ("-L", "dying", "-p", "udp"),
    ("-L", "dying", "-f", "ipv4", "-p", "udp"),
    ("-L", "--where", "proto == udp and dport == 53 and reply.proto == udp and reply.sport == 53"),
    ("-L", "--where", "zone == 5 and zone == 6 or dport == 1"),
    ("-L", "--where", "age > 5m and proto == tcp and not assured"),
    ("-D", "-p", "udp", "--dport", "99"),
    ("-U", "-p", "udp", "--dport", "99", "-m", "7"),
    ("-F", "-f", "ipv6"),
]  # fmt: skip


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run the command in this process, with the thresholds of this test."""
    monkeypatch.setattr(thresholds, "SMALL", SMALL)
    for module in (source, explain):
        monkeypatch.setattr(module, "MANY", MANY)
    monkeypatch.setattr(source, "SMALL", SMALL)

    def call(*arguments: str, trace: bool = False) -> Result:
        monkeypatch.setenv("PYCONNTRACK_DEBUG", "netlink" if trace else "")
        capfd.readouterr()
        code = main([*arguments])
        return Result(code, *capfd.readouterr())

    before = signal.getsignal(signal.SIGPIPE)
    yield call
    signal.signal(signal.SIGPIPE, before)


def without_number(line: str) -> str:
    return re.sub(r" seq=\d+", "", line)


def requested(err: str) -> list[str]:
    """Return the dumps in a trace."""
    lines = [line.removeprefix("netlink > ") for line in err.splitlines()]
    return [without_number(line) for line in lines if "NLM_F_ROOT" in line]


def claimed(lines: list[str], table: str = "conntrack", *, zero: bool = False) -> list[str]:
    """Return the dumps that an explanation claims, rebuilt from its words alone."""
    families, found = [""], []
    for line in lines:
        match = re.fullmatch(r"kernel: (.*?)(?: \((.*)\))?", line)
        if match is None or match[1] == "returns the whole table":
            continue
        if match[1].startswith("family == "):
            families = re.findall(r"family == (\w+)", match[1])
        else:
            only = re.match(r"for (\w+)$", match[2] or "")
            found.append((match[1], only[1] if only else ""))
    dumps = []
    for family in families:
        terms = [term for term, only in found if only in ("", family)]
        terms += [f"family == {family}"] if family else []
        node = where.parse(" and ".join(terms)) if terms else None
        down = push_down(node)
        request = requests.dump(table, NUMBERS.get(family, 0), down.payload, zero=zero)
        dumps.append(without_number(described(request.message(1, NLM_F_DUMP))))
    return dumps


@pytest.mark.parametrize("count", [SMALL - 1, SMALL, MANY - 1, MANY])
def test_the_requests_are_those_that_it_says(run: Run, count: int) -> None:
    fill(count)
    for line in LINES:
        explained = [run(*line[:place], "--explain", *line[place:]) for place in (len(line), 0)]
        assert [(one.rc, one.out) for one in explained] == [(0, explained[0].out)] * 2, line
        table = line[1] if line[1] == "dying" else "conntrack"
        zero = not {"-z", "--zer", "-zf"}.isdisjoint(line)
        says = claimed(explained[0].out.splitlines(), table, zero=zero)
        asked = requested(run(*line, trace=True).err)
        assert asked == says, (line, explained[0].out)


def test_the_reasons_and_hints_are_those_of_the_table_and_the_options(run: Run) -> None:
    line = ("-L", "-p", "udp", "--dport", "53", "--explain")
    fill(SMALL - 1)
    assert "(fewer than 10 entries, asked for before" in run(*line).out
    fill(SMALL)
    out = run(*line).out
    assert "only with the family set: add `-f ipv4')" in out
    assert "orig.dport == 53 (the kernel compares tuples only" in out
    assert "add `-p tcp' and `-f ipv4')" in run("-L", "--dport", "53", "--explain").out
    fill(MANY)
    assert run(*line).out.splitlines()[:4] == [
        "kernel: family == ipv4, then family == ipv6 (two dumps, as it has 40 entries or more)",
        "kernel: orig.proto == udp",
        "kernel: orig.dport == 53",
        "user space: nothing more",
    ]
    out = run("-L", "-p", "icmp", "--icmp-type", "8", "--explain").out
    assert "kernel: orig.icmp_type == 8 (for ipv4)" in out
    assert "user space: orig.icmp_type == 8 (for ipv6) (the kernel compares ICMP fields" in out
    assert "-f ipv4" not in run("-L", "--dport", "53", "--explain").out


@pytest.mark.parametrize(
    "text",
    [
        "proto == udp and dport == 53", "family == ipv4 and proto == udp and dport == 53",
        "family == ipv6 and proto == tcp", "src == 10.0.0.1 and mark == 0", "zone == 0",
        "zone == 5 and zone == 6", "assured and not nat", "age > 1h",
    ],
)  # fmt: skip
def test_a_filter_of_the_library_says_what_it_asks(
    text: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = Filter.where(text)
    monkeypatch.setenv("PYCONNTRACK_DEBUG", "netlink")
    for count in (0, MANY):
        fill(count) if count else None
        capfd.readouterr()
        with Conntrack() as conntrack:
            list(conntrack.dump(wanted))
        assert requested(capfd.readouterr().err) == claimed(wanted.explain())


@pytest.mark.parametrize("line", [["-p", "udp"], ["--where", "helper == ftp"], ["-m", "0"], []])
def test_of_events_the_filter_on_the_socket_is_named(run: Run, line: list[str]) -> None:
    node = predicate(parse(["-E", *line]))
    said = "(a filter on the socket)" in run("-E", *line, "--explain").out
    assert said is bool(program(node))
