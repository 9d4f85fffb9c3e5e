"""Completions for bash, zsh and fish, generated from the rows of grammar.py.

    python -m pyconntrack.cli.completions bash|zsh|fish

This module owns the shells' syntax and nothing else; which words exist is grammar's.
"""

from __future__ import annotations

import sys

from . import grammar
from .grammar import Option


def _rows() -> list[Option]:
    """All options, each set of spellings once."""
    rows: dict[str, Option] = {}
    for row in (*grammar.OPTIONS, *grammar.EXTENSIONS, *grammar.PORTS):
        rows.setdefault(row.name, row)
    for protocol in grammar.PROTOCOLS:
        for row in protocol.options:
            rows.setdefault(row.name, row)
    return list(rows.values())


def _words(row: Option) -> list[str]:
    """The words that may follow an option."""
    if row.kind == "choice":
        found: dict[str, None] = {}
        for protocol in grammar.PROTOCOLS:
            for other in protocol.options:
                if other.name == row.name and isinstance(other.detail, tuple):
                    found.update(dict.fromkeys(other.detail[0]))
        return list(found)
    if row.kind == "proto":
        return [protocol.name for protocol in grammar.PROTOCOLS]
    if row.kind == "family":
        return list(grammar.FAMILIES)
    if isinstance(row.detail, dict | tuple):
        return [str(word) for word in row.detail]
    return []


def _spellings(row: Option) -> list[str]:
    return [f"-{row.short}"] * bool(row.short) + [f"--{name}" for name in row.long]


def bash() -> str:
    """Write the completion for bash."""
    every, cases = [], []
    for verb in grammar.VERBS:
        both = [f"-{verb.short}", f"--{verb.long}"]
        every += both
        if verb.operand == "[TABLE]":
            cases.append(f"    {'|'.join(both)}) words='{' '.join(grammar.TABLES)}' ;;")
        elif verb.operand:
            cases.append(f'    {"|".join(both)}) COMPREPLY=($(compgen -f -- "$cur")); return ;;')
    for row in _rows():
        every += _spellings(row)
        if words := _words(row):
            cases.append(f"    {'|'.join(_spellings(row))}) words='{' '.join(words)}' ;;")
        elif row.arg == "FILE":
            case = "|".join(_spellings(row))
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
    """Write the completion for zsh."""
    specs = []
    for verb in grammar.VERBS:
        action = {"[TABLE]": f"::table:({' '.join(grammar.TABLES)})", "FILE": ":file:_files"}
        for name in (f"-{verb.short}", f"--{verb.long}"):
            specs.append(f"{name}[{_bracketed(verb.help)}]{action.get(verb.operand, '')}")
    for row in _rows():
        words = _words(row)
        action_of = f"({' '.join(words)})" if words else "_files" if row.arg == "FILE" else ""
        colon = "::" if row.arg.startswith("[") else ":"
        value = f"{colon}{_bracketed(row.arg.lower())}:{action_of}" if row.arg else ""
        specs += [f"{name}[{_bracketed(row.help)}]{value}" for name in _spellings(row)]
    quoted = " \\\n  ".join(f"'{_quoted(spec)}'" for spec in specs)
    return f"#compdef conntrack\n_arguments -s \\\n  {quoted}\n"


def _bracketed(text: str) -> str:
    for special in ("\\", "[", "]", ":"):
        text = text.replace(special, "\\" + special)
    return text


def fish() -> str:
    """Write the completion for fish."""
    lines = ["complete -c conntrack -f"]
    takers = ""
    for verb in grammar.VERBS:
        names = f"-s {verb.short} -l {verb.long}"
        file = " -r -F" if verb.operand == "FILE" else ""
        lines.append(f"complete -c conntrack {names}{file} -d '{_fish(verb.help)}'")
        if verb.operand == "[TABLE]":
            takers += f" -s {verb.short} {verb.long}"
    tables = " ".join(grammar.TABLES)
    lines.append(f"complete -c conntrack -n '__fish_contains_opt{takers}' -a '{tables}'")
    for row in _rows():
        line = "complete -c conntrack" + (f" -s {row.short}" if row.short else "")
        line += "".join(f" -l {name}" for name in row.long)
        if row.arg and not row.arg.startswith("["):
            line += " -r -F" if row.arg == "FILE" else " -x"
        if words := _words(row):
            line += f" -a '{' '.join(words)}'"
        lines.append(f"{line} -d '{_fish(row.help)}'")
    return "\n".join(lines) + "\n"


def _fish(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def main(arguments: list[str]) -> int:
    """Print the completion for the shell that is named."""
    shells = {"bash": bash, "zsh": zsh, "fish": fish}
    if len(arguments) != 1 or arguments[0] not in shells:
        print("usage: python -m pyconntrack.cli.completions bash|zsh|fish", file=sys.stderr)
        return 2
    print(shells[arguments[0]](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
