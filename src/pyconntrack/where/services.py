"""The names of services (/etc/services, or what nsswitch.conf says)."""

from __future__ import annotations

from _socket import getservbyname

from ..escape import meant

#: the protocols with ports, as /etc/services names them
_PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "udplite")


def ports_of(name: str) -> dict[str, int]:
    """Return protocol -> port of the service ``name``, in any case, for those that have it."""
    found = {}
    for protocol in _PROTOCOLS:
        try:
            found[protocol] = getservbyname(name.lower(), protocol)
        except (OSError, ValueError):
            pass
    return found


def nearest(name: str) -> str:
    """Return ``: do you mean `X'?`` with the service whose name is most like ``name``, or ""."""
    try:
        with open("/etc/services", encoding="utf-8", errors="replace") as file:
            rows = [line.partition("#")[0].split() for line in file]
    except OSError:
        return ""
    known = [service for row in rows if row for service in (row[0], *row[2:])]
    return meant(name, known) if known and name else ""
