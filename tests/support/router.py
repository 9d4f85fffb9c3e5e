"""A client, a router that tracks, and a server: live connections through strict rules.

The calling thread's namespace is the router, so a command that the test runs acts on the
router's table.  Packets that are INVALID to the router are counted and dropped, and connections are
neither picked up in the middle nor judged liberally: one whose entry was not restored exactly stops
at once.
"""

from __future__ import annotations

import random
import re
import selectors
import socket
import struct
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from .netns import Namespace, new_peer, sysctl, unavailable
from .traffic import TIMEOUT, Connection, eventually, internet_checksum, nft, system, tool

INSIDE4, INSIDE6 = "10.1.0.1", "2001:db8:1::1"  # the router, as the client sees it
CLIENT4, SECOND4, CLIENT6 = "10.1.0.2", "10.1.0.3", "2001:db8:1::2"
OUTSIDE4, OUTSIDE6 = "198.51.100.1", "2001:db8:2::1"  # the router, as the server sees it
SERVER4, SERVER6 = "198.51.100.2", "2001:db8:2::2"
# Longer than the client's address, so that the FTP helper changes the length of a segment.
PUBLIC4 = "198.51.100.100"

#: the server's port -> what the router does with connections to it
NAT = {8001: "none", 8002: "masquerade", 8003: "snat", 8004: "dnat", 8005: "snat and dnat"}
FTP, DNS = 21, 53  # FTP by both, so that the helper changes segments of both directions

_RULES = f"""
table inet guard {{
  counter invalid {{ }}
  set culprits {{
    type ipv4_addr . inet_service . ipv4_addr . inet_service . tcp_flag
    flags dynamic; size 1000
  }}
  chain invalid {{
    add @culprits {{ ip saddr . tcp sport . ip daddr . tcp dport . tcp flags }}
    counter name invalid drop
  }}
  chain input {{ type filter hook input priority 0; ct state invalid jump invalid; }}
  chain forward {{ type filter hook forward priority 0; ct state invalid jump invalid; }}
  chain output {{ type filter hook output priority 0; ct state invalid jump invalid; }}
}}
table inet nat {{
  chain prerouting {{
    type nat hook prerouting priority -100
    ip daddr {INSIDE4} tcp dport {{ 8004, 8005, {FTP} }} dnat ip to {SERVER4}
  }}
  chain postrouting {{
    type nat hook postrouting priority 100
    oifname "outside" tcp dport 8002 masquerade
    oifname "outside" ip protocol tcp tcp dport {{ 8003, 8005 }} snat ip to {PUBLIC4}:20000-20999
    oifname "outside" ip protocol tcp tcp dport {FTP} snat ip to {PUBLIC4}
    oifname "outside" ip protocol udp udp dport {DNS} snat ip to {PUBLIC4}:30000-30999
    oifname "outside" ip protocol icmp snat ip to {PUBLIC4}
  }}
}}
"""

_FTP_HELPER = f"""
table inet helpers {{
  ct helper ftp {{ type "ftp" protocol tcp; }}
  chain prerouting {{
    type filter hook prerouting priority 0
    tcp dport {FTP} ct helper set "ftp"
  }}
}}
"""

_CHUNK = 1 << 18


class _End:
    """One end of a connection while data is pumped through it both ways."""

    def __init__(self, sock: socket.socket, seed: int, size: int) -> None:
        self.sock = sock
        self.chunk = memoryview(random.Random(seed).randbytes(_CHUNK))
        self.unsent = self.unread = size
        self.sent = self.read = 0  # checksums

    def send(self) -> None:
        start = -self.unsent % _CHUNK
        part = self.chunk[start : start + self.unsent]
        done = part[: self.sock.send(part)]
        self.sent = zlib.crc32(done, self.sent)
        self.unsent -= len(done)

    def receive(self) -> None:
        data = self.sock.recv(min(_CHUNK, self.unread))
        if not data:
            raise ConnectionError("the other end closed it")
        self.read = zlib.crc32(data, self.read)
        self.unread -= len(data)

    def quiet(self) -> bool:
        return not unacknowledged(self.sock)


def pump(connections: Mapping[str, Connection], size: int, seed: int = 0) -> None:
    """Send ``size`` octets each way through all connections at once.

    What arrives is what was sent, and all of it is acknowledged afterwards, so that neither
    end has anything left to say.  A connection that stalls is named.
    """
    ends: dict[str, tuple[_End, _End]] = {}
    with selectors.DefaultSelector() as selector:
        for name, connection in connections.items():
            seed += 2
            ends[name] = (
                _End(connection.client, seed, size),
                _End(connection.server, seed + 1, size),
            )
            for end in ends[name]:
                end.sock.setblocking(False)
                both = selectors.EVENT_READ | selectors.EVENT_WRITE
                selector.register(end.sock, both, end)
        while selector.get_map():
            ready = selector.select(TIMEOUT)
            if not ready:
                raise AssertionError(f"no packet arrives any more; unread: {_unread(ends)}")
            for key, events in ready:
                end = key.data
                if events & selectors.EVENT_WRITE:
                    end.send()
                if events & selectors.EVENT_READ:
                    end.receive()
                wanted = selectors.EVENT_READ * (end.unread > 0)
                wanted |= selectors.EVENT_WRITE * (end.unsent > 0)
                if not wanted:
                    selector.unregister(end.sock)
                elif wanted != key.events:
                    selector.modify(end.sock, wanted, end)
    for name, (client, server) in ends.items():
        assert (client.read, server.read) == (server.sent, client.sent), f"{name}: other data"
        for end in (client, server):
            end.sock.settimeout(TIMEOUT)
            eventually(end.quiet, f"the last ACK of {name}")


def _unread(ends: Mapping[str, tuple[_End, _End]]) -> dict[str, list[int]]:
    unread = {name: [end.unread for end in both] for name, both in ends.items()}
    return {name: both for name, both in unread.items() if any(both)}


def unacknowledged(sock: socket.socket) -> int:
    """Return how many segments that ``sock`` has sent await an ACK (``tcpi_unacked``)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    return int(struct.unpack_from("I", info, 24)[0])


class Router:
    """Three joined namespaces, the rules of the middle one, and what goes through it."""

    def __init__(self, client: Namespace, server: Namespace, stack: ExitStack) -> None:
        self.client = client
        self.server = server
        self._stack = stack

    def open(
        self, where: Namespace, domain: int, kind: int, proto: int = 0, *bound: str | int
    ) -> socket.socket:
        """Return a socket of one of the namespaces, closed at the end of the test."""
        with where.entered():
            sock = socket.socket(domain, kind, proto)
        self._stack.callback(sock.close)
        sock.settimeout(TIMEOUT)
        if kind != socket.SOCK_RAW:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound:
            sock.bind(bound)
        return sock

    def tcp(self, port: int, family: int = 4) -> Connection:
        """Return an established connection to the server's ``port``, through the router's NAT."""
        domain = socket.AF_INET if family == 4 else socket.AF_INET6
        server = SERVER4 if family == 4 else SERVER6
        called = INSIDE4 if "dnat" in NAT.get(port, "dnat") else server
        listener = self.open(self.server, domain, socket.SOCK_STREAM, 0, server, port)
        listener.listen(1)
        client = self.open(self.client, domain, socket.SOCK_STREAM)
        client.connect((called, port))
        connection = Connection(client, self.accept(listener), (called, port))
        connection.exchange()  # the handshake's last ACK has certainly arrived
        return connection

    def accept(self, listener: socket.socket) -> socket.socket:
        """Return the one connection made to ``listener``, which is closed."""
        accepted, _ = listener.accept()
        self._stack.callback(accepted.close)
        accepted.settimeout(TIMEOUT)
        listener.close()
        return accepted

    def ftp(self) -> Ftp:
        """Return an FTP control connection with the kernel's helper."""
        try:
            nft(_FTP_HELPER)
        except RuntimeError as error:
            unavailable(f"this kernel has no FTP helper: {error}")
        return Ftp(self, self.tcp(FTP))

    def udp(self) -> tuple[socket.socket, socket.socket]:
        """Return a UDP client and a server; the server's port is ``DNS``."""
        server = self.open(self.server, socket.AF_INET, socket.SOCK_DGRAM, 0, SERVER4, DNS)
        return self.open(self.client, socket.AF_INET, socket.SOCK_DGRAM), server

    def pinger(self, address: str) -> Pinger:
        """Return a pinger of the server from one of the client's addresses."""
        client = self.open(
            self.client, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, address, 0
        )
        seen = self.open(
            self.server, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, SERVER4, 0
        )
        return Pinger(client, seen)

    def invalid(self) -> int:
        """Return the number of packets that were INVALID to the router."""
        return int(re.findall(r"packets (\d+)", _listed("counter", "invalid"))[0])

    def culprits(self) -> str:
        """Return the TCP packets among them: addresses, ports and flags."""
        return _listed("set", "culprits").partition("elements = ")[2]


class Ftp:
    """An FTP client and server; the test itself sends the lines of both."""

    def __init__(self, router: Router, control: Connection) -> None:
        self.router = router
        self.control = control

    def say(self, line: str) -> str:
        """Send the client's line; return what the server reads."""
        return self._line(self.control.client, line, self.control.server)

    def answer(self, line: str) -> str:
        """Send the server's line; return what the client reads."""
        return self._line(self.control.server, line, self.control.client)

    def _line(self, source: socket.socket, line: str, target: socket.socket) -> str:
        source.sendall(f"{line}\r\n".encode())
        data = b""
        while not data.endswith(b"\r\n"):
            data += target.recv(1) or b"(closed)\r\n"
        return data.decode().removesuffix("\r\n")

    def active(self, port: int) -> Connection:
        """Return a data connection that the server opens to the client's ``port`` (PORT)."""
        heard = self.say(f"PORT {_octets(CLIENT4, port)}")
        return self._data(heard, "PORT ", self.router.client, CLIENT4, port, PUBLIC4)

    def passive(self, port: int) -> Connection:
        """Return a data connection that the client opens to the server's ``port`` (PASV)."""
        assert self.say("PASV") == "PASV"
        heard = self.answer(f"227 Entering Passive Mode ({_octets(SERVER4, port)}).")
        words = "227 Entering Passive Mode ("
        return self._data(heard, words, self.router.server, SERVER4, port, INSIDE4)

    def _data(
        self, heard: str, words: str, where: Namespace, address: str, port: int, shown: str
    ) -> Connection:
        assert heard.startswith(words), heard
        numbers = [int(word) for word in heard.removeprefix(words).rstrip(").").split(",")]
        called = ".".join(map(str, numbers[:4])), numbers[4] << 8 | numbers[5]
        assert called[0] == shown, heard
        kinds = socket.AF_INET, socket.SOCK_STREAM
        listener = self.router.open(where, *kinds, 0, address, port)
        listener.listen(1)
        other = self.router.server if where is self.router.client else self.router.client
        caller = self.router.open(other, *kinds)
        caller.connect(called)
        accepted = self.router.accept(listener)
        return Connection(caller, accepted, called)


def _octets(address: str, port: int) -> str:
    return ",".join([*address.split("."), str(port >> 8), str(port & 255)])


class Pinger:
    """Echo requests with one identifier, and their appearance at the server."""

    def __init__(self, client: socket.socket, seen: socket.socket) -> None:
        self.client = client
        self.seen = seen
        self.name = socket.inet_aton(client.getsockname()[0])
        self.number = 0

    def ping(self, ident: int) -> int:
        """Send a request and read its answer; return the identifier that the server saw."""
        self.number += 1
        packet = struct.pack("!BBHHH", 8, 0, 0, ident, self.number) + self.name
        packet = packet[:2] + struct.pack("!H", internet_checksum(packet)) + packet[4:]
        self.client.sendto(packet, (SERVER4, 0))
        self._next(self.client, 0, ident)
        return self._next(self.seen, 8)

    def _next(self, sock: socket.socket, kind: int, ident: int | None = None) -> int:
        while True:
            data = sock.recv(65536)[20:]
            heard, number = struct.unpack_from("!HH", data, 4)
            ours = data[8:] == self.name and number == self.number
            if ours and data[0] == kind and ident in (None, heard):
                return int(heard)


def _listed(kind: str, name: str) -> str:
    argv = [tool("nft"), "list", kind, "inet", "guard", name]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def routed(router: Namespace) -> Iterator[Router]:
    """Make the calling thread's (fresh) namespace the router between two new ones."""
    with ExitStack() as stack:
        client, server = new_peer(), new_peer()
        stack.callback(client.close)
        stack.callback(server.close)
        _join("inside", client, [f"{INSIDE4}/24", f"{INSIDE6}/64"],
              [f"{CLIENT4}/24", f"{SECOND4}/24", f"{CLIENT6}/64"])  # fmt: skip
        _join("outside", server, [f"{OUTSIDE4}/24", f"{PUBLIC4}/24", f"{OUTSIDE6}/64"],
              [f"{SERVER4}/24", f"{SERVER6}/64"])  # fmt: skip
        for namespace, gateways in ((client, (INSIDE4, INSIDE6)), (server, (OUTSIDE4, OUTSIDE6))):
            with namespace.entered():
                for gateway in gateways:
                    system("ip", "route", "add", "default", "via", gateway)
        sysctl("net.ipv4.ip_forward", 1)
        sysctl("net.ipv6.conf.all.forwarding", 1)
        sysctl("nf_conntrack_tcp_loose", 0)
        sysctl("nf_conntrack_tcp_be_liberal", 0)
        for timeout in ("tcp_timeout_time_wait", "tcp_timeout_close", "udp_timeout",
                        "udp_timeout_stream", "icmp_timeout"):  # fmt: skip
            sysctl(f"nf_conntrack_{timeout}", 3600)  # no entry expires, however slow the machine
        nft(_RULES)
        yield Router(client, server, stack)


def _join(name: str, other: Namespace, ours: list[str], theirs: list[str]) -> None:
    system(
        "ip", "link", "add", name, "type", "veth",
        "peer", "name", name, "netns", f"/proc/self/fd/{other.fd}", pass_fds=(other.fd,),
    )  # fmt: skip
    _address(name, ours)
    with other.entered():
        _address(name, theirs)


def _address(name: str, addresses: list[str]) -> None:
    # No duplicate address detection: IPv6 works at once.
    lines = [
        f"addr add {address} dev {name} {'nodad' if ':' in address else ''}"
        for address in addresses
    ]
    system("ip", "-batch", "-", stdin="\n".join([*lines, f"link set {name} up", ""]))
