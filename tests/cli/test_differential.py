"""Ours beside Debian's conntrack, line by line of cases/differential.txt, and event by event."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from support import CASES, traffic
from support.ctool import Result, Stream, c_tool, normalise, ours, ours_argv, run, theirs
from support.netns import Namespace, fresh_netns, sysctl, unavailable, why_not
from support.traffic import Flows, joined, nft

TABLE = (CASES / "table.txt").read_text(encoding="utf-8")
#: a rule that uses labels has the kernel keep them
LABELS = "table inet l { chain c { type filter hook output priority 0; ct label set 5; }; }"
#: runs a command with a map of labels where conntrack(8) looks for it
LABELLED = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"']


class Case(NamedTuple):
    """A line: where it runs, its words, and why ours differs (if it does)."""

    group: str
    line: str
    reason: str


def expand(line: str) -> Iterator[str]:
    """The lines that ``{a|b}`` stands for."""
    parts = re.split(r"\{([^}]*)\}", line)
    choices = [part.split("|") if at % 2 else [part] for at, part in enumerate(parts)]
    return map("".join, itertools.product(*choices))


def cases() -> list[Case]:
    found, group = [], ""
    for text in (CASES / "differential.txt").read_text(encoding="utf-8").splitlines():
        if text.startswith("["):
            group = text.strip("[]")
        elif text and not text.startswith("#"):
            line, _, reason = text.partition(" ##")
            found += [Case(group, one, reason.strip()) for one in expand(line)]
    return found


ALL = cases()


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Namespace]]:
    """The namespaces of the read-only groups, set up once."""
    why = why_not()
    if why is not None:
        unavailable(why)
    c_tool()
    with ExitStack() as stack:
        found = {}
        fills = {"table": fill_table, "empty": track, "real": fill_real, "labels": fill_labels}
        for group, fill in fills.items():
            inside = ExitStack()
            found[group] = inside.enter_context(fresh_netns())
            fill(inside)
            # leave the namespace, keep what it holds
            outside = Namespace.current()
            stack.callback(outside.close)
            stack.push(inside.pop_all())
            stack.enter_context(HERE.entered())
        yield found


HERE = Namespace.current()


def track(_: ExitStack) -> None:
    traffic.track()


def fill_table(stack: ExitStack) -> None:
    track(stack)
    assert theirs("-R", "-", stdin=TABLE).rc == 0


def fill_labels(stack: ExitStack) -> None:
    track(stack)
    nft(LABELS)
    # the C tool cannot load labels
    assert ours("-R", str(CASES / "labels.txt")).rc == 0


def fill_real(stack: ExitStack) -> None:
    flows = stack.enter_context(joined(Namespace.current()))
    sysctl("nf_conntrack_acct", 1)
    sysctl("nf_conntrack_timestamp", 1)
    sysctl("nf_conntrack_udp_timeout", 600)  # the expectation of TFTP lives as long
    for family in (4, 6):
        flows.tcp(family)
        flows.udp(family, rounds=3)
        flows.ping(family)
        flows.sctp(family)
        flows.raw(253, b"hello", family, reply=True)
    flows.udp(port=99, reply=False)
    flows.syn()
    flows.raw(47, bytes.fromhex("0000000000"))
    flows.dnat()
    flows.tcp(to=flows.dnat4, to_port=80)
    flows.ftp().active()
    flows.tftp(6)


def told(result: Result, *, order: bool = False) -> Result:
    """What is compared: times, ids, use counts and versions taken out."""
    out = re.sub(r"^\[\d+\.\d+\]\t", "[TIME]\t", result.out, flags=re.MULTILINE)
    out = re.sub(r"<when>.*</when>", "<when/>", out)
    out = re.sub(r"^(-[AUD] )-t \d+", r"\1-t T", out, flags=re.MULTILINE)
    out = re.sub(r"<deltatime>\d+<", "<deltatime>N<", out)
    err = re.sub(r"^\S+ v[\d.]+ ", "conntrack vX ", result.err, flags=re.MULTILINE)
    return Result(result.rc, normalise(out, order=order), err)


def in_two(case: Case) -> tuple[Result, Result, str, str]:
    """A changing line in a fresh table for each tool, and the tables afterwards."""
    results: list[Result] = []
    after: list[str] = []
    for tool in (ours_argv(), [c_tool()]):
        with fresh_netns(), ExitStack() as stack:
            labels = case.group == "change labels"
            (fill_labels if labels else fill_table)(stack)
            results.append(told(run([*prefix(case.group), *tool, *shlex.split(case.line)])))
            show = "extended,labels" if labels else "extended"
            after.append(told(run([*prefix(case.group), c_tool(), "-L", "-o", show])).out)
    return results[0], results[1], after[0], after[1]


@pytest.fixture(scope="module", autouse=True)
def etc(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tools see in /etc where labels have names."""
    etc = tmp_path_factory.mktemp("etc")
    (etc / "xtables").mkdir()
    for source, name in ((CASES / "connlabel.conf", "xtables"), (Path("/etc/protocols"), ".")):
        shutil.copy(source, etc / name)
    del LABELLED[5:]
    LABELLED.append(str(etc))


def prefix(group: str) -> list[str]:
    """What the tools of a group are started by."""
    return LABELLED if "labels" in group else []


@pytest.mark.parametrize("case", ALL, ids=[f"{case.group} {case.line}" for case in ALL])
def test_case(case: Case, places: dict[str, Namespace]) -> None:
    words = shlex.split(case.line)
    mine_after = their_after = ""
    if case.group.startswith("change"):
        mine, other, mine_after, their_after = in_two(case)
    else:
        with places[case.group].entered():
            both = (ours_argv(), [c_tool()])
            mine, other = (told(run([*prefix(case.group), *tool, *words])) for tool in both)
    if case.reason:
        assert (mine, mine_after) != (other, their_after), f"no longer: {case.reason}"
        return
    assert mine.rc == other.rc, mine.err
    assert mine.out == other.out
    assert mine.err == other.err
    assert mine_after == their_after


# -- events: both tools watch the same ones


EVENT_OPTIONS = [
    ["-o", "id"],
    [],
    ["-o", "extended"],
    ["-o", "extended,id,ktimestamp"],
    ["-o", "timestamp"],
    ["-o", "xml"],
    ["-o", "xml,ktimestamp"],
    ["-o", "userspace"],
    ["-e", "NEW,UPDATES,DESTROY"],
    ["-p", "tcp", "-o", "extended"],
    ["-s", traffic.HERE4],
]


def one_tcp(flows: Flows, sport: int, dport: int) -> None:
    connection = flows.tcp(port=dport, sport=sport)
    connection.close()
    tuple_ = ["-p", "tcp", "-s", flows.here4, "-d", flows.peer4]
    done = theirs("-D", *tuple_, "--sport", str(sport), "--dport", str(dport))
    assert done.rc == 0, done.err


def event_text(line: str) -> str:
    line = re.sub(r"^\[\d+\.\d+\]\t", "[TIME]\t", line)
    line = re.sub(r"<when>.*</when>", "<when/>", line)
    # each tool reads the clock itself, and a second may begin between the two
    line = re.sub(r"delta-time=\d+", "delta-time=N", line)
    line = re.sub(r"<deltatime>\d+", "<deltatime>N", line)
    # whether the program is still there when its name is looked up is a race
    line = re.sub(r" progname=\S*", "", line)
    # the C tool leaves this text between the elements of its XML
    line = re.sub(r"(</flow>) \[USERSPACE\].*", r"\1", line)
    return line.replace(' encoding="utf-8"', "")


@pytest.mark.parametrize("options", EVENT_OPTIONS, ids=" ".join)
def test_events_of_a_tcp_connection(flows: Flows, options: list[str]) -> None:
    sysctl("nf_conntrack_timestamp", 1)
    sysctl("nf_conntrack_acct", 1)
    with Stream([*ours_argv(), "-E", *options]) as mine, Stream([c_tool(), "-E", *options]) as them:
        one_tcp(flows, 40000, 8080)
        word = 'type="destroy"' if "xml" in " ".join(options) else "[DESTROY]"
        left = [event_text(line) for line in mine.until(word)]
        right = [event_text(line) for line in them.until(word)]
    assert left == right
    text = "\n".join(left).lower()
    assert all(kind in text for kind in ("new", "update", "destroy"))


@pytest.mark.parametrize("mask", ["NEW", "UPDATES", "DESTROY", "NEW,DESTROY"])
def test_event_masks(flows: Flows, mask: str) -> None:
    options = ["-E", "-e", mask, "-p", "tcp"]
    with Stream([*ours_argv(), *options]) as mine, Stream([c_tool(), *options]) as them:
        one_tcp(flows, 40000, 8080)
        one_tcp(flows, 40001, 8081)
        # the last event of this mask
        last = {"NEW": 2, "UPDATES": 0, "DESTROY": 2, "NEW,DESTROY": 4}[mask]
        if mask == "UPDATES":
            word = "TIME_WAIT"
            left = mine.until(word) + mine.until(word)
            right = them.until(word) + them.until(word)
        else:
            left = [mine.line() for _ in range(last)]
            right = [them.line() for _ in range(last)]
    assert list(map(event_text, left)) == list(map(event_text, right))


def test_events_as_save_lines(flows: Flows) -> None:
    """The C tool's line, with what it drops: the mark is not asked for here."""
    options = ["-E", "-o", "save"]
    with Stream([*ours_argv(), *options]) as mine, Stream([c_tool(), *options]) as them:
        one_tcp(flows, 40000, 8080)
        left, right = mine.until("-D "), them.until("-D ")
    assert list(map(event_text, left)) == list(map(event_text, right))


def test_expectation_events(flows: Flows) -> None:
    with (
        Stream([*ours_argv(), "-E", "expect"]) as mine,
        Stream([c_tool(), "-E", "expect"]) as them,
        Stream([*ours_argv(), "-E", "expect", "-o", "xml"]) as mine_xml,
        Stream([c_tool(), "-E", "expect", "-o", "xml"]) as them_xml,
    ):
        flows.ftp().active()
        assert theirs("-F", "expect").rc == 0
        assert mine.line() == them.line()
        assert mine.line() == them.line()
        left = [event_text(line) for line in mine_xml.until("<flow")]
        assert left == [event_text(line) for line in them_xml.until("<flow")]


def test_the_cases_cover_commands_and_options() -> None:
    from pyconntrack.cli import options as grammar

    text = " ".join(case.line for case in ALL) + " -E -V -h -b -e NEW"
    words = set(text.replace("=", " ").split())
    missing = [v.long[0] for v in grammar.VERBS if f"-{v.short}" not in words]
    assert not missing
    protocols = {proto.name for proto in grammar.PROTOCOLS}
    for verb in "LDIG":
        lines = [case.line for case in ALL if case.line.startswith(f"-{verb} ")]
        used = {line.split("-p ")[1].split()[0] for line in lines if "-p " in line}
        assert protocols - used <= ({"dccp"} if verb == "G" else set()), verb
