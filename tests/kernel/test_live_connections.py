"""Live connections go on, and end well, after their entries were saved, deleted and restored.

Between them stands a router that drops and counts what is INVALID, picks nothing up in the
middle (tcp_loose=0) and judges windows strictly (tcp_be_liberal=0).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pyconntrack import Conntrack, Flow
from support.ctool import ours
from support.netns import Namespace, sysctl
from support.router import CLIENT4, DNS, NAT, PUBLIC4, SECOND4, SERVER4, Router, pump, routed
from support.traffic import Connection, eventually

ROUNDS = 10
MEGABYTE = 1 << 20

#: saves all entries to a file, or to memory, and deletes them; what it returns restores them
Save = Callable[[Path], Callable[[], None]]


def done(*words: str) -> str:
    """Run our command; all must be well and nothing be warned of."""
    result = ours(*words)
    assert result.rc == 0, (words, result.err)
    # an FTP line that is sent again is expected again, and ends so with its master
    expected = ("have been", "expectations ended with their masters")
    lines = result.err.splitlines()
    assert [line for line in lines if not any(word in line for word in expected)] == [], words
    return result.out


def restored(path: Path, count: str) -> None:
    done("-R", str(path))
    assert sysctl("nf_conntrack_count") == count


def listing(style: str) -> Save:
    def save(path: Path) -> Callable[[], None]:
        path.write_text(done("-L", "-o", style), encoding="utf-8")
        count = sysctl("nf_conntrack_count")
        done("-D")
        return lambda: restored(path, count)

    return save


def undo(path: Path) -> Callable[[], None]:
    count = sysctl("nf_conntrack_count")
    path.unlink(missing_ok=True)
    done("-D", "--undo", str(path))
    return lambda: restored(path, count)


def library(_: Path) -> Callable[[], None]:
    with Conntrack() as conntrack:
        flows = list(conntrack.dump())
        for flow in flows:
            conntrack.delete(flow)

    def load() -> None:
        with Conntrack() as conntrack:
            assert conntrack.load(flows) == []
            assert conntrack.count() == len(flows)

    return load


#: what says all that the kernel says
EXACT: dict[str, Save] = {"ndjson": listing("ndjson"), "undo": undo, "library": library}
#: the save format knows no window scales, sequence adjustments or ICMP ids behind NAT
ALL: dict[str, Save] = {"save": listing("save"), **EXACT}

every_way = pytest.mark.parametrize("save", ALL.values(), ids=ALL)
exact_ways = pytest.mark.parametrize("save", EXACT.values(), ids=EXACT)


@pytest.fixture
def router(netns: Namespace) -> Iterator[Router]:
    with routed(netns) as joined:
        yield joined


def table() -> list[tuple[object, ...]]:
    """What no restoration may change of the router's entries."""
    with Conntrack() as conntrack:
        flows = list(conntrack.dump())
    return sorted(map(kept, flows), key=repr)


def kept(flow: Flow) -> tuple[object, ...]:
    # That NAT was thought of (…_NAT_DONE) the next packet decides anew.
    status = {word for word in flow.status or () if not str(word).endswith("_DONE")}
    return flow.state, flow.orig, flow.reply, flow.master, status, flow.mark, flow.helper


def none_invalid(router: Router, when: object) -> None:
    assert router.invalid() == 0, f"{when}: {router.culprits()}\n{done('-L', '-o', 'ndjson')}"


# -- connections that go on ---------------------------------------------------------------------


@every_way
def test_tcp_connections_go_on(router: Router, save: Save, tmp_path: Path) -> None:
    connections = {nat: router.tcp(port) for port, nat in NAT.items()}
    for port in (8001, 8002):
        connections[f"{NAT[port]}, IPv6"] = router.tcp(port, family=6)
    pump(connections, MEGABYTE)
    before = table()
    for number in range(ROUNDS):
        restore = save(tmp_path / "saved")
        assert table() == []
        restore()
        assert table() == before, number
        pump(connections, MEGABYTE, number)
        none_invalid(router, f"round {number}")
    assert table() == before


@every_way
def test_udp_goes_on_with_its_port(router: Router, save: Save, tmp_path: Path) -> None:
    client, server = router.udp()
    with Conntrack() as conntrack:

        def exchange(words: bytes) -> tuple[str, int]:
            client.sendto(words, (SERVER4, DNS))
            heard, sender = server.recvfrom(100)
            server.sendto(words[::-1], sender)
            assert (heard, client.recv(100)) == (words, words[::-1])
            return str(sender[0]), int(sender[1])

        public = exchange(b"first")
        assert public[0] == PUBLIC4
        conntrack.update(next(iter(conntrack.dump())), status="ASSURED")
    before = table()
    for number in range(ROUNDS):
        restore = save(tmp_path / "saved")
        restore()
        assert table() == before, number
        assert exchange(b"round %d" % number) == public
        none_invalid(router, f"round {number}")
    assert table() == before


@exact_ways
def test_pings_behind_one_address_go_on(router: Router, save: Save, tmp_path: Path) -> None:
    pingers = [router.pinger(address) for address in (CLIENT4, SECOND4)]
    idents = [pinger.ping(77) for pinger in pingers]
    assert idents[0] != idents[1]
    before = table()
    for number in range(ROUNDS):
        restore = save(tmp_path / "saved")
        restore()
        assert table() == before, number
        assert [pinger.ping(77) for pinger in pingers] == idents
        none_invalid(router, f"round {number}")
    assert table() == before


def acknowledged(end: socket.socket) -> bool:
    """Whether nothing that was sent is unacknowledged (tcpi_unacked)."""
    return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)[24:] == bytes(4)


def settled(*connections: Connection) -> None:
    """Await that all is acknowledged: a late acknowledgement would find no entry."""
    for connection in connections:
        for end in (connection.client, connection.server):
            eventually(partial(acknowledged, end))


@exact_ways
def test_ftp_goes_on_with_its_helper(router: Router, save: Save, tmp_path: Path) -> None:
    """Lines that the helper makes longer or shorter shift all that follows in their direction."""
    ftp = router.ftp()
    data = {"active": ftp.active(40000), "passive": ftp.passive(50000)}
    for number in range(1, ROUNDS + 1):
        settled(ftp.control, *data.values())
        before = table()
        restore = save(tmp_path / "saved")
        restore()
        assert table() == before, number
        assert ftp.say(f"NOOP {number}") == f"NOOP {number}"
        assert ftp.answer(f"200 {number}") == f"200 {number}"
        pump(data, MEGABYTE // 4, number)
        # the helper itself still works, and the next round has its shifts to restore
        more = {"active": ftp.active(40000 + number), "passive": ftp.passive(50000 + number)}
        pump(more, MEGABYTE // 4, number)
        for connection in more.values():
            connection.close()
        none_invalid(router, f"round {number}")


# -- connections that end -----------------------------------------------------------------------


def fin(first: socket.socket, second: socket.socket) -> None:
    Connection(first, second, ("", 0)).close()


def rst(first: socket.socket, second: socket.socket) -> None:
    first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    first.close()
    with pytest.raises(ConnectionResetError):
        second.recv(1)
    second.close()


@every_way
def test_tcp_connections_end_well(router: Router, save: Save, tmp_path: Path) -> None:
    """By FIN and by RST from either side, with data after the restoration and without."""
    ends = [(end, turned) for end in (fin, rst) for turned in (False, True)]
    connections = {
        f"{number}: {NAT[port]}": router.tcp(port)
        for number, port in enumerate(2 * len(ends) * list(NAT))
    }
    pump(connections, MEGABYTE // 16)
    before = table()
    save(tmp_path / "saved")()
    assert table() == before
    pump(dict(list(connections.items())[::2]), MEGABYTE // 16)
    for number, connection in enumerate(connections.values()):
        end, turned = ends[number // 2 % len(ends)]
        pair = connection.client, connection.server
        end(*reversed(pair) if turned else pair)
        none_invalid(router, f"{number}: {end.__name__}, {turned=}")

    def ended() -> bool:
        entries.clear()
        entries.extend(entry for entry in table() if entry[0] not in ("TIME_WAIT", "CLOSE"))
        return not entries

    entries: list[object] = []
    try:
        eventually(ended)
    except AssertionError:
        pytest.fail(f"not at their end: {entries}")
