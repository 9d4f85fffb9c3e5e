"""-R: run the commands of a file, one on each line.

The whole file is checked before anything is sent: by :mod:`pyconntrack.cli.restore_file`, for
large files by :mod:`pyconntrack.cli.second_process`.
"""

from __future__ import annotations

from ...ctnetlink.restoration import Restoration
from ...errors import KernelError
from ...netlink.driver import call
from ...netlink.socket import Transport
from ..console import BY_SIGNAL, UsageError, complain, failure, program, quoted
from ..interrupts import Interrupted
from ..parser import parse
from ..progress import Progress
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
#: lines that are named one by one where they wait for their masters; more are loaded again
_FEW = 9


def load(runner: Runner, command: Command) -> int:
    """Run -R: check the whole file, run it, and report each failing line; return the exit code."""
    name = str(command.opts["load_file"])
    dry = "dry_run" in command.opts
    progress = Progress("progress" in command.opts, "bytes checked")
    interrupts = runner.interrupts
    try:
        with _open(name) as file:
            parts = check(file, progress)
    except BadLine as bad:
        progress.close()
        text = f"line {bad.number}: {bad.error.message} (nothing was loaded)"
        complain(text, hint=bad.error.hint)
        return bad.error.code
    except UsageError as error:
        complain(error.message, hint=error.hint)
        return error.code
    except Interrupted as error:
        complain("interrupted: nothing was loaded")
        return BY_SIGNAL + error.number
    creations = sum(checked.creations for _, checked in parts)
    if dry:
        progress.close()
        complain(f"{creations} flow entries would be loaded (nothing was changed).")
        return 0
    progress.stage("flow entries loaded", creations)
    runner.quiet = True
    run = _Run(runner, progress)
    stop: Interrupted | None = None
    try:
        for base, checked in parts:
            run.part(base, checked)
        with interrupts:
            run.finish()
    except Interrupted as error:
        stop = error
    interrupts.hold()  # what remains is to report
    if stop is not None:
        run.retry()
    progress.close()
    if run.orphans:
        complain(f"{run.orphans} flow entries were created without the master that they "
                 "name: it does not exist")  # fmt: skip
    if stop is not None and not run.complete:
        complain(run.interrupted(name))
        return BY_SIGNAL + stop.number
    return 1 if run.failed else 0


def _open(name: str) -> IO[bytes]:
    if name == "-":
        return open(0, "rb", closefd=False)
    try:
        return open(name, "rb")
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise UsageError(f"Failed to open file {name} for reading: a directory") from None
        raise UsageError(f"Failed to open file {name} for reading") from None


class _Run:
    """The run of a checked file: how far it is.

    ``failed``: lines that failed; ``done``: the last line that was run; ``loaded``: flow entries
    that the kernel created or renewed; ``complete``: whether all is done.
    """

    def __init__(self, runner: Runner, progress: Progress) -> None:
        self._runner, self._progress = runner, progress
        self._transport = Transport(rcvbuf=_RCVBUF)
        self._restoration = Restoration()
        self.failed = self.done = self.loaded = 0
        self.complete = False

    @property
    def orphans(self) -> int:
        """Return the number of entries that were created without the master that they name."""
        return self._restoration.orphans

    def part(self, base: int, checked: CheckedFile) -> None:
        """Run a checked part that begins after ``base`` lines; raise Interrupted between two
        steps."""
        interrupts = self._runner.interrupts
        for number, what, count in checked.steps():
            with interrupts:
                if isinstance(what, bytes):
                    waiting = len(self._restoration.waiting)
                    failures = call(self._transport, self._restoration.send(what, number, base))
                    waits = len(self._restoration.waiting) - waiting
                    self._report(failures, count - waits)
                    self._progress.add(count)
                else:
                    self.finish()
                    self.complete = False
                    if not self._command(base + number, what):
                        break
                self.done = base + number
        checked.spool.close()

    def _command(self, number: int, words: list[str]) -> bool:
        """Run another command, that of line ``number``; return False if it was interrupted."""
        try:
            return self._runner.run(parse(words, in_file=True)) <= BY_SIGNAL
        except KernelError as error:
            complain(f"line {number}: {failure(error.errno, error.reason)}")
            self.failed += 1
        return True

    def retry(self) -> None:
        """Create what can be created now of the entries that wait for their masters."""
        waiting = len(self._restoration.waiting)
        failures = call(self._transport, self._restoration.retry())
        self._report(failures, waiting - len(self._restoration.waiting))

    def finish(self) -> None:
        """Create what waits for its master, at last without it."""
        waiting = len(self._restoration.waiting)
        self._report(call(self._transport, self._restoration.finish()), waiting)
        self.complete = True

    def _report(self, failures: list[Failure], sent: int) -> None:
        """Report each of ``failures``; the rest of the entries ``sent`` is loaded."""
        for bad in failures:
            complain(f"line {bad.index}: {failure(bad.errno, bad.reason, verb='create')}")
        self.failed += len(failures)
        self.loaded += sent - len(failures)

    def interrupted(self, name: str) -> str:
        """Return what was done of the file ``name``, what was not, and how to go on."""
        text = f"interrupted: {self.loaded:,} flow entries have been loaded, "
        text += f"line {self.done + 1:,} is the first that was not"
        lines = sorted(number for number, _ in self._restoration.waiting)
        if lines:
            text += f", and {len(lines):,} before it wait for their masters"
        if name == "-":
            return text
        parts = ";".join(f"{number}p" for number in lines)
        rest = f"{parts};{self.done + 1},$p" if len(lines) < _FEW else f"{lines[0]},$p"
        way = f"sed -n '{rest.lstrip(';')}' {quoted(name)} | {program()} -R -"
        return f"{text}; {way} loads the rest"
