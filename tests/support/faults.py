"""Faults of connection tracking, provoked in a fresh namespace while doctor looks.

A fault is a generator function: what it does before its ``yield`` is done before the look, the rest
between the two readings of the counters.  So nothing depends on how fast the machine is.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from pyconntrack import Conntrack, Expect, Filter, Flow, Stats, Tuple
from pyconntrack.doctor import Finding, Snapshot, examine, snapshot

from .ctool import ours
from .netns import Namespace, fresh_netns, new_peer, sysctl
from .traffic import TIMEOUT, Connection, eventually, internet_checksum, nft, system, track

PUBLIC = "203.0.113.7"
CLIENT, OTHER_CLIENT = "10.1.7.3", "10.1.7.4"
SERVERS = ("198.51.100.9", "198.51.100.10")
PORTS, TRIED, RENEWED = 50, 80, 20
_MAC = "02:00:00:00:00:01"
#: seconds between the readings, beside what the faults take
_SECONDS = 0.05

_NAT = """
table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority 100
    oifname "out" ip protocol tcp snat to {public}:50000-{last}
    oifname "out" ip protocol udp snat to {public}:50000-{last}
  }}
}}
"""


class Scene:
    """A gateway's namespace: clients on ``lo``, a way ``out`` to somebody who never answers."""

    def __init__(self, here: Namespace, peer: Namespace, stack: ExitStack) -> None:
        self.here = here
        self.peer = peer
        self.stack = stack
        self.failed = 0  # connections that the kernel refused to their sender

    def translate(self) -> None:
        """Translate what goes out to one address and ``PORTS`` ports."""
        nft(_NAT.format(public=PUBLIC, last=50000 + PORTS - 1))

    def connect(self, client: str, server: str, protocol: str = "udp") -> None:
        """Send the first packet of a connection; nobody answers it."""
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK) as sock:
            sock.bind((client, 0))
            try:
                sock.connect((server, 443))
                if protocol == "udp":
                    sock.send(b"hello")
            except BlockingIOError:
                pass  # a SYN is on its way
            except PermissionError:
                self.failed += 1

    def serve(self) -> None:
        """Let somebody answer TCP connections to the first server."""
        with self.peer.entered():
            self.listener = socket.create_server((SERVERS[0], 443), backlog=100)
        self.stack.callback(self.listener.close)
        self.listener.settimeout(TIMEOUT)

    def converse(self, client: str) -> Connection:
        """Return an established connection to the first server, closed at the end of the test."""
        called = (SERVERS[0], 443)
        ours = socket.create_connection(called, TIMEOUT, (client, 0))
        theirs, _ = self.listener.accept()
        self.stack.callback(ours.close)
        self.stack.callback(theirs.close)
        return Connection(ours, theirs, called)

    def send(self, protocol: int, packets: Iterator[bytes]) -> None:
        """Send packets of a raw ``protocol`` to this namespace itself."""
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as sock:
            for packet in packets:
                sock.sendto(packet, ("127.0.0.1", 0))


@contextmanager
def gateway() -> Iterator[Scene]:
    """Put the calling thread in a fresh namespace that is healthy, and tracks what it sends."""
    with fresh_netns() as here, ExitStack() as stack:
        peer = new_peer()
        stack.callback(peer.close)
        # Without ARP a frame goes to the address of its own interface.
        link = ("link", "add", "out", "address", _MAC, "type", "veth")
        far = ("peer", "name", "far", "address", _MAC, "netns", f"/proc/self/fd/{peer.fd}")
        system("ip", *link, *far, pass_fds=(peer.fd,))
        with peer.entered():
            _configure("far", [f"addr add {server}/32 dev lo" for server in SERVERS])
        clients = [f"addr add {client}/32 dev lo" for client in (CLIENT, OTHER_CLIENT)]
        _configure("out", [f"addr add {PUBLIC}/24 dev out", *clients])
        sysctl("nf_conntrack_acct", 1)
        track()
        yield Scene(here, peer, stack)


def _configure(device: str, lines: list[str]) -> None:
    lines = [f"link set {device} arp off", *lines, f"link set {device} up"]
    system("ip", "-batch", "-", stdin="\n".join([*lines, f"route add default dev {device}", ""]))


class _Provoked(Conntrack):
    """A connection whose first reading of the counters is followed by what the faults do."""

    happens: Sequence[Iterator[None]] = ()

    def stats(self) -> Stats:
        found = super().stats()
        happens, self.happens = self.happens, ()
        for each in happens:
            assert next(each, "ended") == "ended"
        return found


def look(scene: Scene, *faults: Callable[[Scene], Iterator[None]]) -> Snapshot:
    """Return what is seen of ``scene`` while the faults happen."""
    begun = [fault(scene) for fault in faults]
    for each in begun:
        next(each)
    with _Provoked() as ct:
        ct.happens = begun
        return snapshot(ct, _SECONDS)


def bad(findings: list[Finding]) -> dict[str, str]:
    """Return the severities of what is wrong, by the code of the check."""
    return {each.code: each.severity for each in findings if each.severity != "ok"}


def diagnosed(*faults: Callable[[Scene], Iterator[None]]) -> dict[str, str]:
    """Return what is wrong with a gateway where these faults happen."""
    with gateway() as scene:
        return bad(examine(look(scene, *faults)))


def restore(lines: Iterator[str]) -> None:
    """Create entries from lines of ``-R``."""
    done = ours("-R", "-", stdin="\n".join([*lines, ""]))
    assert done.rc == 0, done.err


def host(number: int, network: int = 10) -> str:
    """Return the address of host ``number``."""
    return f"{network}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


# -- the faults


def no_ports(scene: Scene) -> Iterator[None]:
    """To each of two servers 80 connections, translated to one address and 50 ports."""
    scene.translate()
    yield
    for server in SERVERS:
        for number in range(TRIED):
            scene.connect(CLIENT if number % 4 else OTHER_CLIENT, server)


def lost_events(scene: Scene) -> Iterator[None]:
    """A listener with a tiny buffer; it is this process."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    scene.stack.callback(listener.close)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    listener.bind((0, 0b111))
    with Conntrack() as ct:
        assert ct.load([_answered(number) for number in range(100)]) == []
    yield


def events_off(scene: Scene) -> Iterator[None]:
    """A listener that gets no events."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    scene.stack.callback(listener.close)
    listener.bind((0, 0b111))
    sysctl("nf_conntrack_events", 0)
    yield


def no_accounting(scene: Scene) -> Iterator[None]:
    """Nothing is counted."""
    sysctl("nf_conntrack_acct", 0)
    yield


def no_checksums(scene: Scene) -> Iterator[None]:
    """Checksums are not verified."""
    sysctl("nf_conntrack_checksum", 0)
    yield


def liberal(scene: Scene) -> Iterator[None]:
    """The windows of TCP are not checked."""
    sysctl("nf_conntrack_tcp_be_liberal", 1)
    yield


def invalid_packets(scene: Scene) -> Iterator[None]:
    """TCP packets with flags that no connection has (SYN and FIN)."""
    yield
    scene.send(socket.IPPROTO_TCP, (_tcp(3000 + number, 0x03) for number in range(50)))


def unseen_connections(scene: Scene) -> Iterator[None]:
    """Packets of connections that began before, while none is taken up in the middle."""
    sysctl("nf_conntrack_tcp_loose", 0)
    yield
    scene.send(socket.IPPROTO_TCP, (_tcp(4000 + number, 0x10) for number in range(50)))


def logged_packets(scene: Scene) -> Iterator[None]:
    """Invalid packets fill the kernel's log (where a namespace may write to it)."""
    sysctl("nf_conntrack_log_invalid", 6)
    yield
    scene.send(socket.IPPROTO_TCP, (_tcp(5000 + number, 0x03) for number in range(50)))


def stray_errors(scene: Scene) -> Iterator[None]:
    """Errors of ICMP about connections that do not exist."""
    yield
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0)
    ip += socket.inet_aton("10.9.9.9") + socket.inet_aton("10.9.9.8")
    packets = []
    for number in range(50):
        packet = struct.pack("!BBHI", 3, 3, 0, 0) + ip + struct.pack("!HHHH", number, 9, 8, 0)
        packets.append(packet[:2] + struct.pack("!H", internet_checksum(packet)) + packet[4:])
    scene.send(socket.IPPROTO_ICMP, iter(packets))


def no_answers(scene: Scene) -> Iterator[None]:
    """Most entries are those of a scan."""
    flows = [
        Flow(Tuple(host(number, 11), host(number, 12), "udp", 1000, 53), timeout=600)
        for number in range(4500)
    ]
    with Conntrack() as ct:
        assert ct.load(flows) == []
    yield


def many_expectations(scene: Scene) -> Iterator[None]:
    """Nearly as many expectations as may be."""
    number = int(sysctl("nf_conntrack_expect_max")) * 96 // 100 + 1
    ends = "255.255.255.255"
    with Conntrack() as ct:
        masters = [
            _answered(each, 13, proto="tcp", tcp_state="ESTABLISHED", helper="ftp")
            for each in range(number)
        ]
        assert ct.load(masters) == []
        for master in masters:
            orig = master.orig
            assert orig is not None
            ct.create_expectation(
                Expect(
                    tuple=Tuple(orig.dst, orig.src, "tcp", 0, 5000), master=orig, timeout=600,
                    mask=Tuple(ends, ends, "tcp", 0, 65535),
                )
            )  # fmt: skip
    yield


def many_idle(scene: Scene) -> Iterator[None]:
    """A fifth of the maximum are connections without a packet for hours."""
    restore(
        f"-A -s {host(number)} -d {host(number % 997, 12)} -p tcp --sport 1000 --dport 22"
        " --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 400000"
        for number in range(_share(21))
    )
    yield


def one_client(scene: Scene) -> Iterator[None]:
    """A quarter of the maximum belongs to one client."""
    restore(
        f"-A -s {CLIENT} -d {host(number, 12)} -p udp --sport 1000 --dport 53"
        " -u ASSURED,SEEN_REPLY -t 600"
        for number in range(_share(26))
    )
    yield


def one_destination(scene: Scene) -> Iterator[None]:
    """Half of the maximum goes to one service."""
    restore(
        f"-A -s {host(number)} -d {SERVERS[0]} -p tcp --sport 1000 --dport 443"
        " --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 431000"
        for number in range(_share(51))
    )
    yield


def one_zone(scene: Scene) -> Iterator[None]:
    """Half of the maximum is in one of two zones."""
    restore(
        f"-A -s {host(number)} -d {host(number % 997, 12)} -p udp --sport 1000 --dport 53"
        f" -u ASSURED,SEEN_REPLY -t 600 -w {1 if number else 2}"
        for number in range(_share(51))
    )
    yield


def expired_entries(scene: Scene) -> Iterator[None]:
    """Entries that expire at once; the collector may come right then."""
    restore(
        f"-A -s {host(number)} -d {host(number % 997, 12)} -p udp --sport 1000 --dport 53"
        " -u SEEN_REPLY -t 2"
        for number in range(5000)
    )
    yield
    threading.Event().wait(2.05)  # nothing shows that an entry has expired, but a dump


# -- what is healthy, and what fills the table


def ending_connections(scene: Scene) -> Iterator[None]:
    """All ports belong to connections in TIME_WAIT when new ones begin."""
    scene.translate()
    scene.serve()
    for connection in [scene.converse(CLIENT) for _ in range(PORTS)]:
        connection.close()
    with Conntrack() as ct:
        eventually(
            lambda: sum(flow.tcp_state == "TIME_WAIT" for flow in ct.dump()) == PORTS,
            "the end of all connections",
        )
    yield
    for _ in range(RENEWED):
        scene.converse(CLIENT)


def racing_packets(scene: Scene) -> Iterator[None]:
    """Two packets of one new UDP flow at once; a long chain of rules makes it likely."""
    rules = "\n".join(["ip saddr 192.0.2.1 counter"] * 500)
    jumps = "\n".join(["jump slow"] * 200)
    nft(f"table ip long {{\n chain slow {{\n{rules}\n}}\n"
        f" chain output {{ type filter hook output priority 1\n{jumps}\n}}\n}}\n")  # fmt: skip
    yield
    start = threading.Barrier(2)
    with Conntrack() as ct:
        for number in range(1000):
            before = sum(cpu.clash_resolve or 0 for cpu in ct.stats().cpus)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((CLIENT, 0))
                server = (host(number, 16), 53)

                def send(sock: socket.socket = sock, server: tuple[str, int] = server) -> None:
                    start.wait()
                    sock.sendto(b"hello", server)

                other = threading.Thread(target=send)
                other.start()
                send()
                other.join()
            if sum(cpu.clash_resolve or 0 for cpu in ct.stats().cpus) > before:
                return
    raise AssertionError("no two packets came at once")


def colliding_hosts(scene: Scene) -> list[str]:
    """Return addresses whose flows to themselves stand in a few chains, until one is too long.

    The kernel hashes with a secret, but lists a table in the order of its chains.  So what is
    listed between two entries of neighbouring chains is in these, and many tables are made and
    listed to find enough of it.  The tuples of such a flow are equal, so it stands twice in one
    chain.
    """
    most = int(sysctl("nf_conntrack_max")) - 1000
    found: list[str] = []
    with Conntrack() as ct:
        for first in range(0, 100 * most, most):
            ct.flush()
            fresh = (host(number) for number in range(first, first + most))
            done = ours("-R", "-", stdin="".join(map(_mirrored, (*found, *fresh))))
            if done.rc:
                assert "the hash chain is too long" in done.err
                return found
            listed = [str(each) for each in ct.table(columns=["orig_src"])["orig_src"]]
            begin, end = (most // 2, most // 2 + 4)
            if found:
                begin, end = listed.index(found[0]), listed.index(found[-1])
            found = listed[begin : end + 1]
    raise AssertionError("no chain is too long")


def _mirrored(address: str) -> str:
    return (
        f"-A -s {address} -d {address} -p udp --sport 7 --dport 7 -t 3600"
        " -u ASSURED,SEEN_REPLY\n"
    )  # fmt: skip


def long_chains(scene: Scene) -> Iterator[None]:
    """New flows of a few chains that are too long, whatever the number of buckets."""
    hosts = colliding_hosts(scene)
    system("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
    with Conntrack() as ct:
        ct.flush()
        ours("-R", "-", stdin="".join(map(_mirrored, hosts)))
        yield
        for address in hosts:
            ct.delete_matching(Filter(orig_src=address))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((address, 7))
                try:
                    sock.sendto(b"hello", (address, 7))
                except PermissionError:
                    scene.failed += 1


class Growth:
    """A table of long-lived entries that grows at a steady rate until it is full."""

    def __init__(self, *, start: float, each_second: int) -> None:
        self._start = start
        self._rate = each_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._grow)

    def __enter__(self) -> Growth:
        self._most = int(sysctl("nf_conntrack_max"))
        self._made = int(self._most * self._start)
        restore(map(_lasting, range(self._made)))
        self._full_at = 0.0
        self._thread.start()
        return self

    def _grow(self) -> None:
        begin, first = time.monotonic(), self._made
        with Conntrack() as ct:
            while not self._stop.wait(0.02):
                due = min(first + int((time.monotonic() - begin) * self._rate), self._most)
                ct.load([_answered(number) for number in range(self._made, due)])
                self._made = due
                if ct.count() >= self._most:
                    self._full_at = time.time()
                    return

    def full(self) -> float:
        """Return when the table was full, in seconds since 1970."""
        self._thread.join(120)
        assert self._full_at
        return self._full_at

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def no_room(scene: Scene) -> Iterator[None]:
    """New connections meet a table that is full of connections that are assured."""
    yield
    for number in range(50):
        scene.connect(CLIENT, host(number, 15))


def room_for_a_while(scene: Scene) -> Iterator[None]:
    """New connections meet a table that is full of entries that are not assured."""
    most = int(sysctl("nf_conntrack_max"))
    restore(f"-A -s {host(n)} -d {host(n % 997, 12)} -p udp --sport 1 --dport 53 -t 600"
            for n in range(most))  # fmt: skip
    yield
    for number in range(50):
        scene.connect(CLIENT, host(number, 15))


class Fault(NamedTuple):
    """A fault, and what doctor must say of it: severities by code."""

    provoke: Callable[[Scene], Iterator[None]]
    found: dict[str, str]


#: each fits with each other.  Events are lost before they are off
FAULTS = (
    Fault(no_ports, {"nat-ports": "crit"}),
    Fault(lost_events, {"events-lost": "warn"}),
    Fault(events_off, {"events": "warn"}),
    Fault(no_accounting, {"accounting": "warn"}),
    Fault(no_checksums, {"checksum": "warn"}),
    Fault(liberal, {"be-liberal": "warn"}),
    Fault(invalid_packets, {"invalid": "warn"}),
    Fault(unseen_connections, {"invalid": "warn", "loose": "warn"}),
    Fault(logged_packets, {"invalid": "warn", "log-invalid": "warn"}),
    Fault(stray_errors, {"error": "warn"}),
    Fault(no_answers, {"unanswered": "warn"}),
    Fault(many_expectations, {"expectations-full": "crit"}),
)
#: they need a great part of the maximum, which cannot be lowered for a namespace
LARGE_FAULTS = (
    Fault(many_idle, {"idle-timeouts": "warn"}),
    Fault(one_client, {"one-client": "warn"}),
    Fault(one_destination, {"one-destination": "warn"}),
    Fault(one_zone, {"zones": "warn"}),
)


def _tcp(port: int, flags: int) -> bytes:
    """Return a TCP packet of the loopback interface, where checksums are not verified."""
    return struct.pack("!HHIIBBHHH", port, 443, 1, 1, 0x50, flags, 0x2000, 0, 0)


def _lasting(number: int) -> str:
    return (
        f"-A -s {host(number)} -d {host(number % 97, 14)} -p udp --sport 1000 --dport 53"
        " -u ASSURED,SEEN_REPLY -t 600"
    )


def _answered(number: int, network: int = 10, *, proto: str = "udp", **more: object) -> Flow:
    return Flow(
        Tuple(host(number, network), host(number % 97, 14), proto, 1000, 53), timeout=600,
        status=["SEEN_REPLY", "ASSURED"], **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _share(percent: int) -> int:
    return int(sysctl("nf_conntrack_max")) * percent // 100
