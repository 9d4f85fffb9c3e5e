"""``-h`` and ``conntrack help WORD``: the rows of :mod:`.options` as text of 80 columns."""

from __future__ import annotations

from . import options
from .console import Output, UsageError, program, version
from .options import CONNTRACK, HELP, Option, Verb
from .subcommands import SUBCOMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .options import Protocol
    from .parser import Command

_WIDTH, _LEFT = 80, 28
#: groups of the rows, and their headings
_COMMANDS = (("see", "See"), ("change", "Change"), ("more", "More"))
_SECTIONS = (
    ("select", "Which entries"),
    ("", "Which entries, by protocol"),
    ("both", "Which entries; with -I -A -U, what they get"),
    ("set", "What they get"),
    ("expect", "What is expected"),
    ("show", "What is shown"),
    ("run", "How it is done"),
)
#: headings of a command for a single entry
_ONE = {"Which entries": "Which entry", "What they get": "What it gets"}
_EXAMPLES = (
    ("-L -p tcp --dport 443", "connections to a port"),
    ("-L -s 10.0.0.0/8 -o json", "the flows of a network, as JSON"),
    ("-E -e NEW -o timestamp", "new connections, as they come"),
    ("-D -u UNREPLIED --dry-run", "what would be deleted"),
    ("-U -s 10.0.0.1 -m 5", "set the mark of a host's flows"),
)


def asked(command: Command) -> str:
    """Return the help that a command line asks for."""
    if command.about is None:
        return text(command.protocols)
    return command_text(command.about, command.table, command.protocols)


def text(protocols: tuple[int, ...] = ()) -> str:
    """Return the help for the whole; with protocols, including their options."""
    rows = [*options.OPTIONS, *options.EXTENSIONS, *options.ANYWHERE]
    names = ", ".join(protocol.name for protocol in options.PROTOCOLS)
    more = (
        f"More: {program()} -L -h, or {program()} help WORD for a command, an option, a word of "
        f"one, a field, a table or a protocol ({names}). The manual page has it all."
    )
    commands = [_section(title, [row for row in options.VERBS if row.group == group])
                for group, title in _COMMANDS]  # fmt: skip
    commands[-1] += "".join(_line(word, what) for word, (_, what) in SUBCOMMANDS.items())
    examples = [_line(f"{program()} {line}", what, 40) for line, what in _EXAMPLES]
    blocks = [
        "Command line interface for the connection tracking system. "
        f"Version {version()}\nUsage: {program()} [commands] [options]\n",
        *commands, *_sections(rows), "".join(["Examples:\n", *examples]), _wrapped(more),
        *map(_protocol, protocols),
    ]  # fmt: skip
    return "\n".join(blocks)


def command_text(verb: Verb, table: str, protocols: tuple[int, ...]) -> str:
    """Return the help for a command on a table: what goes with it."""
    expect = f" {table}" if table != CONNTRACK else ""
    operand = expect or (f" {verb.arg}" if verb.arg else "")
    rows = options.together(verb, table, protocols)
    given = f" -p {','.join(map(_name, protocols))}" if protocols else ""
    blocks = [
        f"Usage: {program()} -{verb.short}{operand}{given}{' [options]' * bool(rows)}\n\n"
        + _line(f"-{verb.short}, --{verb.long[0]}{operand}", verb.help)
    ]
    if not expect and (tables := options.tables(verb)):
        lines = [_line(name, options.TABLES[name]) for name in tables]
        blocks.append("".join(["Tables:\n", *lines]))
    single = [row for row in rows if options.single(verb, table, row)]
    needed = [row for row in rows if options.needs(verb, table, row)]
    blocks += _sections(rows, verb, needed, single)
    return "\n".join(blocks)


def _name(number: int) -> str:
    """Return the name of a protocol, or its number if it has none."""
    names = [protocol.name for protocol in options.PROTOCOLS if protocol.number == number]
    return names[0] if names else str(number)


def _sections(
    rows: Iterable[Option], verb: Verb | None = None,
    needed: Iterable[Option] = (), single: Iterable[Option] = (),
) -> list[str]:  # fmt: skip
    """Return the options by their groups, as they are for a command or for all."""
    titles = dict(_SECTIONS)
    if verb is not None:
        titles[""] = titles["select"]
        titles["both"] = titles["select" if verb.letter in "LDE" else "set"]
        if verb.letter in "GIA":
            titles = {group: _ONE.get(title, title) for group, title in titles.items()}
    found: dict[str, list[Option]] = {"Needed": [*needed]}
    for group, title in titles.items():
        found.setdefault(title, []).extend(
            row
            for row in rows
            if row.group == group and row.kind != "deprecated" and row not in found["Needed"]
        )
    return [_section(title, chosen, single) for title, chosen in found.items() if chosen]


def _section(
    title: str, rows: Iterable[Option | Verb], single: Iterable[Option | Verb] = ()
) -> str:
    lines = [f"{title}:\n"]
    for row in rows:
        short = f"-{row.short}, " if row.short else ""
        arg = row.arg.removesuffix("[,...]") if row in single else row.arg
        lines.append(_line(f"{short}--{row.long[0]} {arg}".rstrip(), row.help))
    return "".join(lines)


def _line(left: str, right: str, width: int = _LEFT) -> str:
    """Return a word and what it means, in two columns; a long word gets its own line."""
    lines = _wrapped(right, indent=width + 3)
    if len(left) > width:
        return f"  {left}\n{lines}"
    return f"  {left:<{width}} {lines[width + 3 :]}"


def _wrapped(paragraph: str, indent: int = 0) -> str:
    """Return a paragraph in lines of at most 80 columns."""
    lines = [""]
    for word in paragraph.split(" "):
        if lines[-1] and indent + len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "".join(f"{'':{indent}}{line}\n" for line in lines)


# -- conntrack help WORD -----------------------------------------------------------------


def main(out: Output, arguments: list[str]) -> int:
    """Print the help, or what a word is."""
    if len(arguments) > 1:
        raise UsageError(f"help takes one word, such as `{arguments[0]}', not {len(arguments)}")
    out.write((explanation(arguments[0]) if arguments else text()).encode())
    return 0


def explanation(word: str) -> str:
    """Return what ``word`` is, of all that have this name; raise UsageError if nothing has."""
    if blocks := [*_of_rows(word), *_of_words(word), *_of_fields(word)]:
        return "\n".join(blocks)
    from ..escape import meant

    raise UsageError(f"there is no help on `{word}'{meant(word, topics())}")


def _of_rows(word: str) -> Iterable[str]:
    """Yield what commands and options a word names, with or without its dashes."""
    bare = word.lstrip("-")
    for verb in options.VERBS:
        if bare in (verb.short, verb.name, *verb.long):
            yield text() if verb is HELP else command_text(verb, CONNTRACK, ())
    rows: dict[str, list[Option]] = {}
    for row in every_option():
        if bare in (row.short, *row.long):
            rows.setdefault(row.arg + row.help, []).append(row)
    for same in rows.values():
        yield _option(same[0])


def every_option() -> list[Option]:
    """Return each option, those of protocols, too."""
    rows = [*options.OPTIONS, *options.EXTENSIONS, *options.ANYWHERE]
    return rows + [
        row for protocol in options.PROTOCOLS for row in protocol.options if row not in rows
    ]


def _option(row: Option) -> str:
    short = f"-{row.short}, " if row.short else ""
    spellings = ", ".join(f"--{name}" for name in row.long)
    lines = [f"{short}{spellings} {row.arg}".rstrip() + "\n", _wrapped(row.help, 2)]
    owners = [protocol.name for protocol in options.PROTOCOLS if row in protocol.options]
    if owners and row not in options.ANYWHERE:
        lines.append(_wrapped(f"Needs -p {' or '.join(owners)} before it.", 2))
    for title, test in (("Needed with", options.needs), ("Goes with", options.takes)):
        for table, of in ((CONNTRACK, ""), (options.EXPECT, " expect")):
            verbs = [f"-{verb.short}" for verb in options.VERBS if test(verb, table, row)]
            if verbs:
                lines.append(_wrapped(f"{title}{of and ' the table' + of}: {' '.join(verbs)}", 2))
    if words := vocabulary(row):
        lines.append(_wrapped(f"Words: {', '.join(words)}", 2))
    return "".join(lines)


def vocabulary(row: Option) -> list[str]:
    """Return the words that the value of an option may have."""
    if row.kind == "proto":
        return [protocol.name for protocol in options.PROTOCOLS]
    if row.kind == "family":
        return [*options.FAMILIES]
    if row.kind == "any state":
        return list(dict.fromkeys(
            word for other in every_option() if other.kind == "states" for word in vocabulary(other)
        ))  # fmt: skip
    if row.kind in ("choice", "states"):
        return [*row.detail[0]]
    return [*row.detail] if row.kind in ("status", "events", "output") else []


def _of_words(word: str) -> Iterable[str]:
    """Yield what tables, protocols, subcommands and values a word names."""
    lower = word.lower()
    if lower in SUBCOMMANDS:
        yield _line(f"{program()} {lower}", SUBCOMMANDS[lower][1])
    if lower in options.TABLES:
        verbs = [f"-{verb.short}" for verb in options.VERBS if lower in options.tables(verb)]
        yield f"Table {lower}:\n" + _wrapped(options.TABLES[lower], 2) + _wrapped(
            f"Goes with: {' '.join(verbs)}", 2)  # fmt: skip
    yield from (_protocol(each.number) for each in options.PROTOCOLS if each.name == lower)
    for row in every_option():
        if row.kind in ("proto", "any state"):
            continue
        for known in vocabulary(row):
            if known.lower() == lower:
                short = f"-{row.short}, " if row.short else ""
                what = options.OUTPUT.get(known, row.help) if row.kind == "output" else row.help
                yield f"{known}, a word of {short}--{row.name}:\n" + _wrapped(what, 2)


def _protocol(number: int) -> str:
    """Return the help for the options of one protocol."""
    for protocol in options.PROTOCOLS:
        if protocol.number == number:
            title = f"Proto `{protocol.name}' help"
            return _section(title, protocol.options) + _choices(protocol)
    return f"Proto `{number}' help:\n  no options of its own\n"


def _choices(protocol: Protocol) -> str:
    return "".join(
        _wrapped(f"{row.arg.partition('[')[0]}: {', '.join(vocabulary(row))}", 2)
        for row in protocol.options
        if row.kind in ("choice", "states")
    )


def _of_fields(word: str) -> Iterable[str]:
    """Yield the field, and the flag, of that name."""
    from ..where.fields import FLAGS, field_of
    from . import fields

    field = field_of(word)
    takers = [f"--{row.name}" for row in options.EXTENSIONS
              if row.name == "where" or "FIELD" in row.arg]  # fmt: skip
    if field is not None:
        yield (f"Field {field.name}:\n" + _wrapped(fields.sentence(field), 2)
               + _wrapped(f"In --where: {fields.values(field)}.", 2)
               + _wrapped(f"Goes with: {' '.join(takers)}", 2))  # fmt: skip
    if word.lower() in FLAGS:
        yield f"Flag {word.lower()}, true or false of an entry, for --where\n"


def words(before: list[str]) -> dict[str, str]:
    """Return the words that may follow ``help`` and the words ``before``, and what each means."""
    return {} if before else topics()


def topics() -> dict[str, str]:
    """Return the words that there is help on, and what each means in short."""
    from . import fields

    found = {word: what for word, (_, what) in SUBCOMMANDS.items()}
    for verb in options.VERBS:
        found |= {f"-{verb.short}": verb.help, f"--{verb.long[0]}": verb.help, verb.name: verb.help}
    for row in every_option():
        found |= {f"--{name}": row.help for name in row.long} if row.kind != "deprecated" else {}
    found |= options.TABLES | options.OUTPUT
    found |= {protocol.name: f"protocol {protocol.number}" for protocol in options.PROTOCOLS}
    return fields.sentences() | found
