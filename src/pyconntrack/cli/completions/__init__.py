"""``conntrack --completions SHELL``: the script that completes command lines in bash, zsh or fish.

The scripts, files beside this module, know no option.  For each completion they run ``conntrack
--completions SHELL WORD...`` with the words up to the cursor (the last one may be empty), and offer
what it prints.  The first line of the answer has how the shell goes on behind the word, and how
many characters of it stay as they are:

    word N      a space follows
    list N      a comma or a space
    part N      anything: it is a part of an expression
    file N      the rest is the name of a file, which the shell completes itself

Each further line is a word: for bash the whole one, for zsh the part behind what stays, a tab and
what it means, for fish the whole one, a tab and what it means.
"""

from __future__ import annotations

from ...escape import meant, printable
from ..console import Output, UsageError

#: shell -> the file of its script
SCRIPTS = {"bash": "conntrack.bash", "zsh": "conntrack.zsh", "fish": "conntrack.fish"}


def main(out: Output, arguments: list[str]) -> int:
    """Print the script for a shell, or the answer for the words behind it."""
    shell, *words = arguments or [""]
    if shell not in SCRIPTS:
        wrong = f"not `{shell}'{meant(shell, SCRIPTS)}" if shell else "as in --completions bash"
        raise UsageError(f"`--completions' takes the name of a shell, bash, zsh or fish: {wrong}")
    text = answer(shell, words) if words else script(shell)
    out.write(text.encode("utf-8", "surrogateescape"))
    return 0


def words(before: list[str]) -> dict[str, str]:
    """Return the words that may follow ``--completions`` and the words ``before``."""
    return {} if before else {shell: f"print the script for {shell}" for shell in SCRIPTS}


def script(shell: str) -> str:
    """Return the completion script for a shell."""
    with open(f"{__path__[0]}/{SCRIPTS[shell]}", encoding="utf-8") as file:
        return file.read()


def answer(shell: str, words: list[str]) -> str:
    """Return what ``shell`` is to offer for the last of ``words``, as described above."""
    from .candidates import candidates

    if shell == "bash":
        words = _joined(words)
        words = [*(word.strip("'\"") for word in words[:-1]), words[-1]]
    quoted = words[-1].startswith(("'", '"'))
    current = words[-1] = words[-1].lstrip("'\"")
    found = candidates(words)
    stays = current[: found.stays]
    if shell == "bash" and not quoted:  # it divides words at each `='
        stays = stays[stays.rfind("=") + 1 :]
    lines = [f"{found.kind} {len(stays)}"]
    for word, meaning in found.words:
        whole = word if shell == "zsh" else stays + word
        lines.append(whole if shell == "bash" else f"{whole}\t{printable(meaning)}")
    return "\n".join(lines) + "\n"


def _joined(words: list[str]) -> list[str]:
    """Return words as they were typed where bash divided them: before and behind each ``=``."""
    joined: list[str] = []
    for word in words:
        if joined and (set(word) == {"="} or joined[-1].endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined
