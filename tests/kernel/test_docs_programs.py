"""The programs of docs/programs do what the pages say; every other program of a page runs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from pyconntrack import AsyncConntrack, Conntrack, Event, Filter, Flow
from support.ctool import environment, ours, run, subscriptions
from support.netns import sysctl
from support.pages import PAGES, PROGRAMS, blocks, page_id
from support.traffic import TIMEOUT, Flows, eventually

FILES = sorted(PROGRAMS.glob("*.py"))
BLOCKS = [(path, line, code) for path in PAGES for line, code in blocks(path, "python")]


def program(name: str) -> ModuleType:
    """Import a program, which does not start it."""
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(name: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROGRAMS / f"{name}.py", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def printed(name: str, *words: str) -> list[str]:
    done = run([sys.executable, str(PROGRAMS / f"{name}.py"), *words])
    assert done.rc == 0, done.err
    return done.out.splitlines()


def create(*lines: str) -> None:
    for line in lines:
        done = ours("-I", *line.split(), "-t", "600")
        assert done.rc == 0, done.err


# -- every program -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_program_is_on_a_page_and_has_a_test(path: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert f"--8<--\n{path.name}\n--8<--" in pages
    own = Path(__file__).read_text(encoding="utf-8")
    words = {f'"{path.stem}"', f'"{path.name}"'}
    assert any(word in own for word in words) or path.stem in {"look"}  # the tutorial runs it


@pytest.mark.parametrize(
    ("path", "line", "code"), BLOCKS, ids=[f"{page_id(path)}:{line}" for path, line, _ in BLOCKS]
)
def test_a_program_of_a_page_runs(
    path: Path, line: int, code: str, flows: Flows, tmp_path: Path
) -> None:
    sysctl("nf_conntrack_acct", 1)
    flows.tcp(4, port=443)
    flows.udp(4, port=53)
    tests = "def test_" in code
    file = tmp_path / ("test_block.py" if tests else "block.py")
    file.write_text(code, encoding="utf-8")
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = run([sys.executable, *(how if tests else []), str(file)])
    assert done.rc == 0, f"{page_id(path)}:{line}\n{done.out}{done.err}"
    assert not tests or " passed" in done.out


# -- look ------------------------------------------------------------------------------------------


def test_top_talkers(flows: Flows) -> None:
    sysctl("nf_conntrack_acct", 1)
    flows.udp(4, payload=b"x" * 1000, rounds=3)
    flows.ping(6)
    lines = [line.split() for line in printed("top_talkers")]
    assert [address for _, address in lines] == [flows.here4, flows.here6]
    assert int(lines[0][0].replace(",", "")) > 3000


def test_the_exporter(flows: Flows) -> None:
    flows.tcp(4)
    flows.udp(6)
    flows.udp(6)
    with start("exporter", "0") as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                text = answer.read().decode()
        finally:
            server.terminate()
    for line in text.splitlines():
        assert re.fullmatch(
            r'# TYPE \w+ (gauge|counter)|\w+(\{\w+="\w*"(,\w+="\w*")*\})? \d+', line
        )
    lines = text.splitlines()
    # the connections of the one who asks are tracked, too
    (entries,) = (line for line in lines if line.startswith("conntrack_entries "))
    assert int(entries.split()[1]) > 3
    assert 'conntrack_flows{proto="tcp",state="ESTABLISHED"}' in text
    assert 'conntrack_flows{proto="udp",state=""} 2' in lines
    assert any(line.startswith('conntrack_insert_failed_total{cpu="0"} ') for line in lines)


def test_frames(flows: Flows) -> None:
    for port in (5000, 5001, 5002):
        flows.udp(4, port=53, sport=port)
    flows.tcp(6, port=443)
    text = "\n".join(printed("frames"))
    rows = re.findall(r"[│┆] *(53|443) *[│┆] *(\d+) *│", text)
    assert rows == [("53", "3"), ("443", "1")] * 2  # of polars, and of DuckDB
    assert re.search(rf"\d +{flows.here4} +{flows.peer4} +udp +53\n", text)  # of pandas
    assert "orig_dport: uint16" in text  # of pyarrow


def test_the_archive_of_tables(flows: Flows, tmp_path: Path) -> None:
    flows_of_each_file = program("archive").flows_of_each_file
    printed("archive", str(tmp_path))  # of no flow at all
    flows.udp(4)
    flows.udp(6)
    printed("archive", str(tmp_path))
    flows.tcp(4)
    printed("archive", str(tmp_path))
    _, second, third = sorted(str(path) for path in tmp_path.iterdir())
    assert sorted(flows_of_each_file(tmp_path).rows()) == [
        (second, "udp", 2), (third, "tcp", 1), (third, "udp", 2),
    ]  # fmt: skip


# -- listen ----------------------------------------------------------------------------------------


def test_wait_for_a_flow(flows: Flows) -> None:
    wait_for_flow = program("wait_for_flow").wait_for_flow
    wanted = Filter(proto="udp", orig_dport=53)
    with Conntrack() as ct:
        assert wait_for_flow(ct, wanted, 0.05) is None
        found: list[Flow | None] = []
        with in_thread(lambda: found.append(wait_for_flow(ct, wanted, TIMEOUT))):
            flows.udp(4, port=54)
            flows.udp(4, port=53, sport=5000)
        assert found[0] is not None
        assert found[0].orig_sport == 5000
        assert wait_for_flow(ct, wanted, 0) is not None  # it is there already
    assert "sport=5000" in printed("wait_for_flow", "dport == 53")[0]
    assert run([sys.executable, str(PROGRAMS / "wait_for_flow.py"), "mark == 9", "0.01"]).rc == 1


def test_nat_mappings(flows: Flows) -> None:
    flows.snat("udp")
    watch = program("nat_mappings").nat_mappings
    lines: list[str] = []

    def listen() -> None:
        with Conntrack() as ct:
            lines.append(next(watch(ct)))

    with in_thread(listen):
        flows.tcp(4)  # is not translated
        flows.udp(4, port=53, sport=5000)
    assert lines == [f"udp {flows.here4}:5000 is seen as {flows.snat4}:5000"]


def test_follow_one_connection(flows: Flows) -> None:
    before = subscriptions()
    with start("follow", flows.here4, "40001") as following:
        eventually(lambda: subscriptions() > before, "the subscription")
        other = flows.tcp(4, port=8081, sport=40002)
        flows.tcp(4, port=8080, sport=40001).close()
        other.close()
        assert ours("-D", "-p", "tcp", "--sport", "40001").rc == 0
        steps = following.communicate(timeout=TIMEOUT)[0].splitlines()
    assert steps[0] == "new SYN_SENT"
    assert "update ESTABLISHED" in steps
    assert steps[-1].startswith("destroy")


def test_the_mirror_follows_the_table(flows: Flows) -> None:
    mirror = program("mirror").Mirror()
    sysctl("nf_conntrack_events", 1)  # or the end of a flow from before the watch is not reported
    flows.udp(4, sport=5000)

    async def watch() -> None:
        async with AsyncConntrack() as ct:
            following = asyncio.create_task(mirror.follow(ct))

            async def until(expected: set[int]) -> None:
                async with asyncio.timeout(TIMEOUT):
                    while {flow.orig_sport for flow in mirror.flows.values()} != expected:
                        await asyncio.sleep(0.01)

            await until({5000})
            flows.udp(4, sport=5001)
            await until({5000, 5001})
            await ct.delete_matching(Filter(orig_sport=5000))
            await until({5001})
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    before = subscriptions()
    asyncio.run(watch())
    assert subscriptions() == before  # its socket is closed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_mirror_ends_cleanly(flows: Flows, number: signal.Signals) -> None:
    flows.udp(4)
    with start("mirror", "0.05") as running:
        assert running.stdout is not None
        while running.stdout.readline() != "1\n":
            pass
        running.send_signal(number)
        rest = running.communicate(timeout=TIMEOUT)[0].splitlines()
    assert rest[-1] == "stopped with 1 flows, 0 losses"
    assert running.returncode == 0


def test_the_flow_log_rotates_and_loses_nothing(flows: Flows, tmp_path: Path) -> None:
    sysctl("nf_conntrack_acct", 1)
    log = tmp_path / "log"
    before = subscriptions()
    with start("flow_log", str(log), "2000") as logging:
        eventually(lambda: subscriptions() > before, "the subscription")
        for number in range(12):
            flows.udp(4, sport=5000 + number)
        assert ours("-D", "-p", "udp").rc == 0
        logging.terminate()
        assert logging.wait(TIMEOUT) == 0
    files = sorted(tmp_path.iterdir())
    assert len(files) > 2
    assert all(file.stat().st_size <= 2000 for file in files)
    events = [
        Event.from_dict(json.loads(line))
        for file in files
        for line in file.read_text().splitlines()
    ]
    ended = [event.flow for event in events if event.flow is not None]
    assert sorted(flow.orig_sport or 0 for flow in ended) == list(range(5000, 5012))
    assert all(flow.orig_bytes for flow in ended)


def test_the_flow_log_keeps_some_files(tmp_path: Path) -> None:
    module = program("flow_log")
    file = module.RotatingFile(tmp_path / "log", 10)
    for number in range(20):
        file.write(f"line {number}")
    file.close()
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept.pop("log") == "line 19\n"
    assert kept == {f"log.{back}": f"line {19 - back}\n" for back in range(1, module.KEPT + 1)}


# -- change ----------------------------------------------------------------------------------------


def test_forget_a_pod(flows: Flows) -> None:
    flows.dnat(53, 5353, "udp")
    server = flows.udp(4, port=5353, sport=5000)
    server.client.sendto(b"again", (flows.dnat4, 53))
    server.server.recvfrom(100)
    assert ours("-C").out == "2\n"
    assert printed("forget_pod", flows.dnat4, "192.0.2.77") == []
    (line,) = printed("forget_pod", flows.dnat4, flows.peer4)
    assert line.startswith("deleted udp ")
    with Conntrack() as ct:
        assert [flow.orig_dst for flow in ct.dump()] == [flows.peer4]


def test_in_the_place_of_netlink_lib(flows: Flows) -> None:
    neutron = program("neutron")
    create(
        "-p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 --state ESTABLISHED -w 1",
        "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 4 --dport 1 -w 1",
        "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 4 --dport 1 -w 2",
        "-p icmp -s 1.1.1.1 -d 2.2.2.2 --icmp-type 8 --icmp-code 0 --icmp-id 9 -w 1",
        "-p icmpv6 -s ::1 -d ::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9 -w 1",
        "-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 4 --dport 1",
        "-p gre -s 1.1.1.1 -d 2.2.2.2 --srckey 1 --dstkey 2 -w 1",
    )
    zone1 = [
        (4, "icmp", 8, 0, "1.1.1.1", "2.2.2.2", 9, 1),
        (6, "icmpv6", 128, 0, "::1", "::2", 9, 1),
        (4, "udp", 4, 1, "1.1.1.1", "2.2.2.2", 1),
        (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 1),
    ]
    listed = neutron.list_entries(1)
    assert sorted(listed, key=repr) == sorted(zone1, key=repr)
    assert [entry[3] for entry in listed] == [0, 0, 1, 2]
    assert len(neutron.list_entries_of_zones([1, 2])) == 5
    neutron.delete_entries([*zone1[:3], zone1[0]])  # the last has gone by then
    assert neutron.list_entries(1) == [zone1[3]]
    assert len(neutron.list_entries(2)) == 1
    neutron.flush_entries()
    assert ours("-C").out == "0\n"


def test_publish_a_server(flows: Flows) -> None:
    words = ("192.0.2.7:40000", "203.0.113.1:80", "10.0.0.80:8080")
    (line,) = printed("publish", *words)
    assert line.endswith("is answered by 10.0.0.80:8080")
    with Conntrack() as ct:
        (flow,) = ct.dump()
    assert flow.is_dst_nat
    assert (flow.reply_src, flow.reply_sport) == ("10.0.0.80", 8080)
    again = run([sys.executable, str(PROGRAMS / "publish.py"), *words])
    assert (again.rc, again.out) == (1, "there is such a flow already\n")


def test_expect_a_connection(flows: Flows) -> None:
    flows.ftp()
    (line,) = printed("expectations", "40100")
    assert re.search(rf"src={flows.peer4} dst={flows.here4} .*dport=40100 within \d+ s", line)
    client = flows.open(
        4, socket.SOCK_STREAM
    )  # the server connects: the kernel says that it is the expected one
    client.bind((flows.here4, 40100))
    client.listen()
    server = flows.open(4, socket.SOCK_STREAM, peer=True)
    server.connect((flows.here4, 40100))
    with Conntrack() as ct:
        (expected,) = ct.dump(Filter(status="EXPECTED"))
        assert expected.orig_dport == 40100
        assert not list(ct.expectations())


def test_zones_and_marks(flows: Flows) -> None:
    create(
        "-p udp -s 10.0.0.5 -d 192.0.2.9 --sport 1 --dport 1 -w 1 -m 0x1",
        "-p udp -s 10.0.0.6 -d 192.0.2.9 --sport 1 --dport 1 -w 1 -m 0x21",
        "-p udp -s 10.0.0.5 -d 192.0.2.9 --sport 1 --dport 1 -w 2",
        "-p udp -s 10.0.0.5 -d 192.0.2.9 --sport 1 --dport 1",
        "-p udp -s 172.16.0.5 -d 192.0.2.9 --sport 1 --dport 1 -w 1",
    )
    assert printed("zones_marks") == [
        "1 marked", "zone 0: 1 flows", "zone 1: 3 flows", "zone 2: 1 flows",
    ]  # fmt: skip
    with Conntrack() as ct:
        marks = {(flow.orig_src, flow.zone or 0): flow.mark for flow in ct.dump()}
    assert marks == {
        ("10.0.0.5", 1): 0x21, ("10.0.0.6", 1): 0x21, ("10.0.0.5", 2): 0, ("10.0.0.5", 0): 0,
        ("172.16.0.5", 1): 0,
    }  # fmt: skip


def test_the_tests_without_root() -> None:
    file = PROGRAMS / "without_root.py"
    done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)])
    assert " passed" in done.out, done.out


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
            assert not self._thread.is_alive(), "the program goes on waiting"
