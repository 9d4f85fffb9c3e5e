"""The fixtures do what they say, seen with the C tool."""

from __future__ import annotations

import os
import threading

import pytest

from support.ctool import Stream, c_tool, normalise, theirs
from support.netns import Namespace, fresh_netns, new_peer, sysctl
from support.traffic import Flows, crc32c, eventually, internet_checksum


def table(*args: str) -> list[str]:
    done = theirs("-L", *args)
    assert done.rc == 0, done.err
    return done.out.splitlines()


def test_namespace_is_new_and_the_old_one_comes_back(netns: Namespace) -> None:
    inside = os.stat("/proc/thread-self/ns/net").st_ino
    assert inside == netns.inode
    try:
        with fresh_netns() as deeper:
            assert deeper.inode != inside
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert os.stat("/proc/thread-self/ns/net").st_ino == inside


def test_other_threads_stay_where_they_are(netns: Namespace) -> None:
    seen: list[int] = []

    def look() -> None:
        with fresh_netns() as own:
            seen.append(own.inode)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen[0] != netns.inode
    assert os.stat("/proc/thread-self/ns/net").st_ino == netns.inode


def test_no_descriptor_is_left_behind(netns: Namespace) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with fresh_netns():
        peer = new_peer()
        with peer.entered():
            pass
        peer.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_fresh_namespace_is_empty(netns: Namespace) -> None:
    for family in ("ipv4", "ipv6"):
        assert table("-f", family) == []


def test_sysctl_is_the_namespaces_own(netns: Namespace) -> None:
    assert sysctl("nf_conntrack_udp_timeout", 77) == "77"
    with fresh_netns():
        assert sysctl("nf_conntrack_udp_timeout") != "77"
    assert sysctl("nf_conntrack_udp_timeout") == "77"


@pytest.mark.parametrize("family", [4, 6])
def test_tcp(flows: Flows, family: int) -> None:
    connection = flows.tcp(family, port=8080)
    (line,) = table("-f", f"ipv{family}", "-p", "tcp")
    assert " ESTABLISHED " in line
    assert f"src={flows.here_address(family)} dst={flows.peer_address(family)} " in line
    assert f"sport={connection.sport} dport=8080 " in line
    assert "[ASSURED]" in line
    connection.close()
    (line,) = table("-f", f"ipv{family}", "-p", "tcp")
    assert " TIME_WAIT " in line


def test_tcp_reset_and_unanswered(flows: Flows) -> None:
    flows.tcp(port=8080).reset()
    flows.syn(port=8081)
    states = {line.split()[3] for line in table("-p", "tcp")}
    assert states == {"CLOSE", "SYN_SENT"}


@pytest.mark.parametrize("family", [4, 6])
def test_udp(flows: Flows, family: int) -> None:
    flows.udp(family, port=5353, sport=4000)
    flows.udp(family, port=5354, sport=4001, reply=False)
    replied, unreplied = sorted(table("-f", f"ipv{family}", "-p", "udp"), key=len)
    assert "[UNREPLIED]" not in replied
    assert "sport=4000 dport=5353 " in replied
    assert "[UNREPLIED]" in unreplied
    assert "sport=4001 dport=5354 " in unreplied


def test_ping(flows: Flows) -> None:
    flows.ping(4, ident=4711)
    flows.ping(6, ident=4712)
    (line,) = table("-f", "ipv4", "-p", "icmp")
    assert "type=8 code=0 id=4711 " in line
    (line,) = table("-f", "ipv6", "-p", "icmpv6")
    assert "type=128 code=0 id=4712 " in line


@pytest.mark.parametrize("family", [4, 6])
def test_sctp(flows: Flows, family: int) -> None:
    flows.sctp(family, port=5000, sport=5001)
    flows.sctp(family, port=5002, sport=5003, establish=False)
    lines = table("-f", f"ipv{family}", "-p", "sctp")
    assert len(lines) == 2
    replied, unreplied = sorted(lines, key=lambda line: "[UNREPLIED]" in line)
    assert " ESTABLISHED " in replied
    assert "sport=5001 dport=5000 " in replied
    assert "[ASSURED]" in replied
    assert unreplied.split()[3] in {"COOKIE_WAIT", "CLOSED"}


def test_any_protocol(flows: Flows) -> None:
    flows.raw(99, b"payload", reply=True)
    (line,) = table("-p", "99")
    assert line.startswith("unknown  99 ")


@pytest.mark.parametrize("family", [4, 6])
def test_source_nat(flows: Flows, family: int) -> None:
    flows.snat()
    connection = flows.tcp(family)
    assert connection.server.getpeername()[0] in {flows.snat4, flows.snat6}
    (line,) = table("-f", f"ipv{family}", "--src-nat")
    assert f"dst={flows.snat4 if family == 4 else flows.snat6} " in line


@pytest.mark.parametrize("family", [4, 6])
def test_destination_nat(flows: Flows, family: int) -> None:
    flows.dnat(80, 8080)
    target = flows.dnat4 if family == 4 else flows.dnat6
    flows.tcp(family, 8080, to=target, to_port=80)
    (line,) = table("-f", f"ipv{family}", "--dst-nat")
    assert f"dst={target} " in line
    assert f"src={flows.peer_address(family)} " in line


@pytest.mark.parametrize("family", [4, 6])
def test_ftp_expectations(flows: Flows, family: int) -> None:
    ftp = flows.ftp(family)
    ftp.passive(40002)
    (line,) = table("expect", "-f", f"ipv{family}")
    assert "dport=40002 " in line
    assert "helper=ftp" in line
    ftp.active(40001)
    assert any("dport=40001 " in line for line in table("expect", "-f", f"ipv{family}"))
    ftp.control.close()


def test_tftp_expectation(flows: Flows) -> None:
    connection = flows.tftp()
    (line,) = table("expect")
    assert f"dport={connection.sport} " in line
    assert "helper=tftp" in line


def test_event_stream(flows: Flows) -> None:
    with Stream([c_tool(), "-E", "-p", "udp"]) as events:
        flows.udp(port=5353, sport=4000)
        assert "[NEW]" in events.line()
        assert "[UPDATE]" in events.line()
        assert theirs("-D", "-p", "udp", "--dport", "5353").rc == 0
        assert "sport=4000" in events.until("[DESTROY]")[-1]
    assert events.process.returncode is not None


def test_the_peer_tracks_nothing(flows: Flows) -> None:
    flows.udp()
    with flows.peer.entered():
        assert table() == []


def test_normalise() -> None:
    text = (
        "udp      17 29 src=192.0.2.1 dst=192.0.2.2 sport=1 dport=2 mark=0 use=2 id=77\n"
        "icmp     1 30 src=192.0.2.1 dst=192.0.2.2 type=8 code=0 id=55 mark=0 use=1\n"
        "297 proto=6 src=192.0.2.1 dst=192.0.2.2\n"
        "<meta><id>9</id><timeout>3</timeout></meta>\n"
    )
    assert normalise(text, order=True) == (
        "udp      17 T src=192.0.2.1 dst=192.0.2.2 sport=1 dport=2 mark=0 use=N id=N\n"
        "icmp     1 T src=192.0.2.1 dst=192.0.2.2 type=8 code=0 id=55 mark=0 use=N\n"
        "T proto=6 src=192.0.2.1 dst=192.0.2.2\n"
        "<meta><id>N</id><timeout>N</timeout></meta>\n"
    )
    assert normalise("b\na\n") == "a\nb\n"


def test_checksums() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the published check value
    packet = b"\x08\x00\x00\x00\x00\x01\x00\x01x"
    whole = packet[:2] + internet_checksum(packet).to_bytes(2, "big") + packet[4:]
    assert internet_checksum(whole) == 0


def test_eventually_gives_up() -> None:
    with pytest.raises(AssertionError, match="pigs flew did not happen"):
        eventually(lambda: False, "pigs flew", seconds=0)
