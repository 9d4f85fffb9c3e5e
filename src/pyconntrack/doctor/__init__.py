"""``conntrack doctor``: what is wrong with connection tracking in a namespace, and what to do.

:func:`snapshot` reads what the kernel knows, once; :func:`examine` draws conclusions from it,
without I/O::

    from pyconntrack import Conntrack
    from pyconntrack.doctor import examine, snapshot

    with Conntrack() as ct:
        for finding in examine(snapshot(ct, 5)):
            print(finding)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .checks import CHECKS as CHECKS
    from .checks import examine as examine
    from .finding import Check as Check
    from .finding import Finding as Finding
    from .finding import Severity as Severity
    from .sampling import snapshot as snapshot
    from .snapshot import Listener as Listener
    from .snapshot import NatRange as NatRange
    from .snapshot import Snapshot as Snapshot

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Listener",
    "NatRange",
    "Severity",
    "Snapshot",
    "examine",
    "snapshot",
]

_HOMES = {
    "CHECKS": "checks",
    "Check": "finding",
    "Finding": "finding",
    "Listener": "snapshot",
    "NatRange": "snapshot",
    "Severity": "finding",
    "Snapshot": "snapshot",
    "examine": "checks",
    "snapshot": "sampling",
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
