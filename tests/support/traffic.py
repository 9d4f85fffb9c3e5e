"""Real packets between two namespaces, tracked by the real kernel.

The test's namespace is the client and the tracker; ``peer`` is the other end of a
veth pair.  No thread and no child process serves anything: the test itself holds
both ends' sockets, so each step has happened when its function returns.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from .netns import Namespace, new_peer, unavailable

TIMEOUT = 20.0  # seconds until a packet that does not arrive is an error

HERE4, PEER4, SNAT4, DNAT4 = "192.0.2.1", "192.0.2.2", "192.0.2.10", "198.51.100.1"
HERE6, PEER6, SNAT6, DNAT6 = "2001:db8::1", "2001:db8::2", "2001:db8::10", "2001:db8:1::1"

HERE_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"

IPPROTO_SCTP = 132

T = TypeVar("T")


def eventually(probe: Callable[[], T], what: str = "it", seconds: float = TIMEOUT) -> T:
    """Call ``probe`` until it returns a true value; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen; last seen: {value!r}")
        time.sleep(0.01)


def tool(name: str) -> str:
    """Return the path of a system tool that the test requires."""
    path = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        unavailable(f"the tool {name} is not installed")
    return path


def system(*argv: str, stdin: str = "", pass_fds: tuple[int, ...] = ()) -> None:
    """Run a system tool; on failure its standard error is the error message."""
    done = subprocess.run(
        [tool(argv[0]), *argv[1:]],
        input=stdin,
        pass_fds=pass_fds,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}\n{stdin}")


def nft(ruleset: str) -> None:
    """Load nftables rules in the calling thread's namespace."""
    system("nft", "-f", "-", stdin=ruleset)


def track() -> None:
    """Switch connection tracking on in the calling thread's namespace (both families)."""
    if shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        nft(
            "table inet tracking {\n"
            " chain in { type filter hook input priority 0; ct state new,established accept; }\n"
            " chain out { type filter hook output priority 0; ct state new,established accept; }\n"
            "}\n"
        )
        return
    for command in ("iptables", "ip6tables"):
        system(command, "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")


def crc32c(data: bytes) -> int:
    """Return the checksum of SCTP (Castagnoli)."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sctp_packet(sport: int, dport: int, tag: int, chunk: int, body: bytes = b"") -> bytes:
    """Return an SCTP packet with one chunk."""
    padded = struct.pack("!BBH", chunk, 0, 4 + len(body)) + body + bytes(-len(body) % 4)
    head = struct.pack("!HHI", sport, dport, tag)
    # The checksum alone is little-endian on the wire (RFC 9260, appendix A).
    return head + struct.pack("<I", crc32c(head + bytes(4) + padded)) + padded


def internet_checksum(data: bytes) -> int:
    """Return the checksum of ICMP."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _payload(packet: bytes, family: int) -> bytes:
    # An IPv4 raw socket hands out the IP header too, an IPv6 one does not.
    return packet[(packet[0] & 15) * 4 :] if family == 4 else packet


@dataclass
class Connection:
    """Both ends of a connection (TCP, or a UDP pair)."""

    client: socket.socket
    server: socket.socket
    server_address: tuple[str, int]

    @property
    def sport(self) -> int:
        """Return the client's port."""
        return int(self.client.getsockname()[1])

    @property
    def dport(self) -> int:
        """Return the port that the client connected to."""
        return self.server_address[1]

    def exchange(self, question: bytes = b"ping\n", answer: bytes = b"pong\n") -> None:
        """Send a question and its answer; both have arrived afterwards."""
        self.ask(question)
        self.reply(answer)

    def ask(self, data: bytes) -> None:
        """Send from client to server (TCP)."""
        self.client.sendall(data)
        _read(self.server, len(data))

    def reply(self, data: bytes) -> None:
        """Send from server to client (TCP)."""
        self.server.sendall(data)
        _read(self.client, len(data))

    def close(self) -> None:
        """Close in order: the client first, and each side sees the other's FIN."""
        if self.client.fileno() < 0:
            return
        self.client.shutdown(socket.SHUT_WR)
        while self.server.recv(65536):
            pass
        self.server.shutdown(socket.SHUT_WR)
        while self.client.recv(65536):
            pass
        self.client.close()
        self.server.close()

    def reset(self) -> None:
        """End the connection with a RST from the client."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        try:
            self.server.recv(1)
        except ConnectionResetError:
            pass
        self.server.close()


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise AssertionError(f"the connection ended after {data!r}")
        data += part
    return data


class Flows:
    """Two joined namespaces and the traffic between them."""

    here4, peer4, snat4, dnat4 = HERE4, PEER4, SNAT4, DNAT4
    here6, peer6, snat6, dnat6 = HERE6, PEER6, SNAT6, DNAT6

    def __init__(self, here: Namespace, peer: Namespace, stack: ExitStack) -> None:
        self.here = here
        self.peer = peer
        self._stack = stack

    # -- addresses and sockets

    def here_address(self, family: int = 4) -> str:
        """Return the client's address."""
        return HERE4 if family == 4 else HERE6

    def peer_address(self, family: int = 4) -> str:
        """Return the peer's address."""
        return PEER4 if family == 4 else PEER6

    def open(
        self, family: int, kind: socket.SocketKind, proto: int = 0, *, peer: bool = False
    ) -> socket.socket:
        """Return a socket of this or the peer's namespace, closed at the end of the test."""
        domain = socket.AF_INET if family == 4 else socket.AF_INET6
        if peer:
            with self.peer.entered():
                sock = socket.socket(domain, kind, proto)
        else:
            sock = socket.socket(domain, kind, proto)
        self._stack.callback(sock.close)
        sock.settimeout(TIMEOUT)
        if kind is not socket.SOCK_RAW:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sock

    # -- rules

    def snat(self, proto: str = "tcp") -> None:
        """Translate the source of flows of this protocol to ``snat4``/``snat6``."""
        nft(
            "table inet srcnat { chain c { type nat hook postrouting priority 100;\n"
            f"  meta l4proto {proto} ip daddr {PEER4} snat ip to {SNAT4}\n"
            f"  meta l4proto {proto} ip6 daddr {PEER6} snat ip6 to {SNAT6}\n"
            "}\n}\n"
        )

    def dnat(self, port: int = 80, to_port: int = 8080, proto: str = "tcp") -> None:
        """Translate ``dnat4``/``dnat6`` with this port to the peer's ``to_port``."""
        nft(
            "table inet dstnat { chain c { type nat hook output priority -100;\n"
            f"  ip daddr {DNAT4} {proto} dport {port} dnat ip to {PEER4}:{to_port}\n"
            f"  ip6 daddr {DNAT6} {proto} dport {port} dnat ip6 to [{PEER6}]:{to_port}\n"
            "}\n}\n"
        )

    def helper(self, name: str, proto: str, port: int) -> None:
        """Assign the kernel's helper of this name (ftp, tftp, ...) to connections to ``port``."""
        nft(
            f"table inet helper-{name}-{port} {{\n"
            f' ct helper std {{ type "{name}" protocol {proto}; }}\n'
            " chain c { type filter hook output priority 0;\n"
            f'  {proto} dport {port} ct helper set "std"\n'
            " }\n}\n"
        )

    # -- traffic

    def tcp(
        self,
        family: int = 4,
        port: int = 8080,
        sport: int = 0,
        *,
        to: str | None = None,
        to_port: int | None = None,
    ) -> Connection:
        """Return an established TCP connection to the peer's ``port``.

        ``to`` and ``to_port`` are the client's destination if DNAT changes it.
        """
        listener = self.open(family, socket.SOCK_STREAM, peer=True)
        listener.bind((self.peer_address(family), port))
        listener.listen(1)
        client = self.open(family, socket.SOCK_STREAM)
        client.bind((self.here_address(family), sport))
        called = (to or self.peer_address(family), to_port or listener.getsockname()[1])
        client.connect(called)
        server, _ = listener.accept()
        self._stack.callback(server.close)
        server.settimeout(TIMEOUT)
        listener.close()
        connection = Connection(client, server, called)
        connection.exchange()  # the handshake's last ACK has certainly arrived
        return connection

    def syn(self, family: int = 4, port: int = 8081, sport: int = 0) -> socket.socket:
        """Start a TCP connection that nobody answers: it stays SYN_SENT."""
        with self.peer.entered():
            nft(
                f"table inet silent-{port} {{ chain c {{ type filter hook input priority 0;\n"
                f"  tcp dport {port} drop\n}}\n}}\n"
            )
        client = self.open(family, socket.SOCK_STREAM)
        client.bind((self.here_address(family), sport))
        client.setblocking(False)
        client.connect_ex((self.peer_address(family), port))
        return client

    def udp(
        self,
        family: int = 4,
        port: int = 5353,
        sport: int = 0,
        *,
        rounds: int = 1,
        reply: bool = True,
        payload: bytes = b"question",
    ) -> Connection:
        """Send datagrams to the peer's ``port``; without ``reply`` the entry stays UNREPLIED."""
        server = self.open(family, socket.SOCK_DGRAM, peer=True)
        server.bind((self.peer_address(family), port))
        client = self.open(family, socket.SOCK_DGRAM)
        client.bind((self.here_address(family), sport))
        address = (self.peer_address(family), server.getsockname()[1])
        for _ in range(rounds):
            client.sendto(payload, address)
            _, sender = server.recvfrom(65536)
            if reply:
                server.sendto(b"answer", sender)
                client.recvfrom(65536)
        return Connection(client, server, address)

    def ping(self, family: int = 4, ident: int = 0x1234, count: int = 1) -> int:
        """Send ICMP or ICMPv6 echos, which the peer's kernel answers; return ``ident``."""
        request, answer = (8, 0) if family == 4 else (128, 129)
        proto = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
        sock = self.open(family, socket.SOCK_RAW, proto)
        sock.bind((self.here_address(family), 0))
        for number in range(1, count + 1):
            packet = struct.pack("!BBHHH", request, 0, 0, ident, number) + b"conntrack"
            if family == 4:  # the kernel fills ICMPv6's checksum in
                sum_ = struct.pack("!H", internet_checksum(packet))
                packet = packet[:2] + sum_ + packet[4:]
            sock.sendto(packet, (self.peer_address(family), 0))
            expected = struct.pack("!HH", ident, number)
            while True:
                data = _payload(sock.recv(65536), family)
                if data[0] == answer and data[4:8] == expected:
                    break
        sock.close()
        return ident

    def raw(self, proto: int, payload: bytes, family: int = 4, *, reply: bool = False) -> None:
        """Send one packet of any IP protocol, and the same bytes back if ``reply``."""
        server = self.open(family, socket.SOCK_RAW, proto, peer=True)
        client = self.open(family, socket.SOCK_RAW, proto)
        client.bind((self.here_address(family), 0))
        client.sendto(payload, (self.peer_address(family), 0))
        server.recv(65536)
        if reply:
            server.sendto(payload, (self.here_address(family), 0))
            client.recv(65536)
        server.close()
        client.close()

    def sctp(
        self, family: int = 4, port: int = 5000, sport: int = 5001, *, establish: bool = True
    ) -> None:
        """Make an SCTP association, packet by packet (the kernel's own SCTP is not needed).

        With ``establish`` false only INIT is sent and the entry stays UNREPLIED; its
        state is COOKIE_WAIT or CLOSED, depending on the kernel.
        """
        server = self.open(family, socket.SOCK_RAW, IPPROTO_SCTP, peer=True)
        client = self.open(family, socket.SOCK_RAW, IPPROTO_SCTP)
        client.bind((self.here_address(family), 0))
        tag_here, tag_peer = 0x11111111, 0x22222222

        def init(tag: int) -> bytes:
            return struct.pack("!IIHHI", tag, 65536, 1, 1, 1)

        def to_peer(tag: int, chunk: int, body: bytes) -> None:
            client.sendto(
                sctp_packet(sport, port, tag, chunk, body), (self.peer_address(family), 0)
            )
            server.recv(65536)

        def to_here(tag: int, chunk: int, body: bytes) -> None:
            server.sendto(
                sctp_packet(port, sport, tag, chunk, body), (self.here_address(family), 0)
            )
            client.recv(65536)

        cookie = b"cookie!!"
        to_peer(0, 1, init(tag_here))
        if establish:
            to_here(tag_here, 2, init(tag_peer) + struct.pack("!HH", 7, 4 + len(cookie)) + cookie)
            to_peer(tag_peer, 10, cookie)
            to_here(tag_here, 11, b"")
        server.close()
        client.close()

    def ftp(self, family: int = 4, port: int = 21) -> Ftp:
        """Return an FTP control connection with the kernel's helper."""
        self.helper("ftp", "tcp", port)
        control = self.tcp(family, port)
        control.reply(b"220 ready\r\n")
        return Ftp(control, family)

    def tftp(self, family: int = 4, port: int = 69) -> Connection:
        """Send a TFTP read request, for which the kernel's helper makes one expectation."""
        self.helper("tftp", "udp", port)
        return self.udp(family, port, reply=False, payload=b"\0\1file\0octet\0")


@dataclass
class Ftp:
    """An FTP control connection; each command below leaves one expectation."""

    control: Connection
    family: int

    def active(self, port: int = 40001) -> int:
        """Offer the client's ``port`` (PORT or EPRT): the server is expected to connect."""
        if self.family == 4:
            numbers = [*HERE4.split("."), str(port >> 8), str(port & 255)]
            command = f"PORT {','.join(numbers)}\r\n"
        else:
            command = f"EPRT |2|{HERE6}|{port}|\r\n"
        self.control.ask(command.encode())
        return port

    def passive(self, port: int = 40002) -> int:
        """Offer the server's ``port`` (PASV or EPSV): the client is expected to connect."""
        if self.family == 4:
            numbers = [*PEER4.split("."), str(port >> 8), str(port & 255)]
            self.control.ask(b"PASV\r\n")
            answer = f"227 Entering Passive Mode ({','.join(numbers)})\r\n"
        else:
            self.control.ask(b"EPSV\r\n")
            answer = f"229 Extended Passive Mode Entered (|||{port}|)\r\n"
        self.control.reply(answer.encode())
        return port


@contextmanager
def joined(here: Namespace, *, tracking: bool = True) -> Iterator[Flows]:
    """Join the calling thread's (fresh) namespace with a new peer."""
    with ExitStack() as stack:
        peer = new_peer()
        stack.callback(peer.close)
        system(
            "ip",
            *("link", "add", "ct0", "address", HERE_MAC, "type", "veth"),
            *("peer", "name", "ct0", "address", PEER_MAC, "netns", f"/proc/self/fd/{peer.fd}"),
            pass_fds=(peer.fd,),
        )
        with peer.entered():
            _configure([PEER4, PEER6], [HERE4, HERE6, SNAT4, SNAT6], HERE_MAC)
        _configure([HERE4, SNAT4, HERE6, SNAT6], [PEER4, PEER6], PEER_MAC)
        # What has no route of its own goes to the peer: a target for DNAT.
        system("ip", "route", "add", "default", "via", PEER4)
        system("ip", "-6", "route", "add", "default", "via", PEER6)
        if tracking:
            track()
        yield Flows(here, peer, stack)


def _configure(addresses: list[str], neighbours: list[str], mac: str) -> None:
    # No duplicate address detection and no neighbour discovery: IPv6 works at once.
    lines = [
        f"addr add {address}{'/64 nodad' if ':' in address else '/24'} dev ct0"
        for address in addresses
    ]
    lines.append("link set ct0 up")
    lines += [f"neigh add {other} lladdr {mac} dev ct0 nud permanent" for other in neighbours]
    system("ip", "-batch", "-", stdin="\n".join([*lines, ""]))
