"""A value that satisfies a JSON schema, the same one every time.

Enough of JSON Schema for what pydantic, zod and hand-written tool schemas contain: references,
enums, constants, defaults, unions, nested objects and arrays, bounds and the usual formats.
`pattern`, `not` and conditional schemas are not solved.
"""

from __future__ import annotations

from typing import Any

__all__ = ["example"]

_MAX_DEPTH = 12
_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00",
    "duration": "PT1H",
    "email": "person@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
}


def example(schema: dict[str, Any], *, text: str = "") -> Any:
    """A value for `schema`; plain strings are taken from `text`, if there is any."""
    return _value(schema, schema, "value", text, 0)


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return schema
        target: Any = root
        for part in reference[1:].strip("/").split("/"):
            if part:
                target = target[part.replace("~1", "/").replace("~0", "~")]
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return {}


def _value(schema: object, root: dict[str, Any], name: str, text: str, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    schema = _resolve(schema, root)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            options = [_resolve(option, root) for option in schema[key]]
            solid = [option for option in options if option.get("type") != "null"]
            # Deep down the way out of a recursive type is its null branch.
            chosen = options[-1] if depth > _MAX_DEPTH // 2 or not solid else solid[0]
            return _value(chosen, root, name, text, depth + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            extra = _resolve(part, root)
            properties = {**merged.get("properties", {}), **extra.get("properties", {})}
            merged = {**merged, **extra}
            if properties:
                merged["properties"] = properties
        schema = merged
    return _typed(schema, root, name, text, depth)


def _typed(schema: dict[str, Any], root: dict[str, Any], name: str, text: str, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "string"
    if kind == "object":
        return {
            key: _value(part, root, key, text, depth + 1)
            for key, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        least = schema.get("minItems", 1 if depth <= _MAX_DEPTH // 2 else 0)
        prefix = schema.get("prefixItems")
        if prefix:
            return [_value(part, root, name, text, depth + 1) for part in prefix]
        return [_value(schema.get("items", {}), root, name, text, depth + 1) for _ in range(least)]
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if kind == "boolean":
        return True
    return None if kind == "null" else _string(schema, name, text)


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf") or 1
    if low is None and schema.get("exclusiveMinimum") is not None:
        low = schema["exclusiveMinimum"] + step
    if high is None and schema.get("exclusiveMaximum") is not None:
        high = schema["exclusiveMaximum"] - step
    value = step
    if low is not None and value < low:
        value = low if low % step == 0 else (low // step + 1) * step
    if high is not None and value > high:
        value = high
    return int(value) if whole else float(value)


def _string(schema: dict[str, Any], name: str, text: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    value = " ".join(text.split())[:60] or f"some {name}"
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    value = value.ljust(least, "x")
    return value if most is None else value[:most]
