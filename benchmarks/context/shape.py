"""Files that others made, read with care: what is not as it should be is named, file and field.

```python
talks = Part.read("chats.json").parts()
speaker = talks[0].part("session_1").parts()[0].text("speaker")
# WrongShapeError: chats.json: [0].session_1: a list was expected, and it is missing
```
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Part", "WrongShapeError"]

_MISSING = object()
_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number",
          bool: "true or false", type(None): "null"}  # fmt: skip


class WrongShapeError(ValueError):
    """A file is not in the shape of its set; the message names the file and the field."""


class Part:
    """One part of a file's data that knows where it stands.

    Args:
        data: As JSON gave it.
        file: The file's path, for the errors.
        where: The field's path in it.
    """

    __slots__ = ("_file", "_where", "data")

    def __init__(self, data: Any, file: str, where: str = "") -> None:
        self.data = data
        self._file = file
        self._where = where

    @classmethod
    def read(cls, path: str | Path) -> Part:
        """Read a JSON file.

        Raises:
            WrongShapeError: There is no such file, or it is no JSON.
        """
        return cls(_decoded(_content(path), str(path)), str(path))

    @classmethod
    def rows(cls, path: str | Path) -> list[Part]:
        """Read a file of one JSON object a line, or of one list.

        Raises:
            WrongShapeError: There is no such file, or it is neither.
        """
        text = _content(path).strip()
        if text.startswith("["):
            return cls(_decoded(text, str(path)), str(path)).parts()
        return [
            cls(_decoded(line, f"{path}, line {at}"), f"{path}, line {at}")
            for at, line in enumerate(text.splitlines(), start=1)
            if line.strip()
        ]

    def wrong(self, wanted: str) -> WrongShapeError:
        """Give the error that says what was expected here."""
        found = "it is missing" if self.data is _MISSING else f"it is {_name(self.data)}"
        where = self._where or "the whole file"
        return WrongShapeError(f"{self._file}: {where}: {wanted} was expected, and {found}")

    def of(self, kind: type, wanted: str) -> Any:
        """Give the data where it is of a kind; `wanted` says in words which."""
        if not isinstance(self.data, kind) or isinstance(self.data, bool):
            raise self.wrong(wanted)
        return self.data

    def has(self, key: str) -> bool:
        """Whether an object has a field with something in it."""
        return bool(self.of(dict, "an object").get(key))

    def keys(self) -> list[str]:
        """Give an object's fields."""
        return list(self.of(dict, "an object"))

    def part(self, key: str) -> Part:
        """Give a field, there or not: whoever reads it says what it should be."""
        there = self.of(dict, "an object").get(key, _MISSING)
        return Part(there, self._file, f"{self._where}.{key}".lstrip("."))

    def parts(self) -> list[Part]:
        """Give the parts of a list."""
        listed = self.of(list, "a list")
        return [Part(one, self._file, f"{self._where}[{at}]") for at, one in enumerate(listed)]

    def listed(self, key: str) -> list[Part]:
        """Give the parts of a field that is a list, or is not there."""
        return self.part(key).parts() if self.has(key) else []

    def text(self, key: str) -> str:
        """Give a field that is a text."""
        found: str = self.part(key).of(str, "a text")
        return found

    def said(self, key: str) -> str:
        """Give a field as a text, whatever it is; "" where it is not there."""
        found = self.of(dict, "an object").get(key)
        return "" if found is None else str(found)

    def whole(self, key: str) -> int:
        """Give a field that is a whole number."""
        found: int = self.part(key).of(int, "a whole number")
        return found

    def content(self, key: str = "content") -> str:
        """Give a message's text: a text, blocks with texts, or nothing."""
        there = self.part(key)
        if there.data is None or there.data is _MISSING:
            return ""
        if isinstance(there.data, str):
            return there.data
        if not isinstance(there.data, list):
            raise there.wrong("a text or a list of blocks")
        return "\n".join(block.said("text") for block in there.parts())


def _name(data: Any) -> str:
    return _NAMES.get(type(data), type(data).__name__)


def _content(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongShapeError(f"{path}: cannot be read: {error}") from error


def _decoded(text: str, file: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise WrongShapeError(f"{file}: this is no JSON: {error}") from error
