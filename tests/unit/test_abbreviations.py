"""Beginnings of long options: as conntrack-tools 1.4.9 reads them; newer options in full only."""

from __future__ import annotations

import pytest
from scripts import abbreviations

from pyconntrack.cli import options
from pyconntrack.cli.console import UsageError
from pyconntrack.cli.parser import meaning, parse

RECORDED = abbreviations.read(abbreviations.CASES.read_text(encoding="utf-8"))
#: 1.4.9 has no long spelling of -R
BETTER = {("load-file", "-", "load")}
NUMBERS = {"-": (), **{protocol.name: (protocol.number,) for protocol in options.PROTOCOLS}}


def test_the_record_has_every_beginning() -> None:
    assert set(RECORDED) == {
        (context, word)
        for context in abbreviations.contexts()
        for word in abbreviations.beginnings()
    }, "record them anew with scripts/abbreviations.py"


@pytest.mark.parametrize("context", abbreviations.contexts())
def test_each_beginning_means_what_it_did(context: str) -> None:
    different = set()
    for word in abbreviations.beginnings():
        row = meaning(word, NUMBERS[context])
        theirs = RECORDED[context, word]
        if theirs not in (row.long if row else "-"):
            different.add((word, theirs, row.name if row else "-"))
    # ports and states count without -p, too, in full
    rows = options.ANYWHERE if context == "-" else ()
    alone = {(long, "-", row.name) for row in rows for long in row.long}
    assert different == BETTER | alone


@pytest.mark.parametrize("row", options.EXTENSIONS, ids=lambda row: row.name)
def test_newer_options_count_in_full_only(row: options.Option) -> None:
    assert meaning(row.name, ()) is row
    for numbers in NUMBERS.values():
        for length in range(1, len(row.name)):
            found = meaning(row.name[:length], numbers)
            assert found not in options.EXTENSIONS


def test_a_beginning_of_a_newer_option_is_an_error_that_names_it() -> None:
    for line, message in (
        ("-L --whe 5", "unknown option `--whe': do you mean `--where'?"),
        ("-L --sor 5", "unknown option `--sor': do you mean `--sort'?"),
        ("-L --s 1.1.1.1", "unknown option `--s'"),
        ("-L --nonsense", "unknown option `--nonsense'"),
        ("-L --sp 5", "unknown option `--sp'"),
        ("-L --stat ESTABLISHED", "unknown option `--stat'"),
    ):
        with pytest.raises(UsageError) as error:
            parse(line.split())
        assert error.value.classic == message
