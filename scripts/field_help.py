"""Generate the sentences that ``conntrack help FIELD`` and the completions have."""

from __future__ import annotations

from pyconntrack.ctnetlink.schema import CONNTRACK, REPORT, names
from scripts.sentences import sentences


def text() -> str:
    """Return the text of ``pyconntrack/cli/field_sentences.py``."""
    reported = names(CONNTRACK, REPORT)
    rows = [
        f"    {name!r}: {str(said)!r},".replace("'", '"')
        for name, said in sentences(CONNTRACK).items()
        if name in reported
    ]
    return "\n".join(
        [
            '"""What each field of a flow is; GENERATED from the schema by ``make generate``."""',
            "",
            "# fmt: off",
            "# ruff: noqa: E501 - a sentence is one line",
            "",
            "from __future__ import annotations",
            "",
            "#: field -> its sentence",
            "SENTENCES = {",
            *rows,
            "}",
            "",
        ]
    )
