"""The page as one document: parts of the page put together, and what may run in it.

Law: everything that runs or is fetched is named in the document's content security policy. The
report names its two scripts by their hashes and may fetch nothing at all; the live page may fetch
from its own origin only. Data is JSON in an inert element, with every character escaped that HTML
could take for its own, so a name like ``</script>`` stays a name.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from importlib import resources
from typing import Any

__all__ = ["as_json", "chart_script", "live_document", "part", "report_document", "text_json"]

_STATIC = "static"
_NEVER = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@cache
def part(name: str) -> str:
    """One of the page's own files."""
    return resources.files(__package__).joinpath(_STATIC, name).read_text(encoding="utf-8")


@cache
def chart_script() -> str:
    """Plotly's own script, as the `plotly` package ships it.

    Raises:
        ModuleNotFoundError: `plotly` is not installed.
    """
    try:
        found = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    except ModuleNotFoundError:
        way = "the page's charts need plotly: pip install 'agentrm-plugins[report]'"
        raise ModuleNotFoundError(way, name="plotly") from None
    # Inside <script>, only "</script" and "<!--" could end or change it; Plotly's has neither.
    return found.read_text(encoding="utf-8")


def text_json(value: Any) -> str:
    """JSON text. Lone surrogates and what JSON does not know come out as their escapes."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=str)


def as_json(value: Any) -> str:
    """JSON text that may stand inside an element of HTML."""
    return "".join(_NEVER.get(char, char) for char in text_json(value))


def report_document(data: dict[str, Any], title: str) -> str:
    """The whole report: nothing in it needs a network, and nothing may use one."""
    scripts = [chart_script(), part("page.js")]
    style = part("page.css")
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    return _filled(
        title=_shown(title),
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        style=f"<style>{style}</style>",
        data=f'<script type="application/json" id="data">{as_json(data)}</script>',
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def live_document(title: str) -> str:
    """The live page: its parts are files of the same origin, its data comes as events."""
    return _filled(
        title=_shown(title),
        policy="",  # in the answer's header, which the page cannot lose
        style='<link rel="stylesheet" href="page.css">',
        data="",
        scripts='<script src="plotly.js"></script>\n<script src="page.js"></script>',
    )


def _shown(title: str) -> str:
    """A title as HTML; what no file can hold (lone surrogates) becomes question marks."""
    return escape(title.encode("utf-8", "replace").decode("utf-8"))


def _filled(**parts: str) -> str:
    """The template with its parts, in one pass: what is filled in is never looked at again."""
    pieces = part("page.html").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
