"""``-R`` of NDJSON: an object a line, as ``-o ndjson`` writes them, back to a request.

Which fields exist is the schema's, how they are written :mod:`pyconntrack.output.json`'s, what of
them a request carries :mod:`pyconntrack.restore_rules`'.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_pton

from .. import request as ask
from .. import restore_rules
from ..errors import RequestError
from ..fields import BYTES, IPV4, IPV6, TEXT
from ..netns import sysctl
from ..output.json import OBJECTS
from ..schema import CONNTRACK, REPORT, Attr, leaves, names
from ..wire import consts as c
from .build import label_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..request import Request

_FAMILIES = {"ipv4": c.AF_INET, "ipv6": c.AF_INET6}
_EVENTS = ("new", "update", "destroy")


_REPORTED = names(CONNTRACK, REPORT)
#: of two rows with a name (a counter of 64 bits, and of 32) the first
_ROWS = {name: row for name, _, row in reversed([*leaves(CONNTRACK)]) if name in _REPORTED}
_loads: Callable[[str], Any] | None = None


def request_of(line: str) -> Request:
    """The request that a line describes; RequestError says what is wrong with it.

    A flow, or the ``new`` event of one, is created, or changed where it exists; an ``update``
    event, or a flow without its timeout, changes a flow that must exist.
    """
    flow = _object(line)
    event = flow.pop("event", "new")
    for word in ("time", "synthetic"):  # of an event, not of its flow
        flow.pop(word, None)
    if event not in _EVENTS:
        raise RequestError(f"event: {_shown(event)} is none of {', '.join(_EVENTS)}")
    if event == "destroy":
        raise RequestError("event: a flow that was destroyed is nothing to load")
    family = _family(flow)
    values = _values(flow, family)
    if "orig_src" not in values and "reply_src" not in values:
        raise RequestError("not a flow: it has neither orig.src nor reply.src")
    if event != "update":
        created = restore_rules.creation(values, sysctl)
        if "timeout" in created:
            if created["orig_proto"] is None:
                raise RequestError("not a flow: it lacks orig.proto")
            return ask.add(created, family)
    if "status" in values:
        values["status"] = restore_rules.added_status(values["status"], values["status"])
    wanted = restore_rules.IDENTITY + restore_rules.RENEWED
    return ask.update({name: values[name] for name in wanted if name in values}, family)


def _object(line: str) -> dict[str, Any]:
    global _loads
    if _loads is None:
        from json import loads

        _loads = loads
    try:
        flow = _loads(line)
    except ValueError as error:
        text = getattr(error, "msg", str(error))
        raise RequestError(f"not JSON: {text} (column {getattr(error, 'colno', 1)})") from None
    except RecursionError:
        raise RequestError("not a flow: nested too deeply") from None
    if not isinstance(flow, dict):
        raise RequestError("not a flow: an object is expected")
    if "schema" in flow and isinstance(flow.get("flows"), list):
        raise RequestError("a whole document: -o ndjson writes an object a line")
    return flow


def _family(flow: dict[str, Any]) -> int:
    word = flow.pop("family", None)
    if word is None:
        for side in ("orig", "reply"):
            inner = flow.get(side)
            if isinstance(inner, dict) and isinstance(inner.get("src"), str):
                return c.AF_INET6 if ":" in inner["src"] else c.AF_INET
        return c.AF_INET
    if not isinstance(word, str) or word not in _FAMILIES:
        raise RequestError(f"family: {_shown(word)} is not ipv4 or ipv6")
    return _FAMILIES[word]


def _values(flow: dict[str, Any], family: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in flow.items():
        if key in OBJECTS[:3]:
            if not isinstance(value, dict):
                raise RequestError(f"{key}: an object is expected, not {_shown(value)}")
            for inner, part in value.items():
                _take(values, f"{key}_{inner}", f"{key}.{inner}", part, family)
        else:
            _take(values, key, key, value, family)
    return values


def _take(values: dict[str, Any], name: str, shown: str, value: Any, family: int) -> None:
    row = _ROWS.get(name)
    if row is None:
        raise RequestError(f"there is no field `{shown}'{_meant(shown)}")
    values[name] = _value(row, shown, name, value, family)


def _meant(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*map(_dotted, _ROWS), *OBJECTS[:3], "family"], 1)
    return f": do you mean `{near[0]}'?" if near else ""


def _dotted(name: str) -> str:
    for prefix in OBJECTS[:3]:
        if name.startswith(prefix + "_") and not name.startswith(prefix + "_seqadj"):
            return prefix + "." + name[len(prefix) + 1 :]
    return name


def _shown(value: object) -> str:
    from json import dumps

    text = dumps(value)
    return text if len(text) < 40 else text[:36] + " ..."


def _value(row: Attr, shown: str, name: str, value: Any, family: int) -> Any:
    kind = row.kind
    if name == "status":
        return _flags(row, shown, value)
    if kind.number:
        if isinstance(value, str) and row.words is not None:
            number = _word(row, value)
            if number is None:
                words = ", ".join(row.words.values())
                raise RequestError(f"{shown}: {_shown(value)} is none of {words}")
            return number
        if not isinstance(value, int) or isinstance(value, bool):
            wanted = "a word or a whole number" if row.words else "a whole number"
            raise RequestError(f"{shown}: {wanted} is expected, not {_shown(value)}")
        if not 0 <= value <= kind.limit:
            raise RequestError(f"{shown}: {value} is not in 0..{kind.limit}")
        return value
    if kind in (IPV4, IPV6):
        return _address(shown, value, family)
    if kind is TEXT:
        if not isinstance(value, str):
            raise RequestError(f"{shown}: a text is expected, not {_shown(value)}")
        return value
    assert kind is BYTES
    if name == "labels":
        return _labels(shown, value)
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise RequestError(f"{shown}: hexadecimal text is expected") from None


def _word(row: Attr, word: str) -> int | None:
    for number, known in (row.words or {}).items():
        if known == word or known.lower() == word.lower():
            return number
    return None


def _flags(row: Attr, shown: str, value: Any) -> int:
    if not isinstance(value, list):
        raise RequestError(f"{shown}: a list of words is expected, not {_shown(value)}")
    bits = 0
    for word in value:
        bit = _word(row, word) if isinstance(word, str) else None
        if bit is None:
            raise RequestError(f"{shown}: {_shown(word)} is no flag")
        bits |= bit
    return bits


def _address(shown: str, value: Any, family: int) -> bytes:
    try:
        return inet_pton(AF_INET6 if family == c.AF_INET6 else AF_INET, value)
    except (OSError, TypeError, ValueError):
        word = "IPv6" if family == c.AF_INET6 else "IPv4"
        raise RequestError(f"{shown}: an {word} address is expected, not {_shown(value)}") from None


def _labels(shown: str, value: Any) -> bytes:
    good = isinstance(value, list) and all(
        isinstance(bit, int) and not isinstance(bit, bool) and 0 <= bit < 128 for bit in value
    )
    if not good:
        raise RequestError(f"{shown}: a list of numbers from 0 to 127 is expected")
    return label_words(value)
