"""The pictures of docs/concepts.md and of the examples: `python -m benchmarks.published.drawings`.

Plain SVG without fonts or scripts from elsewhere; colours that read on white and on black.
"""

from __future__ import annotations

import math
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
_STYLE = (
    "<style>text{font:14px sans-serif;fill:#587fb8}.b{fill:#4a6fa522;stroke:#4a6fa5;"
    "stroke-width:1.5}.g{fill:#3a8f5c33;stroke:#3a8f5c;stroke-width:1.5}.r{fill:#c0504d22;"
    "stroke:#c0504d;stroke-width:1.5}.l{stroke:#888;stroke-width:1.5;fill:none;"
    "marker-end:url(#a)}.d{stroke:#c0504d;stroke-dasharray:5 4;fill:none}.c{stroke:#3a8f5c;"
    "stroke-width:2;fill:none}</style><defs><marker id='a' viewBox='0 0 8 8' refX='7' refY='4' "
    "markerWidth='7' markerHeight='7' orient='auto'><path d='M0 0L8 4L0 8z' fill='#888'/>"
    "</marker></defs>"
)


def box(x, y, width, height, text="", kind="b"):
    label = (
        f"<text x='{x + width / 2:g}' y='{y + height / 2 + 5:g}' text-anchor='middle'>{text}</text>"
        if text
        else ""
    )
    shape = f"<rect class='{kind}' x='{x}' y='{y}' width='{width}' height='{height}' rx='5'/>"
    return shape + label


def arrow(x1, y1, x2, y2):
    return f"<path class='l' d='M{x1} {y1}L{x2} {y2}'/>"


def words(x, y, text, anchor="start"):
    return f"<text x='{x}' y='{y}' text-anchor='{anchor}'>{text}</text>"


def lanes():
    parts = [words(10, 22, "calls wait by level"), words(280, 22, "lanes")]
    parts += [words(470, 22, "endpoints")]
    for level in range(4):
        y = 35 + 45 * level
        parts.append(words(10, y + 22, f"{level}"))
        parts += [box(30 + 32 * n, y, 26, 30) for n in range((2, 1, 3, 5)[level])]
        parts.append(arrow(200, y + 15, 272, y + 15))
        parts.append(
            box(280, y, 110, 32, "call", "g") if level < 3 else box(280, y, 110, 32, "free")
        )
        parts.append(arrow(392, y + 15, 462, 70 if level < 2 else 145))
    parts += [box(470, 45, 160, 50, "tokens a minute"), box(470, 120, 160, 50, "requests a minute")]
    return 640, 220, parts


def queue():
    parts = []
    for level, name in enumerate(("has used little", "some", "much", "very much")):
        y = 20 + 50 * level
        parts += [box(60, y, 300, 36), words(20, y + 23, f"{level}"), words(375, y + 23, name)]
        parts += [box(70 + 42 * n, y + 6, 34, 24, kind="g") for n in range((2, 3, 1, 4)[level])]
        if level < 3:
            parts.append(arrow(340, y + 38, 340, y + 50))
    parts.append("<path class='l' d='M560 200C620 150 620 80 560 40'/>")
    parts.append(words(490, 130, "rests: back up"))
    return 640, 230, parts


def aimd():
    rate, found = 40.0, []
    for x in range(0, 560, 4):
        found.append(f"{50 + x},{200 - rate:.0f}")
        rate = rate * 0.7 if rate > 128 else rate + 1.6
    parts = [
        "<path class='l' d='M50 205L50 20'/><path class='l' d='M50 205L625 205'/>",
        "<path class='d' d='M50 75L615 75'/>",
        words(470, 66, "the limit, not told"),
        words(58, 30, "calls a minute"),
        words(590, 225, "time"),
        f"<polyline class='c' points='{' '.join(found)}'/>",
    ]
    return 640, 235, parts


def tiers():
    parts = [
        box(20, 30, 180, 60, "hot: word for word", "g"),
        box(20, 110, 180, 60, "warm: notes"),
        box(430, 70, 190, 60, "cold: the archive", "r"),
        arrow(202, 60, 428, 90),
        arrow(202, 140, 428, 112),
        "<path class='l' d='M525 68C480 5 260 5 205 38'/>",
        words(320, 14, "recalled when asked for", "middle"),
        words(320, 190, "the prompt is hot and warm; everything is in the archive", "middle"),
    ]
    return 640, 205, parts


def flow(*names):
    """Boxes in a row."""
    parts, x = [], 8
    for number, name in enumerate(names):
        width = 9 * len(name) + 16
        parts.append(box(x, 14, width, 32, name, "g" if name == "core" else "b"))
        x += width
        if number < len(names) - 1:
            parts.append(arrow(x + 2, 30, x + 24, 30))
            x += 26
    return math.ceil(x + 8), 60, parts


PICTURES = {
    "lanes": lanes,
    "queue": queue,
    "aimd": aimd,
    "tiers": tiers,
    "example-model": lambda: flow("people", "core", "model"),
    "example-callback": lambda: flow("chain", "callback", "core"),
    "example-supervisor": lambda: flow("boss", "3 workers", "core", "model"),
    "example-map-reduce": lambda: flow("300 branches", "core", "8 lanes"),
    "example-recall": lambda: flow("talk", "window", "archive"),
    "example-service": lambda: flow("users", "core", "provider"),
    "example-metrics": lambda: flow("core", "/metrics", "Grafana"),
    "example-notebook": lambda: flow("cell", "core", "tables"),
    "example-fleet": lambda: flow("4 workers", "Redis", "one limit"),
    "example-fleet-service": lambda: flow("uvicorn", "4 workers", "Redis"),
    "example-fleet-celery": lambda: flow("Celery", "children", "Redis"),
    "example-fleet-rq": lambda: flow("RQ", "forked jobs", "Redis"),
    "example-replay": lambda: flow("test", "agent", "cassette"),
}


def draw(name):
    width, height, parts = PICTURES[name]()
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}'>"
    )
    return f"{head}{_STYLE}{''.join(parts)}</svg>\n"


if __name__ == "__main__":
    for picture in PICTURES:
        (FOLDER / f"{picture}.svg").write_text(draw(picture), encoding="utf-8")
