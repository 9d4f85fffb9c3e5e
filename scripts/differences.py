"""Generate the section DIFFERENCES of the man page from docs/differences.md."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = ROOT / "docs/differences.md"
PAGE = ROOT / "share/man/man8/conntrack.8"
_SECTION = re.compile(r'(\.SH "DIFFERENCES FROM CONNTRACK-TOOLS"\n).*?(?=\.SH )', re.DOTALL)
_ENTRY = re.compile(r"\*\*([a-z0-9-]+)\*\* (.*)", re.DOTALL)


def entries() -> dict[str, str]:
    """Return the text of each difference by its name."""
    blocks = LIST.read_text(encoding="utf-8").split("\n\n")
    found = [match for block in blocks if (match := _ENTRY.fullmatch(block.strip()))]
    return {match[1]: match[2] for match in found}


def _roff(text: str) -> str:
    """Return Markdown text as roff: code in bold, its hyphens and quotes as typed."""
    parts = text.replace("\\", "\\e").split("`")
    for number in range(1, len(parts), 2):
        parts[number] = "\\fB" + parts[number].replace("-", "\\-").replace("'", "\\(aq") + "\\fP"
    return "\n".join(
        ("\\&" if line.startswith((".", "'")) else "") + line for line in "".join(parts).split("\n")
    )


def section() -> str:
    """Return the section for the man page, without its heading."""
    _, *rest = LIST.read_text(encoding="utf-8").split("\n\n")
    out = []
    for block in rest:
        block = block.strip()
        if match := _ENTRY.fullmatch(block):
            out.append(f".TP\n.B {match[1]}\n{_roff(match[2])}\n")
        elif block.startswith("## "):
            out.append(f'.SS "{block[3:]}"\n')
        else:
            out.append(f"{_roff(block)}\n")
    return "".join(out)


def written(page: str) -> str:
    """Return the man page with its section updated."""
    return _SECTION.sub(lambda match: match[1] + section(), page, count=1)
