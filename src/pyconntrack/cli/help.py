"""The text of -h, generated from the rows of :mod:`.options`."""

from __future__ import annotations

from . import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .console import Output
    from .options import Option, Protocol, Verb

_SECTIONS = (
    ("select", "Which entries"),
    ("both", "Which entries, or their new values with -I -A -U"),
    ("set", "New values"),
    ("show", "What is shown"),
    ("expect", "The expected flow, for -I expect"),
    ("new", "Beyond conntrack(8)"),
)

_PROLOGUE = """\
Command line interface for the connection tracking system. Version {version}
Usage: {program} [commands] [options]
"""

_EXAMPLES = (
    ("-L -p tcp --dport 443", "connections to port 443"),
    ("-L -s 10.0.0.0/8 -o json", "the flows of a network, as JSON"),
    ("-E -e NEW -o timestamp", "new connections, as they come"),
    ("-D --dry-run -u UNREPLIED", "what deleting the unanswered would delete"),
    ("-U -s 10.0.0.1 -m 5", "set the mark of a host's flows"),
    ("-L -o save >f; {program} -R f", "save the table, and load it again"),
)


def text(program: str, proto: int | None = None) -> str:
    """Return the help text; with a protocol, including its options."""
    from .console import version

    blocks = [_PROLOGUE.format(version=version(), program=program), _commands()]
    rows = (*options.OPTIONS, *options.EXTENSIONS)
    for group, title in _SECTIONS:
        blocks.append(_options(title, [row for row in rows if row.group == group]))
    names = ", ".join(protocol.name for protocol in options.PROTOCOLS)
    blocks.append(
        _options("Ports, of any protocol that has them", options.PORTS)
        + "  When selecting, a port may be a list with ranges: 80,443,8000-8100.\n"
        + f"  More with -p PROTO -h, where PROTO is one of {names}.\n"
    )
    lines = [(f"{program} {line.format(program=program)}", what) for line, what in _EXAMPLES]
    blocks.append("".join(["Examples:\n", *(_line(*line) for line in lines)]))
    if proto is not None:
        blocks.append(protocol_text(proto))
    return "\n".join(blocks)


def protocol_text(number: int) -> str:
    """Return the help text for the options of one protocol."""
    for protocol in options.PROTOCOLS:
        if protocol.number == number:
            return _options(f"Proto `{protocol.name}' help", protocol.options) + _words(protocol)
    return f"Proto `{number}' help:\n  no options of its own\n"


def _commands() -> str:
    tables = f"  Tables: {', '.join(options.TABLES)}; an unambiguous beginning will do.\n"
    return _options("Commands", options.VERBS) + tables


def _options(title: str, rows: Iterable[Option | Verb]) -> str:
    lines = [f"{title}:\n"]
    for row in rows:
        short = f"-{row.short}, " if row.short else "    "
        spellings = ", ".join(f"--{name}" for name in row.long)
        lines.append(_line(f"{short}{spellings} {row.arg}".rstrip(), row.help))
    return "".join(lines)


def _line(left: str, right: str) -> str:
    # a left column that is too wide gets its own line
    return f"  {left:<36} {right}\n" if len(left) <= 36 else f"  {left}\n{'':39}{right}\n"


def _words(protocol: Protocol) -> str:
    choices = [row for row in protocol.options if row.kind in ("choice", "states")]
    return "".join(f"  {row.arg}: {', '.join(row.detail[0])}\n" for row in choices)


def main(out: Output, words: list[str]) -> int:
    """Run ``help``: print the help text."""
    from .console import UsageError, program

    if words:
        raise UsageError(f"`help' takes no word yet, not `{words[0]}'")
    out.write(text(program()).encode())
    return 0
