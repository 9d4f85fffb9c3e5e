"""Convert the text of one option value to a Python value, strictly.

Where conntrack(8) reports an error, the same error is reported; where it would silently misread a
value, an error states what is wrong and what would be right.
"""

from __future__ import annotations

from _socket import AF_INET as IPV4
from _socket import AF_INET6 as IPV6
from _socket import getprotobyname, inet_aton, inet_pton

from ..escape import meant
from .console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .options import Option


def number(text: str, *, octal: bool = True) -> int:
    """Return a number in C notation (decimal, 0x hexadecimal or, if ``octal``, 0 octal), or -1."""
    if not text.isalnum() or not text.isascii():
        return -1
    base = 10
    if text[0] == "0" and len(text) > 1:
        base = 16 if text[1] in "xX" else 8 if octal else 10
    try:
        return int(text, base)
    except ValueError:
        return -1


def decimal(text: str, limit: int) -> int:
    """Return a number from 0 to ``limit`` written in decimal digits only, or -1."""
    value = number(text, octal=False) if text.isdecimal() else -1
    return value if value <= limit else -1


def bounded(text: str, limit: int, what: str, *, octal: bool = False) -> int:
    """Return a number from 0 to ``limit``; ``octal``: a leading 0 means octal.

    Raises UsageError, which names ``what``, for anything else.
    """
    value = number(text, octal=octal)
    if not 0 <= value <= limit:
        raise UsageError(f"Invalid {what} `{text}': a number from 0 to {limit} is expected")
    return value


def unexpected(text: str, letter: str) -> UsageError:
    """Return the error that conntrack(8) reports for marks, zones and ids."""
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
    value = decimal(text, 65535)
    if value < 0:
        raise UsageError(
            f"Invalid port `{whole or text}' of --{what}: a number from 0 to 65535 is expected"
        )
    return value


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


def protocol(text: str, known: Iterable[tuple[str, int]]) -> int:
    """Read a protocol: a ``known`` name, one from /etc/protocols, or a number."""
    for name, value in known:
        if matching(text, (name,)):
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


def matching(text: str, known: Iterable[str], short: Iterable[str] = ()) -> list[str]:
    """Return the words of ``known`` that ``text`` may stand for: the rule of all vocabularies.

    Case is ignored; words in ``short`` may be abbreviated to a prefix.
    """
    upper = text.upper()
    whole = [word for word in known if word.upper() == upper]
    return whole or [word for word in short if upper and word.upper().startswith(upper)]


def words(text: str, known: Iterable[str], short: Iterable[str], bits: bool = False) -> list[str]:
    """Split a list of ``known`` words; with ``bits`` a word may have a ``!``, which is kept."""
    vocabulary, found = tuple(known), []
    rest: str | None = text
    while rest is not None:
        bang = "!" if bits and rest.startswith("!") else ""
        word, comma, tail = rest[len(bang) :].partition(",")
        fitting = matching(word, vocabulary, short)
        if len(fitting) != 1:
            near = " or ".join(f"`{each}'" for each in fitting)
            hint = f": do you mean {near}?" if fitting else meant(word, vocabulary)
            raise UsageError(f"Bad parameter `{rest[len(bang) :]}'{hint}")
        found.append(bang + fitting[0])
        rest = tail if comma else None
    return found


def names(text: str, what: str) -> list[str]:
    """Split a list of names, none of them empty."""
    found = text.split(",")
    if not all(found):
        raise UsageError(f"Empty name in `{text}' of --{what}")
    return found


def read_labelmap(path: str) -> dict[str, int]:
    """Read lines of ``bit name``; raise OSError if the file cannot be read."""
    bits: dict[str, int] = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) > 1 and 0 <= (bit := number(fields[0])) <= 127:
                bits.setdefault(fields[1], bit)
    return bits


def label_names(path: str) -> dict[int, str]:
    """Read the label map as the name of each bit."""
    return {bit: name for name, bit in read_labelmap(path).items()}


def _number(text: str, row: Option) -> int:
    letter = {"zone": "w", "orig_zone": "(", "reply_zone": ")", "secmark": "c", "id": "i"}.get(
        row.field
    )
    if letter is None:  # of these conntrack(8) reads only the keys of GRE as C does
        return bounded(text, row.detail, row.name, octal=row.field.endswith("key"))
    value = number(text)
    if not 0 <= value <= row.detail:
        raise unexpected(text, letter)
    return value


def _choice(text: str, row: Option) -> Any:
    choices, error = row.detail
    fitting = matching(text, choices)
    if not fitting:
        raise UsageError(f"{error} `{text}'")
    return choices[fitting[0]]


def _sort(text: str, row: Option) -> list[tuple[str, bool]]:
    words = names(text, row.name)
    order = [(word.removeprefix("-"), word.startswith("-")) for word in words]
    if ("", True) in order:
        raise UsageError(f"Empty name in `{text}' of --{row.name}")
    return order


#: kind of an option's value -> its reader
READERS: dict[str, Callable[[str, Option], Any]] = {
    "flag": lambda text, row: True,
    "number": _number,
    "port": lambda text, row: port(text, row.name),
    "ports": lambda text, row: ports(text, row.name),
    "names": lambda text, row: names(text, row.name),
    "mark": lambda text, row: mark(text),
    "choice": _choice,
    "sort": _sort,
}
