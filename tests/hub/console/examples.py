"""A JSON schema -> the shortest body that fits it, so that a route looks at who asks, not at what."""

import re
from typing import Any

from pydantic import TypeAdapter

from hub.console.web.routes import Route

_BY_PATTERN = (
    "mall",
    "G1",
    "0.2.0",
    "0",
    "1",
    "01",
    "13800138000",
    "11010519491231002X",
    "91350100M000100Y43",
    "2026-11-23",
    "08:00",
    "22:00-06:00+08:00",
    "a@example.org",
    "https://example.org/",
    *("0" * length for length in (16, 32, 64)),
)
"""What some pattern may take."""


def example_body(route: Route) -> Any:
    parameters = route.dependant.body_params
    if not parameters:
        return {}
    schema = TypeAdapter(parameters[0].field_info.annotation).json_schema()
    return example(schema, schema.get("$defs", {}))


def example(schema: dict[str, Any], defs: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return example(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return example(schema[key][0], defs)
    match schema.get("type"):
        case "object":
            return {name: example(schema["properties"][name], defs) for name in schema.get("required", [])}
        case "array":
            return [example(schema["items"], defs) for _ in range(schema.get("minItems", 0))]
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        case "boolean":
            return False
        case "string":
            return _text(schema)
        case _:
            return None


def _text(schema: dict[str, Any]) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 1_000_000)
    pattern = schema.get("pattern")
    if pattern is None:
        return "x" * least
    found = next((each for each in ("", *_BY_PATTERN) if least <= len(each) <= most and re.search(pattern, each)), None)
    assert found is not None, f"No example fits {pattern}: add one to _BY_PATTERN in tests/hub/console/examples.py."
    return found
