"""Write the files derived from the schema and from docs/differences.md: ``make generate``.

A test fails when one of the files is stale.
"""

from __future__ import annotations

from pathlib import Path

from scripts import columns, declarations, differences, doctor_page, field_help, reference

ROOT = Path(__file__).parent.parent


def files() -> dict[Path, str]:
    """Return the text of each file that is generated."""
    page = ROOT / "share/man/man8/conntrack.8"
    return {
        ROOT / "src/pyconntrack/model/declarations.pyi": declarations.text(),
        ROOT / "src/pyconntrack/model/arguments.py": declarations.arguments(),
        ROOT / "src/pyconntrack/ctnetlink/literals.py": declarations.literals(),
        ROOT / "src/pyconntrack/cli/field_sentences.py": field_help.text(),
        ROOT / "src/pyconntrack/schema.json": reference.json_text(),
        ROOT / "docs/fields.md": reference.fields_page(),
        ROOT / "docs/columns.md": columns.page(),
        page.with_name("conntrack-doctor.8"): doctor_page.text(),
        page: differences.written(page.read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
