"""Completions for bash, zsh and fish, generated from the rows of :mod:`.options`.

``python -m pyconntrack.cli.completions bash|zsh|fish`` prints them.
"""

from __future__ import annotations

import sys

from . import options
from .options import Option, Verb


def _rows() -> list[Option | Verb]:
    """Return all commands and options, each set of spellings once."""
    rows: dict[str, Option] = {}
    for row in (*options.OPTIONS, *options.EXTENSIONS, *options.PORTS, *_of_protocols()):
        rows.setdefault(row.name, row)
    return [*options.VERBS, *rows.values()]


def _of_protocols() -> list[Option]:
    return [row for protocol in options.PROTOCOLS for row in protocol.options]


def _words(row: Option | Verb) -> list[str]:
    """Return the words that may follow an option or a command."""
    if isinstance(row, Verb):
        return list(options.TABLES) if row.arg == "[TABLE]" else []
    if row.kind in ("choice", "states"):
        same = [other for other in _of_protocols() if other.name == row.name]
        return list(dict.fromkeys(word for other in same for word in other.detail[0]))
    if row.kind == "proto":
        return [protocol.name for protocol in options.PROTOCOLS]
    if row.kind == "family":
        return list(options.FAMILIES)
    return [str(word) for word in row.detail] if isinstance(row.detail, dict | tuple) else []


def _spellings(row: Option | Verb) -> list[str]:
    return [f"-{row.short}"] * bool(row.short) + [f"--{name}" for name in row.long]


def bash() -> str:
    """Return the completion script for bash."""
    every, cases = [], []
    for row in _rows():
        every += _spellings(row)
        case = "|".join(_spellings(row))
        if words := _words(row):
            cases.append(f"    {case}) words='{' '.join(words)}' ;;")
        elif row.arg == "FILE":
            cases.append(f'    {case}) COMPREPLY=($(compgen -f -- "$cur")); return ;;')
    return "\n".join(
        [
            "_conntrack() {",
            '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" words=""',
            '  case "$prev" in',
            *cases,
            "  esac",
            f"  [[ $cur == -* || -z $words ]] && words='{' '.join(every)}'",
            '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            "}",
            "complete -F _conntrack conntrack",
            "",
        ]
    )


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


def zsh() -> str:
    """Return the completion script for zsh."""
    specs = []
    for row in _rows():
        words = _words(row)
        action_of = f"({' '.join(words)})" if words else "_files" if row.arg == "FILE" else ""
        arg = "TABLE" if row.arg == "[TABLE]" else row.arg
        colon = "::" if row.arg.startswith("[") else ":"
        value = f"{colon}{_bracketed(arg.lower())}:{action_of}" if row.arg else ""
        specs += [f"{name}[{_bracketed(row.help)}]{value}" for name in _spellings(row)]
    quoted = " \\\n  ".join(f"'{_quoted(spec)}'" for spec in specs)
    return f"#compdef conntrack\n_arguments -s \\\n  {quoted}\n"


def _bracketed(text: str) -> str:
    for special in ("\\", "[", "]", ":"):
        text = text.replace(special, "\\" + special)
    return text


def fish() -> str:
    """Return the completion script for fish."""
    lines = ["complete -c conntrack -f"]
    for row in _rows():
        line = "complete -c conntrack" + (f" -s {row.short}" if row.short else "")
        line += "".join(f" -l {name}" for name in row.long)
        if row.arg and not row.arg.startswith("["):
            line += " -r -F" if row.arg == "FILE" else " -x"
        if isinstance(row, Option) and (words := _words(row)):
            line += f" -a '{' '.join(words)}'"
        lines.append(f"{line} -d '{_fish(row.help)}'")
    takers = [f" -s {verb.short} {verb.long[0]}" for verb in options.VERBS if _words(verb)]
    condition = f"__fish_contains_opt{''.join(takers)}"
    tables = f"complete -c conntrack -n '{condition}' -a '{' '.join(options.TABLES)}'"
    lines.insert(1 + len(options.VERBS), tables)
    return "\n".join(lines) + "\n"


def _fish(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def main(arguments: list[str]) -> int:
    """Print the completion script for the named shell; return the exit code."""
    shells = {"bash": bash, "zsh": zsh, "fish": fish}
    if len(arguments) != 1 or arguments[0] not in shells:
        print("usage: python -m pyconntrack.cli.completions bash|zsh|fish", file=sys.stderr)
        return 2
    print(shells[arguments[0]](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
