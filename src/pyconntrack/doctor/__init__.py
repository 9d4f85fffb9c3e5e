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
    from .observation import Listener as Listener
    from .observation import NatRange as NatRange
    from .observation import Snapshot as Snapshot
    from .sampling import snapshot as snapshot
    from .snapshot_file import anonymize as anonymize
    from .snapshot_file import load as load
    from .snapshot_file import save as save

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Listener",
    "NatRange",
    "Severity",
    "Snapshot",
    "anonymize",
    "examine",
    "load",
    "save",
    "snapshot",
]

_HOMES = {
    "CHECKS": "checks",
    "Check": "finding",
    "Finding": "finding",
    "Listener": "observation",
    "NatRange": "observation",
    "Severity": "finding",
    "Snapshot": "observation",
    "anonymize": "snapshot_file",
    "examine": "checks",
    "load": "snapshot_file",
    "save": "snapshot_file",
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
