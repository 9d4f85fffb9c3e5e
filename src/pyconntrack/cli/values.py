"""From the text of one option value to a Python value, strictly.

This module owns the syntax of values and the words that report a wrong one. It knows
nothing of commands, and must import nothing but ``_socket``. Where conntrack(8) reports
an error, the same error is reported; where it would misread a value in silence, an error
says what is wrong and what would be right.
"""

from __future__ import annotations

from _socket import AF_INET as IPV4
from _socket import AF_INET6 as IPV6
from _socket import getprotobyname, inet_aton, inet_pton

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class UsageError(Exception):
    """A wrong command line: the message, the exit code, whether to point at the help."""

    def __init__(self, message: str, code: int = 2, *, hint: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = code == 2 if hint is None else hint
        self.warnings: list[str] = []  # lines to print before the message


def number(text: str) -> int:
    """Read a number as C writes them: decimal, 0x hexadecimal or 0 octal; else -1."""
    if not text.isalnum() or not text.isascii():
        return -1
    base = 10
    if text[0] == "0" and len(text) > 1:
        base = 16 if text[1] in "xX" else 8
    try:
        return int(text, base)
    except ValueError:
        return -1


def bounded(text: str, limit: int, what: str) -> int:
    """Read a number from 0 to limit."""
    value = number(text)
    if not 0 <= value <= limit:
        raise UsageError(f"Invalid {what} `{text}': a number from 0 to {limit} is expected")
    return value


def unexpected(text: str, letter: str) -> UsageError:
    """Make the error that conntrack(8) has for marks and zones."""
    return UsageError(f"unexpected value '{text}' with -{letter} option", 1)


def mark(text: str) -> tuple[int, int | None]:
    """Read MARK[/MASK]."""
    left, slash, right = text.partition("/")
    value = number(left)
    mask = number(right) if slash else None
    if not 0 <= value <= 0xFFFFFFFF or (mask == -1 and right):
        raise unexpected(text, "m")
    if mask is not None and not 0 <= mask <= 0xFFFFFFFF:
        raise UsageError(
            f"Invalid mask `{right}' in `{text}': a number from 0 to 0xffffffff is expected"
        )
    return value, mask


def ports(text: str, what: str) -> int | tuple[tuple[int, int], ...]:
    """Read a port, or a list of ports and ranges as pairs: ``80,8000-8100``."""
    if text.isdecimal() and text.isascii():
        return port(text, what)
    ranges = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        pair = port(low, what, text), port(high if dash else low, what, text)
        if pair[0] > pair[1]:
            raise UsageError(f"Invalid range `{part}' of --{what}: it ends before it begins")
        ranges.append(pair)
    return tuple(ranges)


def port(text: str, what: str, whole: str = "") -> int:
    """Read one port."""
    if text.isdecimal() and text.isascii() and len(text) < 10 and int(text) <= 65535:
        return int(text)
    raise UsageError(
        f"Invalid port `{whole or text}' of --{what}: a number from 0 to 65535 is expected"
    )


def address(text: str) -> bytes:
    """Read an IPv4 address (as inet_aton does) or an IPv6 address."""
    # inet_aton() is content with "1.1.1.1 junk"
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


def address_family(text: str) -> int:
    """Read the value of -f."""
    if text not in ("ipv4", "ipv6"):
        raise UsageError(f"`{text}' unsupported protocol")
    return IPV4 if text == "ipv4" else IPV6


def family(packed: bytes) -> int:
    """Tell the address family from the length."""
    return IPV4 if len(packed) == 4 else IPV6


def network(text: str) -> tuple[bytes, bytes | None]:
    """Read ADDR[/LEN] as an address and a netmask; no length, or the full one, is no mask."""
    left, slash, right = text.partition("/")
    try:
        packed = address(left)
    except UsageError:
        raise UsageError(f"Invalid IP address `{text}'") from None
    if not slash:
        return packed, None
    # an empty length counts as 0: `1.1.1.1/' has always meant any address
    if right and not (right.isdecimal() and right.isascii() and len(right) < 9):
        raise UsageError("Invalid netmask")
    size, length = 8 * len(packed), int(right or "0")
    if length > size:
        raise UsageError("Invalid netmask")
    if length == size:
        return packed, None
    return packed, ((1 << size) - (1 << (size - length))).to_bytes(len(packed), "big")


def nat(text: str, what: str) -> tuple[bytes, int | None]:
    """Read ADDR[:PORT] or [ADDR]:PORT."""
    host, service = text, None
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise UsageError("No closing ']' around IPv6 address")
        if not host:
            raise UsageError("No IPv6 address specified")
        # what stands between `]' and `:' has never counted
        _, colon, service = rest.partition(":")
        if not colon:
            raise UsageError(f"Invalid IP address `{text}'")
    elif text.count(":") == 1:
        host, _, service = text.partition(":")
    if service is not None:
        if not service:
            raise UsageError("No port specified after `:'")
        if not (service.isdecimal() and service.isascii() and int(service[:9]) <= 65535):
            raise UsageError(f"Invalid port `{service}'")
    if "/" in host:
        raise UsageError(f"CIDR notation unavailable for `--{what}'")
    return address(host), None if service is None else int(service)


def protocol(text: str, known: Iterable[tuple[str, int]]) -> int:
    """Read a protocol: a name of ours in any case, one of /etc/protocols, or a number."""
    lower = text.lower()
    for name, value in known:
        if name == lower:
            return value
    value = number(text)
    if value == -1 and text.isascii() and "\0" not in text:
        try:
            value = getprotobyname(text)
        except OSError:
            pass
    if not 0 <= value <= 255:
        raise UsageError(f"`{text}' unsupported protocol")
    return value


def words(text: str, known: Iterable[str], *, fold: str = "", negate: bool = False) -> list[str]:
    """Split a list of known words; ``fold`` makes letters "upper" or "lower" first.

    With ``negate`` a word may have a ``!`` in front, which stays on it.
    """
    vocabulary = tuple(known)
    found = []
    rest: str | None = text
    while rest is not None:
        bare, bang = rest, ""
        if negate and rest.startswith("!"):
            bare, bang = rest[1:], "!"
        word, comma, tail = bare.partition(",")
        folded = word.upper() if fold == "upper" else word.lower() if fold else word
        if folded not in vocabulary or (bang and word == "UNREPLIED"):
            raise UsageError(_bad_word(bare, folded, vocabulary))
        found.append(bang + folded)
        rest = tail if comma else None
    return found


def _bad_word(text: str, word: str, vocabulary: tuple[str, ...]) -> str:
    near = [known for known in vocabulary if word and known.startswith(word) and known != word]
    meant = f": do you mean `{near[0]}'?" if near else ""
    return f"Bad parameter `{text}'{meant}"


def names(text: str, what: str) -> list[str]:
    """Split a list of names, none of them empty."""
    found = text.split(",")
    if not all(found):
        raise UsageError(f"Empty name in `{text}' of --{what}")
    return found


def read_labelmap(path: str) -> dict[str, int]:
    """Read lines of ``bit name``; OSError when the file cannot be read."""
    bits: dict[str, int] = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) > 1 and 0 <= (bit := number(fields[0])) <= 127:
                bits.setdefault(fields[1], bit)
    return bits


def label_names(path: str) -> dict[int, str]:
    """Read the label map the other way round: the name of each bit."""
    return {bit: name for name, bit in read_labelmap(path).items()}
