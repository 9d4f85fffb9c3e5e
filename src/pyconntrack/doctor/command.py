"""``conntrack doctor``: its command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..cli.console import UsageError, of_system, program, say
from ..cli.option_values import seconds
from ..errors import ConntrackError, RequestError
from ..escape import meant, shown

if TYPE_CHECKING:
    from ..cli.console import Output
    from .observation import Snapshot

#: seconds to look, and the most that may be asked for
_SECONDS, _LONGEST = 5, 86_400


class Option(NamedTuple):
    """An option: its spellings, the name of its value ("" for none), and what it does."""

    spellings: tuple[str, ...]
    arg: str
    help: str


OPTIONS = (
    Option(("--for",), "TIME", f"look for so long (default {_SECONDS}s; 0: once, without rates)"),
    Option(("--netns",), "NAME", "look at another network namespace: name, process id or path"),
    Option(("--all",), "", "show also the checks that found nothing"),
    Option(("-o", "--output"), "FORMAT", "text or json"),
    Option(("--check",), "", "as a monitoring plugin: one line, exit code 0, 1, 2 or 3"),
    Option(("--save",), "FILE", "write what was seen to a new file"),
    Option(("--load",), "FILE", "examine what was saved instead of this machine"),
    Option(("--anonymize",), "", "with --save: replace addresses and names"),
    Option(("--help", "-h"), "", "show this text"),
)
_BY_SPELLING = {spelling: option for option in OPTIONS for spelling in option.spellings}


def words(before: list[str]) -> dict[str, str]:
    """Return the words that may follow ``doctor`` and the words ``before``, and what each means."""
    last = _BY_SPELLING.get(before[-1]) if before else None
    if last is not None and last.arg:
        return {}
    rows = [row for row in OPTIONS if not set(row.spellings) & set(before)]
    return {row.spellings[0]: row.help for row in rows}


def main(out: Output, words: list[str]) -> int:
    """Run ``conntrack doctor``; return the exit code."""
    if "--check" not in words:
        return _run(out, words)
    from .report import plugin_line

    try:
        return _run(out, words)
    except UsageError as error:
        said = error.message
    except ConntrackError as error:
        said = str(error)
    except OSError as error:
        said = of_system(error)
    out.write(plugin_line("UNKNOWN", said).encode())
    return 3


def _run(out: Output, words: list[str]) -> int:
    given, codes = _parsed(words)
    if "--help" in given:
        out.write(_usage().encode())
        return 0
    form = given.get("-o", "text")
    if form not in ("text", "json"):
        raise UsageError(f"doctor: unknown format `{form}': text or json")
    if "--check" in given and (lone := given.keys() & {"-o", "--all"}):
        raise UsageError(f"doctor: --check prints one line: {min(lone)} has no meaning with it")
    wanted = seconds(given.get("--for", str(_SECONDS)), _LONGEST, "--for")
    if codes:
        _check_codes(codes)
    for option in ("--for", "--netns"):
        if "--load" in given and option in given:
            raise UsageError(f"doctor: {option} and --load: what was saved was seen elsewhere")
    if os.path.lexists(given.get("--save", "")):
        raise UsageError(f"doctor: --save: {given['--save']}: File exists")
    if "--anonymize" in given and "--save" not in given:
        raise UsageError("doctor: --anonymize belongs to --save FILE")
    found = _loaded(given["--load"]) if "--load" in given else _look(given, wanted)
    if "--save" in given:
        _save(found, given)
    from . import report
    from .checks import examine

    findings = examine(found, codes or None)
    if "--check" in given:
        line, code = report.plugin(found, findings)
        out.write(line.encode())
        return code
    if form == "json":
        out.write(report.as_json(found, findings).encode())
    else:
        out.write(report.text(found, findings, everything="--all" in given).encode())
    return 0


def _parsed(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the values of the options by their first spelling, and the codes of checks."""
    given: dict[str, str] = {}
    codes: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            codes.append(word)
            continue
        spelling, equals, value = word.partition("=")
        option = _BY_SPELLING.get(spelling)
        if option is None:
            hint = meant(spelling, _BY_SPELLING)
            raise UsageError(f"doctor: unknown option `{spelling}'{hint}")
        if not option.arg and equals:
            raise UsageError(f"doctor: {spelling} takes no value")
        if option.arg and not equals:
            value = next(rest, "")
        if option.arg and not value:
            raise UsageError(f"doctor: {spelling} needs a value: {option.arg}")
        if option.spellings[0] in given:
            raise UsageError(f"doctor: {spelling} is given twice")
        given[option.spellings[0]] = value
    return given, codes


def _check_codes(codes: list[str]) -> None:
    """Refuse unknown checks before the look, which takes seconds."""
    from .checks import CHECKS

    known = [check.code for check in CHECKS]
    for code in codes:
        if code not in known:
            hint = meant(code, known) or f": one of {', '.join(known)}"
            raise UsageError(f"doctor: unknown check {shown(code)}{hint}")


def _look(given: dict[str, str], wanted: int) -> Snapshot:
    from ..client.blocking import Conntrack
    from .sampling import look

    if "--netns" in given:
        from ..cli.main import enter

        enter(given["--netns"])
    waiting = wanted > 0 and "--check" not in given and os.isatty(2)
    if waiting:
        say(f"looking for {wanted} s ...")
    try:
        with Conntrack() as ct:
            return look(ct, wanted, _prepare)
    finally:
        if waiting:
            say("\r\x1b[K")


def _prepare() -> None:
    """Import what is needed after the look."""
    from . import checks, report  # noqa: F401


def _loaded(path: str) -> Snapshot:
    from .snapshot_file import load

    try:
        return load(path)
    except (RequestError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise UsageError(f"doctor: --load: {f'{path}: {said}' if said else error}") from None


def _save(found: Snapshot, given: dict[str, str]) -> None:
    from .snapshot_file import anonymize, save

    path = given["--save"]
    try:
        save(anonymize(found) if "--anonymize" in given else found, path)
    except OSError as error:
        raise UsageError(f"doctor: --save: {path}: {error.strerror}") from None


def _usage() -> str:
    lines = [
        f"Usage: {program()} doctor [OPTION...] [CHECK...]",
        "Say what is wrong with connection tracking, who causes it, and what to do.",
        "",
    ]
    for option in OPTIONS:
        spellings = ", ".join(option.spellings)
        lines.append(f"  {spellings + ' ' + option.arg:<22} {option.help}")
    from .checks import CHECKS

    lines += ["", "Checks:"]
    lines += [f"  {check.code:<22} {check.title}" for check in CHECKS]
    return "\n".join(lines) + "\n"
