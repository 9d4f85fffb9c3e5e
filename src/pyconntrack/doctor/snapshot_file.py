"""Snapshots as files: to be attached to a report, examined elsewhere, or kept for tests.

A file is a JSON object.  It is not trusted: each member must have its type and size.
"""

from __future__ import annotations

import json
import os
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from ..columnar import table_file
from ..columnar.anonymous import anonymous_address, anonymous_table
from ..errors import RequestError
from ..escape import shown
from .observation import Listener, NatRange, Snapshot
from .sampling import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

#: the first member of a file is ``"schema": "pyconntrack-snapshot/1"``; the number grows when an
#: older version could not read the file
_NAME, _VERSION = "pyconntrack-snapshot", 1
#: bytes of a file, members of a list or an object, and characters of a text
_LARGEST, _LONGEST, _CHARACTERS = 1 << 30, 100_000, 4096
_NUMBERS = 1 << 64
#: what stands for names in an anonymous snapshot
_ANONYMOUS = "anonymous"


def save(snapshot: Snapshot, path: str | os.PathLike[str]) -> None:
    """Write a snapshot to a new file, which only its owner may read.

    Raises OSError if that fails or the file exists.  It holds the addresses of all flows unless it
    was made by :func:`anonymize`.
    """
    document: dict[str, Any] = {"schema": f"{_NAME}/{_VERSION}"}
    for name, value in snapshot._asdict().items():
        if name == "flows":
            value = None if value is None else table_file.to_json(value, COLUMNS)
        elif name in ("listeners", "nat"):
            value = [row._asdict() for row in value]
        document[name] = value
    text = json.dumps(document, indent=0).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(text + b"\n")


def load(path: str | os.PathLike[str]) -> Snapshot:
    """Return the snapshot of a file.

    Raises OSError if it cannot be read, and :class:`~pyconntrack.RequestError` with the file and
    the place if it is no snapshot, is damaged, or was written by a newer version.
    """
    text = bytearray()
    with open(path, "rb") as file:
        while len(text) <= _LARGEST and (part := file.read(1 << 20)):
            text += part
    try:
        if len(text) > _LARGEST:
            raise RequestError(f"it has more than {_LARGEST} bytes")
        return _snapshot(_parsed(text))
    except RequestError as error:
        raise RequestError(f"{os.fspath(path)}: {error}") from None


def anonymize(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with other addresses and without the names of host and namespace.

    The same address is replaced by the same one everywhere, and networks stay networks.  The key is
    not kept: two snapshots have nothing in common.  Ports, names of processes and of helpers stay.
    """
    key = os.urandom(32)
    return snapshot._replace(
        host=_ANONYMOUS,
        netns=snapshot.netns if snapshot.netns in ("", "init") else _ANONYMOUS,
        flows=None if snapshot.flows is None else anonymous_table(snapshot.flows, key),
        nat=tuple(row._replace(address=_anonymous(row.address, key)) for row in snapshot.nat),
    )


def _anonymous(address: str | None, key: bytes) -> str | None:
    if address is None:
        return None
    network = ip_network(address)
    replaced = anonymous_address(network.network_address.packed, key)
    return str(ip_network((replaced, network.prefixlen), strict=False))


# -- reading ------------------------------------------------------------------------------------


def _parsed(text: bytearray) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):  # also of bytes that are no UTF-8
        raise RequestError("it is no snapshot, or not all of one: it is no JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    name, _, version = schema.partition("/") if isinstance(schema, str) else ("", "", "")
    if name != _NAME or not (version.isascii() and version.isdecimal()):
        raise RequestError("it is no snapshot of conntrack doctor")
    if version != str(_VERSION):
        raise RequestError(f"it was written by a newer version: its format is {version[:9]},"
                           f" this version reads {_VERSION}")  # fmt: skip
    return dict(document)


def _refused(text: str) -> None:
    raise ValueError(text)


def _snapshot(document: dict[str, Any]) -> Snapshot:
    """Return the snapshot of a document; what it lacks is unknown, what is new in it is ignored."""
    given = {
        name: read(document[name], name) for name, read in _READERS.items() if name in document
    }
    lacking = {
        name: "the file was written by a version that did not read it"
        for name in _READERS
        if name not in document
    }
    return Snapshot(**{**given, "unknown": {**lacking, **given.get("unknown", {})}})


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value) > _CHARACTERS:
        raise RequestError(f"{where}: a text is wanted, not {shown(value)}")
    return value


def _number(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -_NUMBERS < value < _NUMBERS:
        raise RequestError(f"{where}: a number is wanted, not {shown(value)}")
    return value


def _natural(value: object, where: str) -> int:
    number = _number(value, where)
    if number < 0:
        raise RequestError(f"{where}: a number from 0 on is wanted, not {number}")
    return number


def _seconds(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RequestError(f"{where}: seconds are wanted, not {shown(value)}")
    if value and not 1e-6 <= value < 1e9:  # rates have to be finite
        raise RequestError(f"{where}: seconds are wanted, not {shown(value)}")
    return float(value)


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > _LONGEST:
        raise RequestError(f"{where}: a list is wanted, not {shown(value)}")
    return value


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _LONGEST:
        raise RequestError(f"{where}: an object is wanted, not {shown(value)}")
    for name in value:
        _text(name, where)
    return value


def _each(read: Callable[[Any, str], Any]) -> Callable[[object, str], dict[str, Any]]:
    return lambda value, where: {
        name: read(each, f"{where}.{name[:60]}") for name, each in _object(value, where).items()
    }


def _pair(read: Callable[[Any, str], Any]) -> Callable[[object, str], tuple[Any, Any]]:
    def pair(value: object, where: str) -> tuple[Any, Any]:
        both = _list(value, where)
        if len(both) != 2:
            raise RequestError(f"{where}: two members are wanted, not {len(both)}")
        return read(both[0], where), read(both[1], where)

    return pair


def _several(read: Callable[[Any, str], Any]) -> Callable[[object, str], tuple[Any, ...]]:
    return lambda value, where: tuple(
        read(each, f"{where}[{number}]") for number, each in enumerate(_list(value, where))
    )


def _optional(read: Callable[[Any, str], Any]) -> Callable[[object, str], Any]:
    return lambda value, where: None if value is None else read(value, where)


def _word(*words: str) -> Callable[[object, str], str]:
    def word(value: object, where: str) -> str:
        if value not in words:
            raise RequestError(f"{where}: {shown(value)} is none of {', '.join(words)}")
        return str(value)

    return word


def _cpu(value: object, where: str) -> dict[str, int]:
    counters: dict[str, int] = _each(_natural)(value, where)
    if "cpu" not in counters:
        raise RequestError(f"{where}: cpu is missing")
    return counters


def _network(value: object, where: str) -> str:
    try:
        return str(ip_network(_text(value, where)))
    except ValueError:
        raise RequestError(f"{where}: a network is wanted, not {shown(value)}") from None


def _ports(value: object, where: str) -> tuple[int, int]:
    first, last = _pair(_natural)(value, where)
    if not first <= last < 65536:
        raise RequestError(f"{where}: {first}-{last} is no range of ports")
    return first, last


def _row(cls: Callable[..., Any], **readers: Callable[[Any, str], Any]) -> Callable[..., Any]:
    def row(value: object, where: str) -> Any:
        members = _object(value, where)
        if members.keys() != readers.keys():
            raise RequestError(f"{where}: the members {', '.join(readers)} are wanted")
        return cls(**{name: read(members[name], f"{where}.{name}")
                      for name, read in readers.items()})  # fmt: skip

    return row


def _unknown(value: object, where: str) -> dict[str, str]:
    reasons: dict[str, str] = _each(_text)(value, where)
    for name in reasons:
        if name not in Snapshot._fields:
            raise RequestError(f"{where}: {shown(name)} is no member of a snapshot")
    return reasons


def _flows(value: object, where: str) -> Any:
    try:
        return table_file.from_json(value, COLUMNS)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None


_READERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("host", "kernel", "netns"), _text),
    **dict.fromkeys(("taken_at", "maximum", "buckets", "expect_maximum"), _natural),
    **dict.fromkeys(("seconds", "dump_seconds"), _seconds),
    "sysctls": _each(_number),
    "counters": _pair(_several(_cpu)),
    "counts": _pair(_natural),
    "expectations": _each(_natural),
    "listeners": _several(
        _row(Listener, pid=_natural, name=_text, groups=_several(_text), drops=_pair(_natural),
             rmem=_natural)
    ),
    "flows": _optional(_flows),
    "nat": _several(
        _row(NatRange, address=_optional(_network), protocol=_optional(_text),
             ports=_optional(_ports), source=_word("nft", "masquerade", "xt"),
             family=_optional(_word("ipv4", "ipv6")))
    ),
    **dict.fromkeys(("needed_by", "modules"), _several(_text)),
    "unknown": _unknown,
}  # fmt: skip
