"""Draw docs/demo.svg, what a terminal shows of scripts/demo.sh: ``make picture`` (root).

The output is real: the demo runs on a pseudo terminal, and some of its sections are drawn, as text.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/demo.svg"
COLUMNS = 100
#: the sections of the demo that are drawn, by their titles
SECTIONS = (
    "The same for people",
    "How many of what?",
    "Delete a live connection, and bring it back",
)
_SIZE, _ADVANCE, _LINE, _MARGIN = 13, 7.8, 18, 16
#: colours of text by SGR parameter, readable on the dark ground that stands on any page
_COLOURS = {
    31: "#f07178", 32: "#a8cc8c", 33: "#e5c07b", 34: "#82aaff", 35: "#c792ea", 36: "#7fdbca",
    37: "#e6e6e6", 90: "#8a93a6",
}  # fmt: skip
_GROUND, _INK, _DIM = "#1e2430", "#d5dae5", "#8a93a6"
_SGR = re.compile(r"\x1b\[([\d;]*)m")

Run = tuple[str, str]  # attributes of SVG, text


def shown(argv: Sequence[str]) -> str:
    """Return what a program shows on a terminal of :data:`COLUMNS` columns.

    Raises CalledProcessError if it fails.
    """
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(argv, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    parts = []
    try:
        while data := os.read(master, 65536):
            parts.append(data)
    except OSError:
        pass  # EIO: the last program has closed it
    os.close(master)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, argv, b"".join(parts))
    return b"".join(parts).decode().replace("\r\n", "\n")


def sections(text: str) -> list[str]:
    """Return the lines of the sections that are drawn, without their titles."""
    lines: list[str] = []
    wanted = False
    for line in text.split("\n"):
        bare = _SGR.sub("", line)
        if bare.startswith("== "):
            wanted = bare[3:] in SECTIONS
        elif wanted and (bare or not lines or lines[-1]):  # one empty line is enough
            lines.append(line)
    return lines


def runs(line: str) -> Iterator[Run]:
    """Yield the parts of a line that look alike."""
    colour, bold, dim = "", False, False
    for number, part in enumerate(_SGR.split(line)):
        if number % 2:
            for code in map(int, (part or "0").split(";")):
                if code == 0:
                    colour, bold, dim = "", False, False
                elif code in (1, 2):
                    bold, dim = bold or code == 1, dim or code == 2
                elif code == 22:
                    bold = dim = False
                else:
                    colour = _COLOURS.get(code, "")
        elif part:
            fill = colour or (_DIM if dim else "")
            yield f' fill="{fill}"' * bool(fill) + ' font-weight="bold"' * bold, part


def wrapped(line: str) -> Iterator[list[Run]]:
    """Yield the rows of a line, broken where a terminal breaks it."""
    row: list[Run] = []
    room = COLUMNS
    for attributes, text in runs(line):
        while len(text) > room:
            yield [*row, (attributes, text[:room])]
            text, row, room = text[room:], [], COLUMNS
        row.append((attributes, text))
        room -= len(text)
    yield row


def svg(lines: Sequence[str]) -> str:
    """Return the lines of a terminal as a picture."""
    rows = [row for line in lines for row in wrapped(line)]
    while rows and not rows[0]:
        del rows[0]
    while rows and not rows[-1]:
        del rows[-1]
    width = round(COLUMNS * _ADVANCE + 2 * _MARGIN)
    height = len(rows) * _LINE + 2 * _MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="conntrack on a terminal">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{_GROUND}"/>',
        f"<g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" "
        f'font-size="{_SIZE}" fill="{_INK}" style="white-space:pre">',
    ]
    for number, row in enumerate(rows):
        column = 0
        spans = ""
        for attributes, text in row:
            place = f'x="{_MARGIN + column * _ADVANCE:g}" textLength="{len(text) * _ADVANCE:g}"'
            spans += f"<tspan {place}{attributes}>{escape(text, quote=False)}</tspan>"
            column += len(text)
        out.append(
            f'<text xml:space="preserve" y="{_MARGIN + number * _LINE + _SIZE}">{spans}</text>'
            if spans
            else ""
        )
    return "\n".join([*out, "</g>", "</svg>", ""])


if __name__ == "__main__":
    demo = shown(["bash", str(ROOT / "scripts/demo.sh")])
    PICTURE.write_text(svg(sections(demo)), encoding="utf-8")
