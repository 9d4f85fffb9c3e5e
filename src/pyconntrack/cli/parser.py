"""Read a command line by the rows of :mod:`.options`, and check it by :mod:`.rules`.

Options are accepted as by getopt_long: abbreviated, in bundles, with attached and optional values,
operands between them.
"""

from __future__ import annotations

from ..formats import DOCUMENTS
from . import option_values, options
from .console import UsageError
from .options import CONNTRACK, EXPECT, HELP, Option, Verb
from .rules import GivenOptions, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Command", "parse"]

_ROWS = {option.short: option for option in options.OPTIONS if option.short}
_VERBS = {verb.short: verb for verb in options.VERBS}
_NAMES = [(protocol.name, protocol.number) for protocol in options.PROTOCOLS]


class Command:
    """A parsed command line."""

    def __init__(self) -> None:
        self.verb = ""
        self.about: Verb | None = None  # the command that -h is beside
        self.table = CONNTRACK
        self.family = 0
        self.family_given = False
        self.protocols: tuple[int, ...] = ()  # of -p
        self.opts: dict[str, Any] = {}
        self.output: list[str] = []
        self.labelmap: str | None = None
        self.warnings: list[str] = []

    @property
    def proto(self) -> int | None:
        """Return the protocol of -p, None if it names none or several."""
        return self.protocols[0] if len(self.protocols) == 1 else None


def parse(argv: list[str], *, in_file: bool = False) -> Command:
    """Parse a command line; ``in_file``: a line of a file for -R.  Raises UsageError."""
    reader = _Reader(argv)
    try:
        reader.scan()
        reader.name_labels()
        reader.name_states()
        reader.name_ports()
        check(reader.given, in_file)
    except UsageError as error:
        error.warnings = reader.warnings()
        raise
    reader.command.warnings = reader.warnings()
    return reader.command


def meaning(name: str, protocols: tuple[int, ...]) -> Option | Verb | None:
    """Return the row that a long spelling names behind these protocols, or None.

    The spellings of conntrack(8) may be abbreviated where that is unambiguous.
    """
    own = options.own(protocols)
    classic: list[Option | Verb] = [*options.OPTIONS, *options.VERBS, *(own if protocols else ())]
    for row in (*classic, *options.EXTENSIONS, *own):
        if name in row.long:
            return row
    found = {
        row
        for row in classic
        for long in row.long
        if long.startswith(name) and long != "load-file"  # which has never been abbreviated
    }
    return found.pop() if len(found) == 1 else None


class _Reader:
    """The words of a command line, and what has been read of them so far."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.index = 0
        self.command = Command()
        self.given = GivenOptions(self.command)
        self.operand = False  # whether the command's operand has been taken
        self.unset: list[str] = []  # status words that only select
        self.labelled: list[tuple[Option, str | None]] = []  # what needs the label map

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
        verb = self.given.verb
        if verb is None:
            from .subcommands import unknown

            raise UsageError(unknown(word))
        meant = ""
        if not self.operand and verb.arg == "[TABLE]" and word in options.TABLES:
            meant = f": a table follows its command at once, as in `-{verb.short} {word}'"
        raise UsageError(f"unexpected argument `{word}'{meant}")

    def long(self, word: str) -> None:
        name, equals, attached = word[2:].partition("=")
        row = meaning(name, self.command.protocols)
        if row is None:
            from .advice import unknown_option

            raise unknown_option(name, word, self.command.protocols)
        if equals and not row.arg:
            message = f"unknown option `{word}'"
            raise UsageError(f"{message}: `--{name}' takes no value", classic=message)
        self.take(row, f"--{name}", attached if equals else None)

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
        once = row in options.EXTENSIONS or row.name == "labelmap"
        if once and row.arg and row in self.given.rows:
            raise UsageError(f"option `--{row.name}' can only be specified once")
        self.given.rows[row] = word
        self.store(row, text)

    def take_verb(self, verb: Verb, word: str, attached: str | None, last: bool) -> None:
        command, first = self.command, self.given.verb
        if first is None:
            self.given.verb, command.verb = verb, verb.name
        elif HELP in (first, verb) and first is not verb and command.about is None:
            command.verb, command.about = HELP.name, verb if first is HELP else first
        else:
            raise UsageError("Invalid commands combination")
        operand = attached
        if verb.arg and operand is None and last:
            operand = self.following(optional=verb.arg != "FILE")
        if verb.arg == "FILE":
            if operand is None and command.about is None:
                raise UsageError(
                    f"`{word}' needs a file: `-R FILE', or `-R -' for standard input",
                    classic=f"unknown option `{word}'",
                )
            command.opts["load_file"] = operand
        elif operand is not None:
            tables = [table for table in options.TABLES if operand and table.startswith(operand)]
            if not tables:
                from .advice import unknown_word

                raise unknown_word(f"unknown type `{operand}'", operand, options.tables(verb))
            command.table = tables[0]
            if command.table not in options.tables(verb):
                if command.table == EXPECT:
                    raise UsageError(f"Can't do --{verb.long[0]} on expectations")
                raise UsageError("Can't do that command with tables `dying' and `unconfirmed'")
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
        read = option_values.READERS.get(row.kind)
        text = given or ""
        self.command.opts[row.field] = read(text, row) if read else text

    def nat(self, row: Option, given: str | None) -> None:
        from . import addresses

        value = (None, None) if given is None else addresses.nat(given, row.name)
        if value[0] is not None:
            self.agree(addresses.family(value[0]))
        self.command.opts[row.field] = value

    def events(self, row: Option, given: str | None) -> None:
        words = option_values.words(given or "", options.EVENTS, options.EVENTS)
        chosen = self.command.opts.setdefault(row.field, set())
        chosen.update(*(options.EVENTS[word] for word in words))

    def labels(self, row: Option, given: str | None) -> None:
        self.command.opts.setdefault(row.field, [])
        self.labelled.append((row, given))

    def protocol(self, row: Option, given: str | None) -> None:
        self.command.protocols = option_values.protocols(given or "", _NAMES)

    def family(self, row: Option, given: str | None) -> None:
        text = given or ""
        fitting = option_values.matching(text, options.FAMILIES)
        if not fitting:
            from .advice import unknown_word

            raise unknown_word(f"`{text}' unsupported protocol", text, options.FAMILIES)
        self.agree(options.FAMILIES[fitting[0]])
        self.command.family_given = True

    def deprecated(self, row: Option, given: str | None) -> None:
        self.command.warnings.append("WARNING: ignoring -a, deprecated option.")

    def address(self, row: Option, given: str | None) -> None:
        from . import addresses

        text = given or ""
        field, opts = row.detail, self.command.opts
        if row.kind == "addresses" and ("," in text or "-" in text):
            networks = addresses.networks(text, row.name, lengths=field is not None)
            self.agree(addresses.family(networks[0][0]))
            opts[row.field] = networks
            self.given.masks.pop(field, None)
            return
        packed, mask = addresses.network(text)
        if text.endswith("/"):
            self.given.unlimited = text
        if mask is not None and field is None:
            raise UsageError(f"CIDR notation unavailable for `--{row.name}'")
        self.agree(addresses.family(packed))
        opts[row.field] = packed
        if isinstance(field, str):
            # `-s NET/24 -s HOST': the mask belonged to the first
            self.given.masks.pop(field, None)
            if mask is not None:
                self.given.masks[field] = mask

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
        self.given.statuses.append((on, off))

    def warnings(self) -> list[str]:
        """Return the warnings to be printed before anything else."""
        selects = self.given.verb is not None and self.given.verb.letter in "LD"
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
                        from ..escape import meant

                        near = meant(name, known) if known and name else ""
                        raise UsageError(f"unknown label '{name}'{near}")
                if bit not in opts[row.field]:
                    opts[row.field].append(bit)

    def name_states(self) -> None:
        """Give the states of a --state before or without -p to the protocols that have them."""
        opts, rows, numbers = self.command.opts, self.given.rows, self.command.protocols
        if options.STATE not in rows:
            return
        text = opts.pop(options.STATE.field)
        stated = [row for protocol in options.PROTOCOLS for row in protocol.options
                  if row.name == options.STATE.name
                  and (not numbers or protocol.number in numbers)]  # fmt: skip
        if not stated:
            return  # which the rules refuse
        if len(numbers) == 1:
            rows[stated[0]] = rows.pop(options.STATE)
            self.store(stated[0], text)
        else:
            opts[options.STATE.field] = option_values.states_of(text, stated)

    def name_ports(self) -> None:
        """Look up the services among the ports, whose protocol may be named behind them."""
        opts = self.command.opts
        names = [name for name, number in _NAMES if number in self.command.protocols]
        for row in self.given.rows:
            if row.kind == "ports" and not isinstance(opts[row.field], int):
                opts[row.field] = option_values.numbered(opts[row.field], names, row.name)

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
        documents = [word for word in chosen if word in DOCUMENTS]
        if len(documents) > 1:
            raise UsageError(
                f"cannot combine output formats `{documents[0]}' and `{documents[1]}': choose one"
            )


#: kind -> what does more than put one value in its place
_ACTIONS: dict[str, Callable[[_Reader, Option, str | None], None]] = {
    "address": _Reader.address,
    "addresses": _Reader.address,
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
