"""The picture: ratios with their targets, and growth with the size of the table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from .jobs import Row
from .measure import Sample

WIDTH, MARGIN, STEP, TOP = 980, 24, 22, 64
BAR_LEFT, BAR_RIGHT = 196, 520
PLOT_LEFT, PLOT_RIGHT = 620, 950
OURS, THEIRS, FLOOR, LIGHT, MARK, INK, PALE = (
    "#2266aa", "#b0552a", "#777777", "#b8b8b8", "#111111", "#222222", "#dddddd",
)  # fmt: skip


def _text(x: float, y: float, said: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(said)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="{width}"/>'
    )


def _bars(rows: list[Row], bottom: float) -> Iterator[str]:
    highest = max([1.0, *(row.ratio or 0 for row in rows)])
    scale = (BAR_RIGHT - BAR_LEFT) / min(highest, 1.5)
    yield _text(MARGIN, 30, "Time, ours / C tool", extra=' font-weight="bold"')
    said = "less is better; black: the target, grey: the kernel alone"
    yield _text(MARGIN, 46, said, extra=' fill="#666"')
    for tenths in range(int(min(highest, 1.5) * 4) + 1):
        x = BAR_LEFT + tenths / 4 * scale
        yield _rule(x, TOP - 8, x, bottom, "#b0552a" if tenths == 4 else PALE)
        yield _text(x, bottom + 14, f"{tenths / 4:g}", "middle")
    for number, row in enumerate(rows):
        y = TOP + number * STEP
        ratio = row.ratio or 0.0
        length = min(ratio * scale, BAR_RIGHT - BAR_LEFT)
        yield _text(BAR_LEFT - 8, y + 11, row.job, "end")
        yield f'<rect x="{BAR_LEFT}" y="{y}" width="{length:.1f}" height="14" fill="{OURS}"/>'
        behind = length
        if row.floor and row.theirs:
            x = BAR_LEFT + row.floor.wall / row.theirs.wall * scale
            yield _rule(x, y - 3, x, y + 17, LIGHT, 2)
        if row.target is not None:
            x = BAR_LEFT + row.target * scale
            yield _rule(x, y - 3, x, y + 17, MARK, 2)
            behind = max(length, row.target * scale)
        yield _text(BAR_LEFT + behind + 6, y + 11, f"{ratio:.2f}")


def _curves(points: list[tuple[int, Row]], bottom: float) -> Iterator[str]:
    yield _text(PLOT_LEFT - 40, 30, "Time of -L, by entries", extra=' font-weight="bold"')
    yield _text(PLOT_LEFT - 40, 46, "both axes logarithmic", extra=' fill="#666"')
    samples = [s for _, row in points for s in (row.theirs, row.ours, row.floor) if s]
    if not samples:
        return
    low = math.floor(math.log10(min(s.wall for s in samples)))
    high = max(low + 1, math.ceil(math.log10(max(s.wall for s in samples))))
    last_size = points[-1][0]
    first, last = math.log10(points[0][0]), math.log10(points[-1][0])

    def across(size: int) -> float:
        share = (math.log10(size) - first) / ((last - first) or 1)
        return PLOT_LEFT + share * (PLOT_RIGHT - PLOT_LEFT)

    def down(seconds: float) -> float:
        return bottom - (math.log10(seconds) - low) / (high - low) * (bottom - TOP)

    for power in range(low, high + 1):
        yield _rule(PLOT_LEFT, down(10.0**power), PLOT_RIGHT, down(10.0**power), PALE)
        label = f"{10.0**power:g} s" if power >= 0 else f"{10.0 ** (power + 3):g} ms"
        yield _text(PLOT_LEFT - 6, down(10.0**power) + 4, label, "end")
    for size, _ in points:
        yield _rule(across(size), TOP, across(size), bottom, PALE)
        yield _text(across(size), bottom + 14, f"{size:,}", "middle" if size < last_size else "end")
    curves = (
        ("C tool", "theirs", THEIRS),
        ("ours", "ours", OURS),
        ("kernel alone", "floor", FLOOR),
    )
    for number, (name, attribute, colour) in enumerate(curves):
        at: list[tuple[float, float]] = []
        for size, row in points:
            sample: Sample | None = getattr(row, attribute)
            if sample:
                at.append((across(size), down(sample.wall)))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in at:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        y = TOP + 14 + number * 18
        yield _rule(PLOT_LEFT + 12, y - 4, PLOT_LEFT + 34, y - 4, colour, 3)
        yield _text(PLOT_LEFT + 40, y, name)


def picture(rows: list[Row], sizes: list[int], caption: str) -> str:
    """Return the SVG."""
    bars = [row for row in rows if row.group in {"list", "filter", "change"} and row.ratio]
    grown = [row for row in rows if row.group == "growth"]
    points = list(zip(sizes, grown, strict=False))
    bottom = TOP + max(12, len(bars)) * STEP
    height = bottom + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" '
        f'fill="{INK}" role="img">',
        f"<title>{escape(caption)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        *_bars(bars, bottom),
        *(_curves(points, bottom) if points else ()),
        _text(MARGIN, height - 14, caption, extra=' fill="#666"'),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
