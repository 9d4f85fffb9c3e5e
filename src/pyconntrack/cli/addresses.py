"""Convert the addresses of a command line: of one host, of networks, lists and ranges, and of NAT.

What conntrack(8) accepts is read as it reads it; where it reports an error, so does this module.
"""

from __future__ import annotations

from _socket import AF_INET as IPV4
from _socket import AF_INET6 as IPV6
from _socket import inet_aton, inet_pton

from .console import UsageError
from .option_values import decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def address(text: str) -> bytes:
    """Read an IPv4 address (as inet_aton does) or an IPv6 address."""
    # inet_aton() accepts "1.1.1.1 junk"
    if text and text.isascii() and not any(c.isspace() or c == "\0" for c in text):
        try:
            return inet_aton(text)
        except OSError:
            pass
        try:
            return inet_pton(IPV6, text)
        except OSError:
            pass
    raise UsageError(f"Invalid IP address `{text}'")


def family(packed: bytes) -> int:
    """Return the address family by the length of a packed address."""
    return IPV4 if len(packed) == 4 else IPV6


def network(text: str) -> tuple[bytes, bytes | None]:
    """Read ADDR[/LEN] as an address and a netmask, None without a length or with the full one."""
    left, slash, right = text.partition("/")
    try:
        packed = address(left)
    except UsageError:
        raise UsageError(f"Invalid IP address `{text}'") from None
    if not slash:
        return packed, None
    size = 8 * len(packed)
    # an empty length counts as 0: `1.1.1.1/' has always meant any address
    length = decimal(right or "0", size)
    if length < 0:
        raise UsageError("Invalid netmask")
    if length == size:
        return packed, None
    return packed, ((1 << size) - (1 << (size - length))).to_bytes(len(packed), "big")


def networks(text: str, what: str, *, lengths: bool) -> tuple[tuple[bytes, bytes], ...]:
    """Read a list of addresses, networks and ranges: ``10.0.0.1,10.1.0.0/16,10.2.0.1-10.2.0.9``.

    ``lengths``: whether networks are allowed.
    """
    found: dict[tuple[bytes, bytes], None] = {}
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if dash:
            found.update(dict.fromkeys(_range(low, high, part, what)))
            continue
        if part.endswith("/"):
            raise UsageError(f"`{part}' lacks its prefix length: 0 is any address")
        try:
            packed, mask = network(part)
        except UsageError as error:
            raise UsageError(f"{error.message} in the list `{text}'") from None
        if mask is not None and not lengths:
            raise UsageError(f"CIDR notation unavailable for `--{what}'")
        mask = mask or b"\xff" * len(packed)
        found[bytes(a & m for a, m in zip(packed, mask, strict=True)), mask] = None
    if len({len(packed) for packed, _ in found}) > 1:
        raise UsageError("mismatched address family")
    return tuple(found)


def _range(first: str, last: str, text: str, what: str) -> Iterable[tuple[bytes, bytes]]:
    """Return the networks from one address to another."""
    from ..where.sets import between

    # inet_aton() takes `9' for 0.0.0.9
    if "/" in text or any(":" not in end and end.count(".") != 3 for end in (first, last)):
        raise UsageError(f"Invalid range `{text}' of --{what}: its ends are whole addresses, as in "
                         "10.0.0.1-10.0.0.9")  # fmt: skip
    low, high = address(first), address(last)
    if len(low) != len(high):
        raise UsageError("mismatched address family")
    if low > high:
        raise UsageError(f"Invalid range `{text}' of --{what}: it ends before it begins")
    return between(low, high)


def nat(text: str, what: str) -> tuple[bytes, int | None]:
    """Read ADDR[:PORT] or [ADDR]:PORT."""
    host, service, port = text, None, None
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise UsageError("No closing ']' around IPv6 address")
        if not host:
            raise UsageError("No IPv6 address specified")
        # text between `]' and `:' is ignored, for compatibility
        _, colon, service = rest.partition(":")
        if not colon:
            raise UsageError(f"Invalid IP address `{text}'")
    elif text.count(":") == 1:
        host, _, service = text.partition(":")
    if service is not None:
        if not service:
            raise UsageError("No port specified after `:'")
        if (port := decimal(service, 65535)) < 0:
            raise UsageError(f"Invalid port `{service}'")
    if "/" in host:
        raise UsageError(f"CIDR notation unavailable for `--{what}'")
    return address(host), port
