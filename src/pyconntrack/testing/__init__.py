"""Tools for tests: kernels without a kernel, and a real one in a fresh network namespace.

:class:`Kernel` keeps a table in memory; :class:`ScriptedKernel` plays a script of answers, for
what a kernel rarely does; :func:`fresh_netns` and :func:`netns_fixture` give a test the real kernel
in a network namespace of its own.
"""

from .kernel import Kernel
from .namespaces import NetnsUnavailable, fresh_netns, netns_fixture
from .script import (
    ENOBUFS,
    TRUNCATED,
    ScriptedKernel,
    ScriptError,
    Step,
    ack,
    done,
    dump_of,
    event_message,
    reply,
    with_header,
    without_seq,
)

__all__ = [
    "ENOBUFS",
    "TRUNCATED",
    "Kernel",
    "NetnsUnavailable",
    "ScriptError",
    "ScriptedKernel",
    "Step",
    "ack",
    "done",
    "dump_of",
    "event_message",
    "fresh_netns",
    "netns_fixture",
    "reply",
    "with_header",
    "without_seq",
]
