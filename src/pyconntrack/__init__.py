"""Read and change Linux connection tracking: a typed library over ctnetlink.

General layout: :class:`Conntrack` and :class:`AsyncConntrack` (``client/``) run the same
conversations over a socket (``netlink/``).  What they return are values (``model/``) and whole
tables as columns (``columnar/``); ``filters.py`` and ``where/`` make predicates.  Below lies one
schema of all attributes (``ctnetlink/schema.py``), from which reading, writing and the
declarations of every field are derived.

Names are imported when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from .version import VERSION as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client.asynchronous import AsyncConntrack as AsyncConntrack
    from .client.asynchronous import AsyncDump as AsyncDump
    from .client.asynchronous import AsyncEvents as AsyncEvents
    from .client.blocking import Conntrack as Conntrack
    from .client.blocking import Dump as Dump
    from .client.blocking import Events as Events
    from .client.load import LoadError as LoadError
    from .columnar.flow_table import FlowTable as FlowTable
    from .errors import ConntrackError as ConntrackError
    from .errors import DecodeError as DecodeError
    from .errors import DumpInterruptedError as DumpInterruptedError
    from .errors import EventsLost as EventsLost
    from .errors import KernelError as KernelError
    from .errors import NotSupportedError as NotSupportedError
    from .errors import PermissionDeniedError as PermissionDeniedError
    from .errors import RequestError as RequestError
    from .filters import Filter as Filter
    from .model import CpuStats as CpuStats
    from .model import Event as Event
    from .model import Expect as Expect
    from .model import Flow as Flow
    from .model import Stats as Stats
    from .model import Tuple as Tuple
    from .where import WhereError as WhereError

__all__ = [
    "AsyncConntrack",
    "AsyncDump",
    "AsyncEvents",
    "Conntrack",
    "ConntrackError",
    "CpuStats",
    "DecodeError",
    "Dump",
    "DumpInterruptedError",
    "Event",
    "Events",
    "EventsLost",
    "Expect",
    "Filter",
    "Flow",
    "FlowTable",
    "KernelError",
    "LoadError",
    "NotSupportedError",
    "PermissionDeniedError",
    "RequestError",
    "Stats",
    "Tuple",
    "WhereError",
    "__version__",
]

_HOMES = {
    "AsyncConntrack": "client.asynchronous",
    "AsyncDump": "client.asynchronous",
    "AsyncEvents": "client.asynchronous",
    "Conntrack": "client.blocking",
    "ConntrackError": "errors",
    "CpuStats": "model",
    "DecodeError": "errors",
    "Dump": "client.blocking",
    "DumpInterruptedError": "errors",
    "Event": "model",
    "Events": "client.blocking",
    "EventsLost": "errors",
    "Expect": "model",
    "Filter": "filters",
    "Flow": "model",
    "FlowTable": "columnar.flow_table",
    "KernelError": "errors",
    "LoadError": "client.load",
    "NotSupportedError": "errors",
    "PermissionDeniedError": "errors",
    "RequestError": "errors",
    "Stats": "model",
    "Tuple": "model",
    "WhereError": "where",
}


if not TYPE_CHECKING:  # a checker would accept any name otherwise

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value: object = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
