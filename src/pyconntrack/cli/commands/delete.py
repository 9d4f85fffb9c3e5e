"""-D, and -F if it works entry by entry: each by its tuple and id, as the kernel sent them."""

from __future__ import annotations

from ...ctnetlink import constants as c
from ...netlink.driver import call
from ..change import Change
from ..console import complain
from ..selection import Document, writer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..filter_file import Lines
    from ..main import Runner
    from ..parser import Command

#: options of -F with which it reports entries
_CAREFUL = {"undo", "dry_run"}


def delete(runner: Runner, command: Command) -> int:
    """Run -D: delete all flows that match, each by its tuple and id."""
    lines = None
    if "from_file" in command.opts:
        from ..filter_file import Lines

        lines = Lines.read(str(command.opts["from_file"]))
    return _delete(Change(runner, command), lines, none=1)


def flush(runner: Runner, command: Command) -> int:
    """Run -F of one family, with --undo or --dry-run: delete the entries found one by one."""
    return _delete(Change(runner, command), None, none=0)


def _delete(change: Change, lines: Lines | None, *, none: int) -> int:
    opts = change.command.opts
    document = Document(change.runner.out, writer_of(change.command, "-D"))
    dry = "dry_run" in opts
    expectations = None
    if "undo" in opts and not dry:
        from .. import undo

        change.undo = undo.WayBack(str(opts["undo"]), undo.deleted())
        expectations = undo.Expectations(change.transport)
    # -F prints no entries except in a dry run
    shown = dry or change.command.verb == "delete"
    kind = c.ct_msg(c.IPCTNL_MSG_CT_DELETE)
    count = 0
    for part in change.windows(lines):
        if dry:
            done = part
        elif change.keep(part):
            done = change.done(part, call(change.transport, part.requests(kind)))
        else:
            break
        if lines is not None:
            lines.count(done.hits)
        if expectations is not None:
            expectations.add(done)
        if shown:
            document.add(done)
        count += done.count
    if shown:
        document.close()
    would = "would be deleted (nothing was changed)"
    what = f"flow entries {would if dry else 'have been deleted'}"
    if expectations is not None and (lost := expectations.lost()):
        complain(f"WARNING: {lost} expectations ended with their masters; "
                 "--undo does not hold them")  # fmt: skip
    whole = change.stop is None and not change.errors
    if change.command.verb == "flush" and whole and not opts.keys() & _CAREFUL:
        change.close()
        complain("connection tracking table has been emptied.")
        return 0
    code = change.finish(count, what, none=none)
    if lines is not None:
        lines.report("would be deleted" if dry else "deleted")
    return code
