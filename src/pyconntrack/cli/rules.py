"""The rules for which options go together, and what they mean together.

They are checked in the order that conntrack(8) has, which decides the error that is reported.
"""

from __future__ import annotations

from ..formats import DOCUMENTS
from . import options
from .console import UsageError
from .options import EXPECT, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parser import Command

_PROTOCOLS = {protocol.number: protocol for protocol in options.PROTOCOLS}
#: options with which -z would clear the counters of entries that are not shown
_FILTERS = {
    *("src", "dst", "reply-src", "reply-dst", "protonum", "mark", "secmark", "status", "label"),
    *("zone", "orig-zone", "reply-zone", "id", "where", "limit", "state"),
    *("sport", "dport", "reply-port-src", "reply-port-dst"),
}


class GivenOptions:
    """The verb and the options of a command line, as they were read.

    ``rows``: each option, as it was spelt; ``masks``: the mask fields of ``ADDR/LEN``;
    ``statuses``: for each -u, the bits that must be set and those that must not; ``unlimited``: an
    address whose prefix length is empty.
    """

    __slots__ = ("command", "masks", "rows", "statuses", "unlimited", "verb")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.verb: Verb | None = None
        self.rows: dict[Option, str] = {}
        self.masks: dict[str, bytes] = {}
        self.statuses: list[tuple[int, int]] = []
        self.unlimited = ""


def check(given: GivenOptions, in_file: bool) -> None:
    """Check the whole against the rules, in the order that conntrack(8) does."""
    command, opts = given.command, given.command.opts
    named = {row.name for row in given.rows}
    verb = given.verb
    if "iso" in named and not _timed(command.output):
        raise UsageError("`--iso' needs the times of -o timestamp or -o ktimestamp as text")
    if verb is None:
        if given.rows or in_file:
            raise UsageError("no command given: one of -L -G -D -I -A -U -E -F -C -S is needed")
        command.verb, verb = options.HELP.name, options.HELP
    if command.about is not None:
        if in_file:
            raise UsageError("Cannot use command `-h' with --load-file")
        return
    expect = command.table == EXPECT
    if "any-nat" in named and ("src-nat" in named or "dst-nat" in named):
        raise UsageError("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
    if "label-add" in named and "label-del" in named:
        raise UsageError("cannot use --label-add and --label-del at the same time", 1)
    if in_file:
        _check_file(given, verb, named)
    _legal(given, (*options.OPTIONS, *options.EXTENSIONS), verb)
    _counting(named, expect and verb.letter == "L")
    for side in ("src", "dst"):
        if f"mask_{side}" in opts and not expect and f"orig_{side}" not in opts:
            raise UsageError(f"Can't use --mask-{side} without --{side}")
    complete = verb.letter in "GIA" and not expect
    if complete:
        _pair(given, ("orig_src", "orig_dst", "reply_src", "reply_dst"),
              ("src", "dst", "reply-src", "reply-dst"))  # fmt: skip
    own = options.own(command.protocols)
    if options.STATE in given.rows and verb.letter in "GIAU" and not expect:
        raise UsageError("`--state' without -p only selects, with -L, -D and -E: "
                         "-p gives the protocol whose state it is")  # fmt: skip
    _legal(given, own, verb)
    _foreign(given, own)
    protocol = _PROTOCOLS.get(-1 if command.proto is None else command.proto)
    if complete and protocol is not None and protocol.pair:
        source, destination = protocol.pair[:2]
        _pair(given, (f"orig_{source}", f"orig_{destination}",
                      f"reply_{source}", f"reply_{destination}"), protocol.pair)  # fmt: skip
    _single(given, verb)
    if "zero" in opts and named & _FILTERS:
        raise UsageError("Can't use -z with filtering parameters")
    _settle(given, verb, expect)
    _narrow(given, verb, named)


def _counting(named: set[str], expect: bool) -> None:
    """Check what goes with --count-by; ``expect``: a listing of expectations."""
    if "count-by" in named:
        if "columns" in named:
            raise UsageError("cannot combine --count-by with --columns: a group has its own")
        return
    if "sum" in named:
        raise UsageError("`--sum' adds up groups: give --count-by too")
    if expect and (alone := named & {"sort", "limit"}):
        raise UsageError(f"`--{min(alone)}' of expectations goes with --count-by only")


def _timed(words: list[str]) -> bool:
    """Return whether the ``words`` of -o give lines of text with times."""
    return not {"timestamp", "ktimestamp"}.isdisjoint(words) and not set(DOCUMENTS) & set(words)


def _narrow(given: GivenOptions, verb: Verb, named: set[str]) -> None:
    """Refuse a change without a filter if an option only looks like one."""
    if verb.letter not in "DUF":
        return
    if given.unlimited:
        raise UsageError(f"`{given.unlimited}' lacks its prefix length: 0 is any address")
    new = {"timeout", "mark", "status", "state"} if verb.letter == "U" else set()
    idle = (named - new) & {"nat-range", "timeout"}
    if idle and not any(
        row.group in ("select", "both", "") for row in given.rows if row.name not in (*new, *idle)
    ):
        raise UsageError(f"`--{min(idle)}' selects nothing: -{verb.short} would then mean "
                         "every entry; give a filter")  # fmt: skip


def _single(given: GivenOptions, verb: Verb) -> None:
    """Refuse a list where a command has to know the one value."""
    for row in given.rows:
        if not options.single(verb, given.command.table, row):
            continue
        if row.kind == "proto":
            several = len(given.command.protocols) > 1
        else:
            several = isinstance(given.command.opts.get(row.field), tuple)
        if several:
            item = options.LISTED[row.kind]
            raise UsageError(f"`--{row.name}' takes a single {item} with this command, not a list")


def _check_file(given: GivenOptions, verb: Verb, named: set[str]) -> None:
    expect = " expect" if given.command.table == EXPECT else ""
    if verb.letter not in "IAUDF" or expect:
        raise UsageError(f"Cannot use command `-{verb.short}{expect}' with --load-file")
    for name in ("explain", "dry-run", "undo", "from-file", "progress", "netns"):
        if name in named:
            raise UsageError(f"`--{name}' belongs beside --load-file, not in the file")


def _legal(given: GivenOptions, rows: tuple[Option, ...], verb: Verb) -> None:
    """Check each row's rule for this command."""
    table = given.command.table
    for row in rows:
        if row in given.rows or row.field in given.masks:
            if not options.takes(verb, table, row) or (
                row.kind == "output" and not set(given.command.output) <= set(options.formats(verb))
            ):
                from .advice import illegal_option

                raise illegal_option(verb, table, row)
        elif options.needs(verb, table, row):
            raise UsageError(f"You need to supply the `--{row.name}' option for this command")


def _foreign(given: GivenOptions, own: tuple[Option, ...]) -> None:
    """Refuse options of other protocols than that of the last -p."""
    for row, word in given.rows.items():
        if row in own or row in options.OPTIONS or row in options.EXTENSIONS:
            continue
        if row in options.ANYWHERE:
            raise UsageError(f"unknown option `{word}'")
        raise UsageError(f"`--{row.name}' is no option of the protocol that -p gives")


def _pair(given: GivenOptions, fields: tuple[str, str, str, str], names: tuple[str, ...]) -> None:
    """Require at least one direction to be complete."""
    orig_1, orig_2, reply_1, reply_2 = (field in given.command.opts for field in fields)
    if (orig_1 and orig_2) or (reply_1 and reply_2):
        return
    first, second = names[:2] if orig_1 or orig_2 or not (reply_1 or reply_2) else names[2:]
    raise UsageError(f"you have to specify `--{first}' and `--{second}'")


def _settle(given: GivenOptions, verb: Verb, expect: bool) -> None:
    """Convert the values to their final form."""
    opts = given.command.opts
    if given.statuses:
        on = off = 0
        for more_on, more_off in given.statuses:
            if verb.name == "list":
                # Each further -u narrows the mask to itself: what an earlier one
                # alone asked for is refused. Kept for compatibility.
                more_off |= on & ~more_on if more_on else 0
            on |= more_on
            off |= more_off
        if verb.name != "list" and verb.name != "delete":
            on &= ~sum(options.STATUS[name][0] for name in options.NAT_STATUS)
        opts["status"] = (on, off)
    for field, mask in given.masks.items():  # with --mask-src beside it both count
        bits = int.from_bytes(mask) | int.from_bytes(opts.get(field, b""))
        opts[field] = bits.to_bytes(len(mask))
    if expect:
        return
    for side in ("src", "dst"):
        if (mask := opts.pop(f"mask_{side}", None)) is None:
            continue
        field = f"orig_{side}"
        address = opts[field]
        if isinstance(address, tuple):
            raise UsageError(f"Can't use --mask-{side} with a list of addresses: write ADDR/LEN")
        if len(mask) != len(address):
            raise UsageError("mismatched address family")
        if any(byte != 0xFF for byte in mask):
            opts[f"{field}_mask"] = mask
            opts[field] = bytes(a & m for a, m in zip(address, mask, strict=True))
