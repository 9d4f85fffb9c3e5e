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
    from .columnar.value_columns import AddressColumn as AddressColumn
    from .columnar.value_columns import FlagColumn as FlagColumn
    from .columnar.value_columns import ValueColumn as ValueColumn
    from .columnar.value_columns import WordColumn as WordColumn
    from .ctnetlink.literals import DccpRole as DccpRole
    from .ctnetlink.literals import DccpState as DccpState
    from .ctnetlink.literals import EventKind as EventKind
    from .ctnetlink.literals import ExpectFlag as ExpectFlag
    from .ctnetlink.literals import FamilyName as FamilyName
    from .ctnetlink.literals import ProtoName as ProtoName
    from .ctnetlink.literals import SctpState as SctpState
    from .ctnetlink.literals import StatusName as StatusName
    from .ctnetlink.literals import TcpState as TcpState
    from .ctnetlink.words import Unknown as Unknown
    from .errors import ConntrackError as ConntrackError
    from .errors import DecodeError as DecodeError
    from .errors import DumpInterruptedError as DumpInterruptedError
    from .errors import EventsLost as EventsLost
    from .errors import ExistsError as ExistsError
    from .errors import KernelError as KernelError
    from .errors import NotFoundError as NotFoundError
    from .errors import NotSupportedError as NotSupportedError
    from .errors import PermissionDeniedError as PermissionDeniedError
    from .errors import RequestError as RequestError
    from .errors import TableFullError as TableFullError
    from .filters import Filter as Filter
    from .model import CpuStats as CpuStats
    from .model import Event as Event
    from .model import Expect as Expect
    from .model import Flow as Flow
    from .model import Stats as Stats
    from .model import Tuple as Tuple
    from .model.arguments import AddressLike as AddressLike
    from .model.arguments import Changes as Changes
    from .model.arguments import Existing as Existing
    from .model.arguments import ExpectFields as ExpectFields
    from .model.arguments import FilterFields as FilterFields
    from .model.arguments import FlowFields as FlowFields
    from .model.arguments import OnInterrupt as OnInterrupt
    from .model.arguments import TableName as TableName
    from .model.arguments import TupleFields as TupleFields
    from .model.arguments import Word as Word
    from .where import WhereError as WhereError

__all__ = [
    "AddressColumn",
    "AddressLike",
    "AsyncConntrack",
    "AsyncDump",
    "AsyncEvents",
    "Changes",
    "Conntrack",
    "ConntrackError",
    "CpuStats",
    "DccpRole",
    "DccpState",
    "DecodeError",
    "Dump",
    "DumpInterruptedError",
    "Event",
    "EventKind",
    "Events",
    "EventsLost",
    "Existing",
    "ExistsError",
    "Expect",
    "ExpectFields",
    "ExpectFlag",
    "FamilyName",
    "Filter",
    "FilterFields",
    "FlagColumn",
    "Flow",
    "FlowFields",
    "FlowTable",
    "KernelError",
    "LoadError",
    "NotFoundError",
    "NotSupportedError",
    "OnInterrupt",
    "PermissionDeniedError",
    "ProtoName",
    "RequestError",
    "SctpState",
    "Stats",
    "StatusName",
    "TableFullError",
    "TableName",
    "TcpState",
    "Tuple",
    "TupleFields",
    "Unknown",
    "ValueColumn",
    "WhereError",
    "Word",
    "WordColumn",
    "__version__",
]

_HOMES = {
    "AddressColumn": "columnar.value_columns",
    "AddressLike": "model.arguments",
    "AsyncConntrack": "client.asynchronous",
    "AsyncDump": "client.asynchronous",
    "AsyncEvents": "client.asynchronous",
    "Changes": "model.arguments",
    "Conntrack": "client.blocking",
    "ConntrackError": "errors",
    "CpuStats": "model",
    "DccpRole": "ctnetlink.literals",
    "DccpState": "ctnetlink.literals",
    "DecodeError": "errors",
    "Dump": "client.blocking",
    "DumpInterruptedError": "errors",
    "Event": "model",
    "EventKind": "ctnetlink.literals",
    "Events": "client.blocking",
    "EventsLost": "errors",
    "Existing": "model.arguments",
    "ExistsError": "errors",
    "Expect": "model",
    "ExpectFields": "model.arguments",
    "ExpectFlag": "ctnetlink.literals",
    "FamilyName": "ctnetlink.literals",
    "Filter": "filters",
    "FilterFields": "model.arguments",
    "FlagColumn": "columnar.value_columns",
    "Flow": "model",
    "FlowFields": "model.arguments",
    "FlowTable": "columnar.flow_table",
    "KernelError": "errors",
    "LoadError": "client.load",
    "NotFoundError": "errors",
    "NotSupportedError": "errors",
    "OnInterrupt": "model.arguments",
    "PermissionDeniedError": "errors",
    "ProtoName": "ctnetlink.literals",
    "RequestError": "errors",
    "SctpState": "ctnetlink.literals",
    "Stats": "model",
    "StatusName": "ctnetlink.literals",
    "TableFullError": "errors",
    "TableName": "model.arguments",
    "TcpState": "ctnetlink.literals",
    "Tuple": "model",
    "TupleFields": "model.arguments",
    "Unknown": "ctnetlink.words",
    "ValueColumn": "columnar.value_columns",
    "WhereError": "where",
    "Word": "model.arguments",
    "WordColumn": "columnar.value_columns",
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
