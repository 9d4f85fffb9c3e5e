"""Lines of ``-R`` by shape: a line like one that was parsed before is encoded without parsing.

A shape is a line's sequence of options, with the values that choose how it is read (protocol,
state, status...).  For each, one struct writes the whole message: constant bytes between the
variable fields.  Anything unusual is left to the parser, which also words the errors.

Owns recognition and the compiled encoders; what an option means stays :mod:`.build`'s.  Large
files go through :mod:`.blocks`, which takes its plans from here.
"""

from __future__ import annotations

from _operator import itemgetter
from _socket import AF_INET6, inet_aton, inet_pton
from struct import Struct

from .. import request as ask
from ..layout import find
from ..schema import TURNED
from ..wire.consts import NLM_F_REQUEST
from ..wire.frame import message
from .build import flow_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .parse import Command

    Parse = Callable[[str], Any]


def _port(text: str) -> int:
    if len(text) > 5 or not text.isdigit():  # int() takes signs, blanks and underscores
        raise ValueError(text)
    return int(text)


def _number(text: str) -> int:
    if (text[0] == "0" and text != "0") or not text.isdigit():  # octal is the parser's
        raise ValueError(text)
    return int(text)


def _address6(text: str) -> bytes:
    return inet_pton(AF_INET6, text)


#: options whose value varies within a shape: the field, and how its text is read
_ADDRESSES = {
    "-s": "orig_src", "--src": "orig_src", "--orig-src": "orig_src",
    "-d": "orig_dst", "--dst": "orig_dst", "--orig-dst": "orig_dst",
    "-r": "reply_src", "--reply-src": "reply_src",
    "-q": "reply_dst", "--reply-dst": "reply_dst",
}  # fmt: skip
_NUMBERS: dict[str, tuple[str, Parse]] = {
    "--sport": ("orig_sport", _port), "--orig-port-src": ("orig_sport", _port),
    "--dport": ("orig_dport", _port), "--orig-port-dst": ("orig_dport", _port),
    "--reply-port-src": ("reply_sport", _port), "--reply-port-dst": ("reply_dport", _port),
    "--icmp-id": ("orig_icmp_id", _number), "--icmpv6-id": ("orig_icmp_id", _number),
    "--srckey": ("orig_srckey", _number), "--orig-key-src": ("orig_srckey", _number),
    "--dstkey": ("orig_dstkey", _number), "--orig-key-dst": ("orig_dstkey", _number),
    "--reply-key-src": ("reply_srckey", _number), "--reply-key-dst": ("reply_dstkey", _number),
    "-t": ("timeout", _number), "--timeout": ("timeout", _number),
    "-m": ("mark", _number), "--mark": ("mark", _number),
    "-w": ("zone", _number), "--zone": ("zone", _number),
}  # fmt: skip
#: options whose value is a part of the shape; lines with any other go through the parser
_CONSTANTS = {
    "-p", "--proto", "--protonum", "-u", "--status", "--state", "--role",
    "--icmp-type", "--icmp-code", "--icmpv6-type", "--icmpv6-code",
    "--orig-zone", "--reply-zone", "--orig-vtag", "--reply-vtag",
}  # fmt: skip
#: shapes kept; files that mint more go through the parser
_LIMIT = 4096


class Plan:
    """The message of one line, and where the values that vary stand in it.

    `places`: (offset, size, struct code, how its text is read, which value), by offset.
    """

    __slots__ = ("places", "whole")

    def __init__(self, options: list[str], values: list[str], command: Command) -> None:
        fields, family = flow_values(command)
        request = (ask.create if command.verb == "create" else ask.add)(fields, family)
        whole = message(
            request.kind, request.flags | NLM_F_REQUEST, 0, request.family, request.payload
        )
        layout = find(whole)
        places: list[tuple[int, int, str, Parse, int]] = []
        for at, option in enumerate(options):
            if option in _ADDRESSES:
                name = _ADDRESSES[option]
                parse: Parse = _address6 if ":" in values[at] else inet_aton
            elif option in _NUMBERS:
                name, parse = _NUMBERS[option]
            else:
                continue
            for field in (name, _turned(name)):
                if field == name or (field and field not in command.opts):
                    slot = layout.slots.get(field or "")
                    if slot is not None:
                        code = slot.kind.code
                        places.append((slot.offset, slot.size, code, parse, at))
        places.sort(key=itemgetter(0))
        self.whole, self.places = whole, places


def plan(words: list[str], command: Command) -> Plan | None:
    """How lines like this one (its words behind the verb), parsed as `command`, are encoded; None
    where the parser is to read each."""
    options, values = words[0::2], words[1::2]
    names = [_ADDRESSES.get(o) or _NUMBERS.get(o, ("",))[0] for o in options]
    named = [name for name in names if name]
    if (
        len(options) != len(values)
        or len(set(named)) != len(named)
        or any(not name and o not in _CONSTANTS for o, name in zip(options, names, strict=True))
        or not any(o in _ADDRESSES for o in options)
        or command.opts.get("mark", (0, None))[1] is not None
        or command.warnings
    ):
        return None
    found = Plan(options, values, command)
    # a value may have been read otherwise than here (an address with a mask...)
    try:
        same = Encoder(found).encode(values, b"\0\0\0\0") == found.whole
    except Exception:  # struct.error has no name of its own without importing more
        return None
    return found if same else None


class Encoder:
    """The messages of one shape."""

    __slots__ = ("_pack", "_parsers", "_parts", "_pick")

    def __init__(self, plan: Plan) -> None:
        whole = plan.whole
        # the sequence number, in host byte order, is the first variable field
        codes = [">", "8s", "4s"]
        self._parts: list[Any] = [whole[:8], b""]
        pos = 12
        self._parsers: list[Parse] = []
        picks = []
        for offset, size, code, parse, at in plan.places:
            codes += [f"{offset - pos}s", code]
            self._parts += [whole[pos:offset], None]
            self._parsers.append(parse)
            picks.append(at)
            pos = offset + size
        codes.append(f"{len(whole) - pos}s")
        self._parts.append(whole[pos:])
        self._pack = Struct("".join(codes)).pack
        self._pick = itemgetter(*picks) if len(picks) > 1 else _alone(picks)

    def encode(self, values: list[str], seq: bytes) -> bytes:
        """The message of a line with these values; ValueError, OSError or struct.error if one
        does not fit."""
        parts = self._parts
        parts[1] = seq
        parts[3::2] = [
            parse(value) for parse, value in zip(self._parsers, self._pick(values), strict=True)
        ]
        return self._pack(*parts)


def _alone(picks: list[int]) -> Callable[[list[str]], tuple[str, ...]]:
    return lambda values: tuple(values[at] for at in picks)


def _turned(name: str) -> str | None:
    side, _, rest = name.partition("_")
    if side not in ("orig", "reply"):
        return None
    other = "reply" if side == "orig" else "orig"
    return f"{other}_{TURNED.get(rest, rest)}"


class Shapes:
    """The shapes met so far; :meth:`encode` knows a line, :meth:`learn` adds one."""

    def __init__(self) -> None:
        self._constants: dict[tuple[str, ...], Callable[[list[str]], Any]] = {}
        self._encoders: dict[Any, Encoder] = {}

    def encode(self, words: list[str], seq: bytes) -> bytes | None:
        """The message of a line, or None where it is the parser's business."""
        options = tuple(words[0::2])
        constants = self._constants.get(options)
        if constants is None:
            return None
        values = words[1::2]
        try:
            encoder = self._encoders.get((options, constants(values)))
            return encoder.encode(values, seq) if encoder else None
        except Exception:  # struct.error has no name of its own without importing more
            return None

    def learn(self, words: list[str], command: Command) -> None:
        """Remembers the shape of a line that was parsed as `command`."""
        if len(self._encoders) >= _LIMIT:
            return
        found = plan(words, command)
        if found is None:
            return
        options, values = words[0::2], words[1::2]
        fixed = [at for at, o in enumerate(options) if o in _CONSTANTS]
        address = next(at for at, o in enumerate(options) if o in _ADDRESSES)
        key = tuple(options)
        constants = _Constants(fixed, address)
        self._constants[key] = constants
        self._encoders[key, constants(values)] = Encoder(found)


class _Constants:
    """The values of a line that belong to its shape, and its family."""

    __slots__ = ("address", "pick")

    def __init__(self, fixed: list[int], address: int) -> None:
        self.pick = itemgetter(*fixed) if fixed else None
        self.address = address

    def __call__(self, values: list[str]) -> tuple[Any, bool]:
        return (self.pick(values) if self.pick else ""), ":" in values[self.address]
