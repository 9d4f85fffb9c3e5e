"""``snapshot``: one look at a namespace; all the I/O that the examination needs.

All counts are read before the table: a dump evicts expired entries (20,000 in one dump, measured),
so counts around it would show a change that it made itself.  Nothing else is changed, and what
cannot be read is noted with the reason.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ..errors import (
    ConntrackError,
    DumpInterruptedError,
    KernelError,
    PermissionDeniedError,
    check_seconds,
)
from ..netlink import netns, proc
from .observation import Listener, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ..client.blocking import Conntrack
    from ..columnar.flow_table import FlowTable

    T = TypeVar("T")
    Counters = tuple[dict[str, int], ...]

#: the columns of a snapshot's table: they take 92 bytes a flow where no flow has a zone or a helper
COLUMNS = (
    "family", "orig_proto", "orig_src", "orig_dst", "orig_sport", "orig_dport", "orig_icmp_id",
    "reply_src", "reply_dst", "reply_sport", "reply_dport", "reply_icmp_id", "status", "tcp_state",
    "timeout", "helper", "zone", "orig_zone", "reply_zone",
)  # fmt: skip
#: how often an interrupted dump is tried
_TRIES = 3
#: seconds that nft may take
_PATIENCE = 10.0
_SYSCTLS, _SYS_MODULE = "/proc/sys/net/netfilter", "/sys/module"
#: what is unknown where the kernel does not track
_TRACKED = (
    "sysctls", "counters", "counts", "expectations", "listeners", "flows", "nat", "needed_by",
)  # fmt: skip
#: the names in /proc of counters that have others in netlink messages
_OF_PROC = {
    "clashres": "clash_resolve", "icmp_error": "error", "chainlength": "chain_toolong",
    "chaintoolong": "chain_toolong",
}  # fmt: skip
#: the bits of a socket's groups (NFNLGRP_CONNTRACK_NEW...)
_GROUPS = ("new", "update", "destroy", "exp_new", "exp_update", "exp_destroy")
_MODULES = ("nf_", "nft_", "nfnetlink", "xt_", "ip_", "iptable_", "ip6table")


def snapshot(ct: Conntrack, seconds: float = 5.0) -> Snapshot:
    """Return what is to be seen in the namespace of ``ct``, looked at for ``seconds``.

    With 0 the counters are read once, and rates are unknown.  What cannot be read, for lack of
    permission or of the file, is noted in ``unknown``; this raises RequestError for a wrong
    argument only.
    """
    return look(ct, seconds, lambda: None)


def look(ct: Conntrack, seconds: float, meanwhile: Callable[[], object]) -> Snapshot:
    """Return the same; ``meanwhile`` is called between the two readings, where time is free."""
    check_seconds("seconds", seconds)
    return _Look(ct).take(seconds or 0, meanwhile)


class _Look:
    """A look in the making: ``unknown`` collects what could not be read."""

    def __init__(self, ct: Conntrack) -> None:
        self.ct = ct
        self.unknown: dict[str, str] = {}

    def take(self, seconds: float, meanwhile: Callable[[], object]) -> Snapshot:
        taken_at = time.time_ns()
        if not _loaded():
            return self._absent(taken_at)
        counters, count, maximum = self._counted()
        begin = time.monotonic()
        rows: list[proc.Row] = self._there("listeners", self._sockets, [])
        # the rest of what is small is read, and what is needed later imported, meanwhile
        sysctls: dict[str, int] = self._there("sysctls", _sysctls, {})
        ruleset = self._there("nat", _ruleset, None)
        expectations: dict[str, int] = self._read("expectations", self._expectations, {})
        holders = proc.holders(rows)
        system = os.uname()
        name = self._there("netns", _namespace, "")
        modules = _modules()
        from ..columnar import flow_table  # noqa: F401
        from .rules import nat_ranges

        meanwhile()
        later, count_later, rows_later, elapsed = counters, count, rows, 0.0
        if seconds:
            time.sleep(max(0.0, begin + seconds - time.monotonic()))
            elapsed = time.monotonic() - begin
            later, count_later, maximum = self._counted()
            rows_later = self._there("listeners", self._sockets, [])
        listeners = _listeners(rows, rows_later, holders)
        if "nat" in self.unknown:
            self.unknown["needed_by"] = self.unknown["nat"]
        begin = time.monotonic()
        flows = self._read("flows", self._table, None)
        return Snapshot(
            host=system.nodename,
            kernel=system.release,
            netns=name,
            taken_at=taken_at,
            seconds=elapsed,
            sysctls=sysctls,
            counters=(counters, later),
            counts=(count, count_later),
            maximum=maximum or sysctls.get("nf_conntrack_max", 0),
            buckets=sysctls.get("nf_conntrack_buckets", 0),
            expectations=expectations,
            expect_maximum=sysctls.get("nf_conntrack_expect_max", 0),
            listeners=listeners,
            flows=flows,
            dump_seconds=time.monotonic() - begin,
            nat=nat_ranges(ruleset),
            needed_by=self._there("needed_by", lambda: _needed_by(ruleset), ()),
            modules=modules,
            unknown=self.unknown,
        )

    def _absent(self, taken_at: int) -> Snapshot:
        """Return the snapshot of a kernel without connection tracking, with nothing requested."""
        system = os.uname()
        name = self._there("netns", _namespace, "")
        self.unknown |= dict.fromkeys(_TRACKED, "nf_conntrack is not loaded")
        return Snapshot(
            host=system.nodename, kernel=system.release, netns=name, taken_at=taken_at,
            needed_by=(), modules=_modules(), unknown=self.unknown,
        )  # fmt: skip

    def _read(self, field: str, action: Callable[[], T], otherwise: T) -> T:
        """Return the result of ``action``; ``otherwise`` if it cannot be had, with the reason."""
        try:
            return action()
        except PermissionDeniedError:
            self.unknown[field] = "no permission: it needs CAP_NET_ADMIN"
        except KernelError as error:
            self.unknown[field] = str(error)
        except OSError as error:
            self.unknown[field] = f"{error.filename or field}: {error.strerror}"
        except (ConntrackError, ValueError) as error:
            self.unknown[field] = str(error)
        return otherwise

    def _there(self, field: str, action: Callable[[], T], otherwise: T) -> T:
        """Do the same in the namespace of ``ct``, for what is no request of its own."""
        path = self.ct._held.path
        if path is None:
            return self._read(field, action, otherwise)
        return self._read(field, lambda: netns.inside(path, action), otherwise)

    def _counted(self) -> tuple[Counters, int, int]:
        """Return the counters of each CPU, the number of flows, and its limit (0: unknown)."""
        try:
            stats = self.ct.stats()
        except ConntrackError:  # anyone may read the same in /proc
            counters: Counters = self._there("counters", _counters_of_proc, ())
            return counters, self._there("counts", lambda: _number("nf_conntrack_count"), 0), 0
        return tuple(cpu.to_dict() for cpu in stats.cpus), stats.entries, stats.max_entries or 0

    def _sockets(self) -> list[proc.Row]:
        return [row for row in proc.sockets() if _groups(row)]

    def _expectations(self) -> dict[str, int]:
        number: dict[str, int] = {}
        for expectation in self.ct.expectations():
            helper = expectation.helper or ""
            number[helper] = number.get(helper, 0) + 1
        return number

    def _table(self) -> FlowTable:
        for last in (*[False] * (_TRIES - 1), True):
            try:
                return self.ct.table(columns=COLUMNS)
            except DumpInterruptedError:
                if last:
                    raise
        raise AssertionError


def _number(name: str) -> int:
    with open(f"{_SYSCTLS}/{name}", "rb") as file:
        return int(file.read())


def _sysctls() -> dict[str, int]:
    numbers = {}
    for name in sorted(os.listdir(_SYSCTLS)):
        if name.startswith("nf_conntrack_") and name != "nf_conntrack_count":
            try:
                numbers[name] = _number(name)
            except (OSError, ValueError):
                continue
    return numbers


def _counters_of_proc() -> Counters:
    return tuple(
        {"cpu": cpu} | {_OF_PROC.get(name, name): value for name, value in values.items()}
        for cpu, values in enumerate(proc.counters())
    )


def _groups(row: proc.Row) -> tuple[str, ...]:
    return tuple(name for bit, name in enumerate(_GROUPS) if row.groups >> bit & 1)


def _listeners(
    before: list[proc.Row], after: list[proc.Row], holders: dict[int, tuple[int, bytes]]
) -> tuple[Listener, ...]:
    """Return the sockets of the second reading; what they lost before they came is 0.

    ``holders``: the processes of the first ones, which are looked for while time is free.
    """
    drops = {row.inode: row.drops for row in before}
    holders = holders | proc.holders([row for row in after if row.inode not in drops])
    found = []
    for row in after:
        pid, name = holders.get(row.inode, (0, b""))
        text = name.decode("utf-8", "backslashreplace")
        lost = (drops.get(row.inode, 0), row.drops)
        found.append(Listener(pid, text, _groups(row), lost, row.rmem))
    return tuple(found)


def _namespace() -> str:
    """Return the name of the caller's network namespace."""
    here = os.stat("/proc/thread-self/ns/net")
    same = (here.st_dev, here.st_ino)
    try:
        for name in sorted(os.listdir(netns.NAMED)):
            there = os.stat(f"{netns.NAMED}/{name}")
            if (there.st_dev, there.st_ino) == same:
                return name
    except OSError:
        pass
    try:
        first = os.stat("/proc/1/ns/net")
        if (first.st_dev, first.st_ino) == same:
            return "init"
    except OSError:
        pass  # another user's
    return f"net:[{here.st_ino}]"


def _loaded() -> bool:
    """Return whether connection tracking is there; a request would load it."""
    if os.path.exists(f"{_SYSCTLS}/nf_conntrack_max") or not os.path.isdir(_SYS_MODULE):
        return True
    return "nf_conntrack" in _modules()


def _modules() -> tuple[str, ...]:
    """Return the names of netfilter's modules, also of those built in that have parameters."""
    try:
        return tuple(sorted(name for name in os.listdir(_SYS_MODULE) if name.startswith(_MODULES)))
    except OSError:
        return ()


def _ruleset() -> object:
    """Return the rules of nft as parsed JSON; raise ConntrackError if they cannot be read."""
    import json
    import shutil
    import subprocess

    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise ConntrackError("nft: it is not installed")
    words = [program, "-j", "list", "ruleset"]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConntrackError(f"nft -j list ruleset: it took more than {_PATIENCE:.0f} s") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "backslashreplace").split("\n")
        raise ConntrackError(f"nft -j list ruleset: {lines[0] or 'it failed'}")
    try:
        return json.loads(done.stdout)
    except (ValueError, RecursionError):
        raise ConntrackError("nft -j list ruleset: its output is no JSON") from None


def _needed_by(ruleset: object) -> tuple[str, ...]:
    """Return what has rules that need tracking, by the rules of nft and the legacy tables."""
    from .rules import needs_tracking

    names = ["nft"] if needs_tracking(ruleset) else []
    for family in ("ip", "ip6"):
        try:
            with open(f"{proc.NET}/{family}_tables_names") as file:
                if "iptables" not in names and file.read().strip():
                    names.append("iptables")
        except FileNotFoundError:  # the kernel has no such tables
            continue
    return tuple(names)
