"""Parse a command line by the rows of :mod:`.options`.

Options are accepted as by getopt_long: abbreviated, in bundles, with attached and optional values,
operands between them.
"""

from __future__ import annotations

from . import option_values, options
from .console import UsageError
from .options import CONNTRACK, EXPECT, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Command", "parse"]

_ROWS = {option.short: option for option in options.OPTIONS if option.short}
_VERBS = {verb.short: verb for verb in options.VERBS}
_PROTOCOLS = {protocol.number: protocol for protocol in options.PROTOCOLS}
_NAMES = [(protocol.name, protocol.number) for protocol in options.PROTOCOLS]
# -z would clear the counters of entries that such a filter hides.
_FILTERS = {
    *("src", "dst", "reply-src", "reply-dst", "protonum", "mark", "secmark", "status", "label"),
    *("zone", "orig-zone", "reply-zone", "id", "where", "limit"),
    *("sport", "dport", "reply-port-src", "reply-port-dst"),
}


class Command:
    """A parsed command line."""

    def __init__(self) -> None:
        self.verb = ""
        self.table = CONNTRACK
        self.family = 0
        self.family_given = False
        self.proto: int | None = None
        self.opts: dict[str, Any] = {}
        self.output: list[str] = []
        self.labelmap: str | None = None
        self.warnings: list[str] = []


def parse(argv: list[str], *, in_file: bool = False) -> Command:
    """Parse a command line; ``in_file``: a line of a file for -R.  Raises UsageError."""
    reader = _Reader(argv)
    try:
        reader.scan()
        reader.name_labels()
        reader.check(in_file)
    except UsageError as error:
        error.warnings = reader.warnings()
        raise
    reader.command.warnings = reader.warnings()
    return reader.command


class _Reader:
    """One pass over the words, then the rules."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.index = 0
        self.command = Command()
        self.verb: Verb | None = None
        self.operand = False  # whether the command's operand has been taken
        self.given: dict[Option, str] = {}  # the option, as it was spelt
        self.prefixes: dict[str, bytes] = {}  # mask fields that came with an address
        self.statuses: list[tuple[int, int]] = []
        self.unset: list[str] = []  # status words that only select
        self.labelled: list[tuple[Option, str | None]] = []  # what needs the label map
        self.unlimited = ""  # an option whose prefix length is empty

    # -- words -----------------------------------------------------------------------

    def scan(self) -> None:
        """Take all words: options, their values and operands, in any order."""
        while (word := self.following()) is not None:
            if word == "--":
                for rest in self.words[self.index :]:
                    self.stray(rest)
                return
            if word.startswith("--"):
                self.long(word)
            elif word.startswith("-") and word != "-":
                self.bundle(word)
            elif word != "-":
                self.stray(word)

    def stray(self, word: str) -> None:
        if self.verb is None:
            raise UsageError(f"unknown command `{word}': commands begin with a dash, such as `-L'")
        meant = ""
        if not self.operand and self.verb.arg == "[TABLE]" and word in options.TABLES:
            meant = f": a table follows its command at once, as in `-{self.verb.short} {word}'"
        raise UsageError(f"unexpected argument `{word}'{meant}")

    def long(self, word: str) -> None:
        name, equals, attached = word[2:].partition("=")
        row = self.resolve(name)
        if row is None or (equals and not row.arg):
            raise UsageError(f"unknown option `{word}'")
        self.take(row, f"--{name}", attached if equals else None)

    def resolve(self, name: str) -> Option | Verb | None:
        """Find a long spelling or its unambiguous abbreviation, classic options first."""
        proto = self.command.proto
        classic, ours = _spelt((*options.OPTIONS, *options.VERBS)), _spelt(options.EXTENSIONS)
        (ours if proto is None else classic).extend(_spelt(self.own()))
        for rows in (classic, ours):
            for long, row in rows:
                if long == name:
                    return row
        for rows in (classic, ours):
            # --load-file has never been abbreviated
            found = {row for long, row in rows if long.startswith(name) and long != "load-file"}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    def own(self) -> tuple[Option, ...]:
        """Return the options of the protocol, or the ports where none is given."""
        proto = self.command.proto
        if proto is None:
            return options.PORTS
        return _PROTOCOLS[proto].options if proto in _PROTOCOLS else ()

    def bundle(self, word: str) -> None:
        """Take short options: the first with a value ends the word."""
        rest = word[1:]
        while rest:
            letter, rest = rest[0], rest[1:]
            row = _VERBS.get(letter) or _ROWS.get(letter)
            if row is None:
                raise UsageError(f"unknown option `{word}'")
            if isinstance(row, Verb):
                # a verb's letter may be followed by more options: only a whole
                # table name (or the file of -R) is its operand
                attached = rest if row.arg == "FILE" or rest in options.TABLES else ""
            else:
                attached = rest if row.arg else ""
            self.take(row, word, attached or None, last=not rest)
            if attached:
                return

    def take(self, row: Option | Verb, word: str, attached: str | None, last: bool = True) -> None:
        if isinstance(row, Verb):
            self.take_verb(row, word, attached, last)
            return
        text = attached
        if text is None and row.arg:
            optional = row.arg.startswith("[")
            text = self.following(optional)
            if text is None and not optional:
                raise UsageError(f"option `{word}' requires an argument")
        if row in self.given and row.arg and row in options.EXTENSIONS:
            raise UsageError(f"option `--{row.name}' can only be specified once")
        self.given[row] = word
        self.store(row, text)

    def take_verb(self, verb: Verb, word: str, attached: str | None, last: bool) -> None:
        if self.verb is not None:
            raise UsageError("Invalid commands combination")
        self.verb = verb
        command = self.command
        command.verb = verb.name
        operand = attached
        if verb.arg and operand is None and last:
            operand = self.following(optional=verb.arg != "FILE")
        if verb.arg == "FILE":
            if operand is None:
                raise UsageError(f"unknown option `{word}'")
            command.opts["load_file"] = operand
        elif operand is not None:
            tables = [table for table in options.TABLES if operand and table.startswith(operand)]
            if not tables:
                raise UsageError(f"unknown type `{operand}'")
            command.table = tables[0]
            if command.table not in (CONNTRACK, EXPECT) and verb.name != "list":
                raise UsageError("Can't do that command with tables `dying' and `unconfirmed'")
            if command.table == EXPECT and verb.name in ("update", "add"):
                raise UsageError(f"Can't do --{verb.long[0]} on expectations")
        self.operand = operand is not None

    def following(self, optional: bool = False) -> str | None:
        """Take the next word; as an ``optional`` value only unless it looks like an option."""
        if self.index == len(self.words) or (optional and self.words[self.index].startswith("-")):
            return None
        self.index += 1
        return self.words[self.index - 1]

    # -- values ----------------------------------------------------------------------

    def store(self, row: Option, given: str | None) -> None:
        """Read a value by its kind and put it where the row says."""
        if act := _ACTIONS.get(row.kind):
            act(self, row, given)
            return
        read = _VALUES.get(row.kind)
        text = given or ""
        self.command.opts[row.field] = read(text, row) if read else text

    def nat(self, row: Option, given: str | None) -> None:
        value = (None, None) if given is None else option_values.nat(given, row.name)
        if value[0] is not None:
            self.agree(option_values.family(value[0]))
        self.command.opts[row.field] = value

    def events(self, row: Option, given: str | None) -> None:
        words = option_values.words(given or "", options.EVENTS, options.EVENTS)
        chosen = self.command.opts.setdefault(row.field, set())
        chosen.update(*(options.EVENTS[word] for word in words))

    def labels(self, row: Option, given: str | None) -> None:
        self.command.opts.setdefault(row.field, [])
        self.labelled.append((row, given))

    def protocol(self, row: Option, given: str | None) -> None:
        self.command.proto = option_values.protocol(given or "", _NAMES)

    def family(self, row: Option, given: str | None) -> None:
        text = given or ""
        fitting = option_values.matching(text, options.FAMILIES)
        if not fitting:
            raise UsageError(f"`{text}' unsupported protocol")
        self.agree(options.FAMILIES[fitting[0]])
        self.command.family_given = True

    def deprecated(self, row: Option, given: str | None) -> None:
        self.command.warnings.append("WARNING: ignoring -a, deprecated option.")

    def address(self, row: Option, given: str | None) -> None:
        text = given or ""
        packed, mask = option_values.network(text)
        if text.endswith("/"):
            self.unlimited = text
        field = row.detail
        if mask is not None and field is None:
            raise UsageError(f"CIDR notation unavailable for `--{row.name}'")
        self.agree(option_values.family(packed))
        opts = self.command.opts
        opts[row.field] = packed
        if isinstance(field, str):
            # `-s NET/24 -s HOST': the mask belonged to the first
            self.prefixes.pop(field, None)
            if mask is not None:
                self.prefixes[field] = mask

    def agree(self, family: int) -> None:
        if self.command.family not in (0, family):
            raise UsageError("mismatched address family")
        self.command.family = family

    def status(self, row: Option, given: str | None) -> None:
        on = off = 0
        for word in option_values.words(given or "", options.STATUS, options.STATUS, bits=True):
            name = word.removeprefix("!")
            must, must_not = options.STATUS[name]
            if word != name:
                if not must:
                    raise UsageError(f"Bad parameter `{name}'")
                must, must_not = 0, must
            if name in options.NAT_STATUS:
                self.unset.append(name)
            on |= must
            off |= must_not
        self.statuses.append((on, off))

    def warnings(self) -> list[str]:
        """Return the warnings to be printed before anything else."""
        selects = self.verb is not None and self.verb.letter in "LD"
        names = [] if selects else self.unset
        return [
            *(f"WARNING: ignoring {name}, use --{name.lower().replace('_', '-')} instead"
              for name in names),
            *self.command.warnings,
        ]  # fmt: skip

    def name_labels(self) -> None:
        """Look up the labels in the map, which may be named anywhere on the line."""
        opts = self.command.opts
        path = opts.get("labelmap", options.LABELMAP)
        known: dict[str, int] | None = None
        for row, text in self.labelled:
            names = [] if row.kind == "output" or text is None else text.split(",")
            if known is None:
                try:
                    known = option_values.read_labelmap(path)
                    self.command.labelmap = path
                except OSError as error:
                    # not remembered: each use of a missing map warns
                    if not names or not all(map(str.isdecimal, names)):
                        self.command.warnings.append(f"nfct_labelmap_new: {error.strerror}")
            for name in names:
                bit = (known or {}).get(name)
                if bit is None:  # the number of a bit without a name, as -o save writes them
                    bit = option_values.number(name)
                    if not name.isdecimal() or not 0 <= bit <= 127:
                        raise UsageError(f"unknown label '{name}'")
                if bit not in opts[row.field]:
                    opts[row.field].append(bit)

    def output(self, row: Option, given: str | None) -> None:
        chosen = self.command.output
        for word in option_values.words(given or "", options.OUTPUT, options.CLASSIC_OUTPUT):
            if word == "labels":
                self.labelled.append((row, None))
            if word not in chosen:
                chosen.append(word)
        if "save" in chosen and len(chosen) > 1:
            raise UsageError(
                "cannot combine save output with any other output type, use -o save only", 1
            )
        documents = [word for word in chosen if word in options.DOCUMENTS]
        if len(documents) > 1:
            raise UsageError(
                f"cannot combine output formats `{documents[0]}' and `{documents[1]}': choose one"
            )

    # -- rules -----------------------------------------------------------------------

    def check(self, in_file: bool) -> None:
        """Check the whole against the rules, in the order that conntrack(8) does."""
        command, opts = self.command, self.command.opts
        named = {row.name for row in self.given}
        verb = self.verb
        if verb is None:
            if self.given or in_file:
                raise UsageError("no command given: one of -L -G -D -I -A -U -E -F -C -S is needed")
            command.verb, verb = "help", _VERBS["h"]
        expect = command.table == EXPECT
        if "any-nat" in named and ("src-nat" in named or "dst-nat" in named):
            raise UsageError("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")
        if "label-add" in named and "label-del" in named:
            raise UsageError("cannot use --label-add and --label-del at the same time", 1)
        if in_file:
            self.check_file(verb, named)
        self.legal((*options.OPTIONS, *options.EXTENSIONS), verb.letter, expect)
        for side in ("src", "dst"):
            if f"mask_{side}" in opts and not expect and f"orig_{side}" not in opts:
                raise UsageError(f"Can't use --mask-{side} without --{side}")
        complete = verb.letter in "GIA" and not expect
        if complete:
            self.pair(("orig_src", "orig_dst", "reply_src", "reply_dst"),
                      ("src", "dst", "reply-src", "reply-dst"))  # fmt: skip
        own = self.own()
        self.legal(own, verb.letter, expect)
        self.foreign(own)
        protocol = _PROTOCOLS.get(-1 if command.proto is None else command.proto)
        if complete and protocol is not None and protocol.pair:
            source, destination = protocol.pair[:2]
            self.pair((f"orig_{source}", f"orig_{destination}",
                       f"reply_{source}", f"reply_{destination}"), protocol.pair)  # fmt: skip
        if verb.letter not in "LUDE" or expect:
            for row in self.given:
                if row.kind == "ports" and not isinstance(opts[row.field], int):
                    raise UsageError(
                        f"`--{row.name}' takes a single port with this command, not a list"
                    )
        if "zero" in opts and named & _FILTERS:
            raise UsageError("Can't use -z with filtering parameters")
        self.settle(verb, expect)
        self.narrow(verb, named)

    def narrow(self, verb: Verb, named: set[str]) -> None:
        """Refuse a change without a filter if an option only looks like one."""
        if verb.letter not in "DUF":
            return
        if self.unlimited:
            raise UsageError(f"`{self.unlimited}' lacks its prefix length: 0 is any address")
        new = {"timeout", "mark", "status", "state"} if verb.letter == "U" else set()
        idle = (named - new) & {"nat-range", "timeout"}
        if idle and not any(
            row.group in ("select", "both", "") or row.name in ("where", "from-file")
            for row in self.given
            if row.name not in (*new, *idle)
        ):
            raise UsageError(f"`--{min(idle)}' selects nothing: -{verb.short} would then mean "
                             "every entry; give a filter")  # fmt: skip

    def check_file(self, verb: Verb, named: set[str]) -> None:
        expect = " expect" if self.command.table == EXPECT else ""
        if verb.letter not in "IAUDF" or expect:
            raise UsageError(f"Cannot use command `-{verb.short}{expect}' with --load-file")
        for name in ("explain", "dry-run", "undo", "from-file", "progress"):
            if name in named:
                raise UsageError(f"`--{name}' belongs beside --load-file, not in the file")

    def legal(self, rows: tuple[Option, ...], letter: str, expect: bool) -> None:
        """Check each row's rule for this command."""
        for row in rows:
            rule = row.expect if expect else row.on
            if row in self.given or row.field in self.prefixes:
                if (letter not in rule and letter.lower() not in rule) or (
                    row.kind == "output"
                    and letter in "CS"
                    and not set(self.command.output) <= set(options.COUNTED)
                ):
                    raise UsageError(f"Illegal option `--{row.name}' with this command")
            elif letter.lower() in rule:
                raise UsageError(f"You need to supply the `--{row.name}' option for this command")

    def foreign(self, own: tuple[Option, ...]) -> None:
        """Refuse options of other protocols than that of the last -p."""
        for row, word in self.given.items():
            if row in own or row in options.OPTIONS or row in options.EXTENSIONS:
                continue
            if row in options.PORTS:
                raise UsageError(f"unknown option `{word}'")
            raise UsageError(f"`--{row.name}' is no option of the protocol that -p gives")

    def pair(self, fields: tuple[str, str, str, str], names: tuple[str, ...]) -> None:
        """Require at least one direction to be complete."""
        orig_1, orig_2, reply_1, reply_2 = (field in self.command.opts for field in fields)
        if (orig_1 and orig_2) or (reply_1 and reply_2):
            return
        first, second = names[:2] if orig_1 or orig_2 or not (reply_1 or reply_2) else names[2:]
        raise UsageError(f"you have to specify `--{first}' and `--{second}'")

    def settle(self, verb: Verb, expect: bool) -> None:
        """Convert the values to their final form."""
        opts = self.command.opts
        if self.statuses:
            on = off = 0
            for more_on, more_off in self.statuses:
                if verb.name == "list":
                    # Each further -u narrows the mask to itself: what an earlier one
                    # alone asked for is refused. Kept for compatibility.
                    more_off |= on & ~more_on if more_on else 0
                on |= more_on
                off |= more_off
            if verb.name != "list" and verb.name != "delete":
                on &= ~sum(options.STATUS[name][0] for name in options.NAT_STATUS)
            opts["status"] = (on, off)
        for field, mask in self.prefixes.items():  # with --mask-src beside it both count
            bits = int.from_bytes(mask) | int.from_bytes(opts.get(field, b""))
            opts[field] = bits.to_bytes(len(mask))
        if expect:
            return
        for side in ("src", "dst"):
            if (mask := opts.pop(f"mask_{side}", None)) is None:
                continue
            field = f"orig_{side}"
            address = opts[field]
            if len(mask) != len(address):
                raise UsageError("mismatched address family")
            if any(byte != 0xFF for byte in mask):
                opts[f"{field}_mask"] = mask
                opts[field] = bytes(a & m for a, m in zip(address, mask, strict=True))


def _spelt(rows: Iterable[Option | Verb]) -> list[tuple[str, Option | Verb]]:
    """Return the long spellings of ``rows``, each with its row."""
    return [(long, row) for row in rows for long in row.long]


def _number(text: str, row: Option) -> int:
    letter = {"zone": "w", "orig_zone": "(", "reply_zone": ")", "secmark": "c", "id": "i"}.get(
        row.field
    )
    if letter is None:  # of these conntrack(8) reads only the keys of GRE as C does
        return option_values.bounded(text, row.detail, row.name, octal=row.field.endswith("key"))
    value = option_values.number(text)
    if not 0 <= value <= row.detail:
        raise option_values.unexpected(text, letter)
    return value


def _choice(text: str, row: Option) -> Any:
    choices, error = row.detail
    fitting = option_values.matching(text, choices)
    if not fitting:
        raise UsageError(f"{error} `{text}'")
    return choices[fitting[0]]


def _sort(text: str, row: Option) -> list[tuple[str, bool]]:
    words = option_values.names(text, row.name)
    order = [(word.removeprefix("-"), word.startswith("-")) for word in words]
    if ("", True) in order:
        raise UsageError(f"Empty name in `{text}' of --{row.name}")
    return order


#: kind -> the reader of a value; a kind in neither table is text
_VALUES: dict[str, Callable[[str, Option], Any]] = {
    "flag": lambda text, row: True,
    "number": _number,
    "port": lambda text, row: option_values.port(text, row.name),
    "ports": lambda text, row: option_values.ports(text, row.name),
    "names": lambda text, row: option_values.names(text, row.name),
    "mark": lambda text, row: option_values.mark(text),
    "choice": _choice,
    "sort": _sort,
}
#: kind -> what does more than put one value in its place
_ACTIONS: dict[str, Callable[[_Reader, Option, str | None], None]] = {
    "address": _Reader.address,
    "nat": _Reader.nat,
    "status": _Reader.status,
    "events": _Reader.events,
    "labels": _Reader.labels,
    "labels?": _Reader.labels,
    "proto": _Reader.protocol,
    "family": _Reader.family,
    "output": _Reader.output,
    "deprecated": _Reader.deprecated,
}
