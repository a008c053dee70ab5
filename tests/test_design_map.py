"""The map in docs/design.md is true: the files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| [^|]+ \| `(agentrm_plugins/[\w/]+\.py)` \|$", re.MULTILINE)


def test_the_map_names_ten_files_that_are_there() -> None:
    """Ten sentences, ten files, each of which exists."""
    files = ROW.findall((ROOT / "docs" / "design.md").read_text(encoding="utf-8"))
    assert len(set(files)) == 10
    assert not [name for name in files if not (ROOT / name).is_file()]
