"""``-R`` of NDJSON: convert each line, an object as ``-o ndjson`` writes it, to a request.

:mod:`pyconntrack.ctnetlink.json_form` reads the object, and
:mod:`pyconntrack.ctnetlink.restore_rules` decides which of its values a request carries.
"""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink import requests as ask
from ..ctnetlink import restore_rules
from ..ctnetlink.json_form import read
from ..ctnetlink.schema import CONNTRACK
from ..errors import RequestError
from ..escape import shown
from ..netlink.netns import sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..ctnetlink.requests import Request

_EVENTS = ("new", "update", "destroy")
_loads: Callable[[str], Any] | None = None


def request_of(line: str) -> Request:
    """Return the request that a line describes, with its warnings.

    A flow, or the ``new`` event of one, is created, or renewed where it exists; an ``update``
    event, or a flow without the fields that a creation needs, changes a flow that must exist.
    Raises RequestError if the line is invalid.
    """
    flow = _object(line)
    event = flow.pop("event", "new")
    for word in ("time", "synthetic"):  # of an event, not of its flow
        flow.pop(word, None)
    if not isinstance(event, str) or (event := event.lower()) not in _EVENTS:
        raise RequestError(f"event: {shown(event)} is none of {', '.join(_EVENTS)}")
    if event == "destroy":
        raise RequestError("event: a flow that was destroyed is nothing to load")
    reading = read(flow, CONNTRACK)
    values, family = reading.values, reading.family or c.AF_INET
    if "orig_src" not in values and "reply_src" not in values:
        raise RequestError("not a flow: it has neither orig.src nor reply.src")
    created = {} if event == "update" else restore_rules.creation(values, sysctl)
    if "timeout" in created:
        if created["orig_proto"] is None:
            raise RequestError("not a flow: it lacks orig.proto")
        request = ask.add(created, family)
    else:
        if "status" in values:
            values["status"] = restore_rules.added_status(values["status"], values["status"])
        wanted = restore_rules.IDENTITY + restore_rules.RENEWED
        request = ask.update({name: values[name] for name in wanted if name in values}, family)
    request.warnings = [
        f"WARNING: there is no member `{name}'; it is left out" for name in reading.ignored
    ]
    return request


def _object(line: str) -> dict[str, Any]:
    global _loads
    if _loads is None:
        from json import loads

        _loads = loads
    if line.startswith('{"schema":'):
        raise RequestError("a whole document: -o ndjson writes an object a line, which -R reads")
    try:
        flow = _loads(line)
    except ValueError as error:
        text = getattr(error, "msg", str(error))
        raise RequestError(f"not JSON: {text} (column {getattr(error, 'colno', 1)})") from None
    except RecursionError:
        raise RequestError("not a flow: nested too deeply") from None
    if not isinstance(flow, dict):
        raise RequestError("not a flow: an object is expected")
    return flow
