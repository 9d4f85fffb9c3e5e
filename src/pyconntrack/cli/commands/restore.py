"""-R: run the commands of a file, one on each line.

The whole file is checked before anything is sent: by :mod:`pyconntrack.cli.restore_file`, for
large files by :mod:`pyconntrack.cli.second_process`.
"""

from __future__ import annotations

from ...ctnetlink.restoration import Restoration
from ...errors import KernelError
from ...netlink.driver import call
from ...netlink.socket import Transport
from ..console import Progress, UsageError, complain, failure
from ..parser import parse
from ..restore_file import BadLine, CheckedFile
from ..second_process import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    from ...netlink.conversation import Failure
    from ..main import Runner
    from ..parser import Command

#: an error answer takes 832 bytes of receive memory; a batch of them must fit
_RCVBUF = 4 << 20


def load(runner: Runner, command: Command) -> int:
    """Run -R: check the whole file, run it, and report each failing line; return the exit code."""
    name = str(command.opts["load_file"])
    try:
        with _open(name) as file:
            parts = check(file)
    except BadLine as bad:
        text = f"line {bad.number}: {bad.error.message} (nothing was loaded)"
        complain(text, hint=bad.error.hint)
        return bad.error.code
    except UsageError as error:
        complain(error.message, hint=error.hint)
        return error.code
    if command.opts.get("dry_run"):
        creations = sum(checked.creations for _, checked in parts)
        complain(f"{creations} flow entries would be loaded (nothing was changed).")
        return 0
    progress = Progress("progress" in command.opts, "lines loaded")
    transport = Transport(rcvbuf=_RCVBUF)
    runner.quiet = True
    restoration = Restoration()
    failed = 0
    for base, checked in parts:
        failed += _run(runner, transport, restoration, base, checked, progress)
    failed += _report(call(transport, restoration.finish()))
    progress.close()
    if restoration.orphans:
        complain(f"{restoration.orphans} flow entries were created without the master that they "
                 "name: it does not exist")  # fmt: skip
    return 1 if failed else 0


def _open(name: str) -> IO[bytes]:
    if name == "-":
        return open(0, "rb", closefd=False)
    try:
        return open(name, "rb")
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise UsageError(f"Failed to open file {name} for reading: a directory") from None
        raise UsageError(f"Failed to open file {name} for reading") from None


def _report(failures: list[Failure]) -> int:
    for bad in failures:
        complain(f"line {bad.index}: {failure(bad.errno, bad.reason, verb='create')}")
    return len(failures)


def _run(
    runner: Runner, transport: Transport, restoration: Restoration, base: int, checked: CheckedFile,
    progress: Progress,
) -> int:  # fmt: skip
    """Run a checked part that begins after ``base`` lines; return how many lines failed."""
    failed = last = 0
    for number, what in checked.steps():
        progress.add(number - last)
        last = number
        if isinstance(what, bytes):
            failed += _report(call(transport, restoration.send(what, number, base)))
            continue
        failed += _report(call(transport, restoration.finish()))
        try:
            runner.run(parse(what, in_file=True))
        except KernelError as error:
            complain(f"line {base + number}: {failure(error.errno, error.reason)}")
            failed += 1
    checked.spool.close()
    return failed
