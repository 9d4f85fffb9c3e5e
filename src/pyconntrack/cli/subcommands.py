"""Subcommands: what a command line does whose first word has no dash.

They are dispatched before anything is parsed, so each reads its own arguments.
"""

from __future__ import annotations

from ..escape import meant
from .console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .console import Output

#: word -> the module whose ``main`` takes the output and the words that follow and returns the
#: exit code, and what the word does
SUBCOMMANDS: Final = {
    "doctor": ("pyconntrack.doctor.command", "find what is wrong with connection tracking"),
    "help": ("pyconntrack.cli.help", "explain a command, an option or a word of one"),
    "--completions": ("pyconntrack.cli.completions", "print the completions for a shell"),
}


def run(out: Output, word: str, arguments: list[str]) -> int:
    """Run the subcommand ``word``, whose module is imported for it alone; return the exit code.

    Raises UsageError if there is none.
    """
    if word not in SUBCOMMANDS:
        raise UsageError(unknown(word))
    module = __import__(SUBCOMMANDS[word][0], fromlist=["main"])
    code: int = module.main(out, arguments)
    return code


def unknown(word: str) -> str:
    """Return the message for a bare word before any command."""
    if word in SUBCOMMANDS:
        return f"`{word}' is no option: it must be the first word"
    hint = meant(word, SUBCOMMANDS) or ": commands begin with a dash, such as `-L'"
    return f"unknown command `{word}'{hint}"
