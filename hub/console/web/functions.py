"""OpenAPI -> the functions as people read of them: what each does, who may ask, what it takes and what it gives."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

_REF: Final = "#/components/schemas/"
_LARGEST: Final = 2**53 - 1
"""Limits from here on are those of the number's own kind: not worth a reader's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a function takes.

    Attributes:
        where: `path`, `query` or `body`.
        kind: `text`, `integer`, `number`, `yes or no`, `list`, `map`, `object` or `one of`.
        bounds: of a text its characters, of a list or map its entries: `1–32`, `≤ 64`, `≥ 1`, or nothing.
        pattern: the regular expression that a text fits.
        choices: what it is one of.
        inner: what an object, or each entry of a list, is made of.
    """

    name: str
    where: str
    required: bool
    kind: str
    bounds: str = ""
    pattern: str = ""
    choices: tuple[str, ...] = ()
    note: str = ""
    inner: tuple["Value", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One method of one path.

    Attributes:
        does: paragraphs, one line each.
        takes: what is said of its body as a whole.
        gives: the names of the answer's fields; nothing where the answer is not JSON.
        many: the answer is a list of such.
    """

    method: str
    path: str
    group: str
    permission: str
    does: tuple[str, ...]
    takes: tuple[str, ...]
    values: tuple[Value, ...]
    status: str
    media: str
    gives: tuple[str, ...]
    many: bool


def functions(told: Schema) -> Iterator[Function]:
    """All of them, in the order of their routers."""
    schemas: Schema = told["components"]["schemas"]
    for path, methods in told["paths"].items():
        for method, each in methods.items():
            body = each.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            status, answer = next((code, answer) for code, answer in each["responses"].items() if code < "300")
            contents: dict[str, Schema] = answer.get("content", {})
            media, content = next(iter(contents.items()), ("", {}))
            gives, many = _gives(content.get("schema", {}), schemas)
            yield Function(
                method=method.upper(),
                path=path,
                group=each["tags"][0],
                permission=each["x-permission"],
                does=paragraphs(each["description"]),
                takes=paragraphs(_resolved(body, schemas).get("description", "")),
                values=(*_parameters(each.get("parameters", ()), schemas), *_fields(body, schemas)),
                status=status,
                media=media,
                gives=gives,
                many=many,
            )


def paragraphs(text: str) -> tuple[str, ...]:
    """A docstring's paragraphs, each on one line."""
    return tuple(" ".join(each.split()) for each in text.split("\n\n") if each.strip())


def _parameters(parameters: Any, schemas: Schema) -> Iterator[Value]:
    for each in parameters:
        note = each.get("description", "")
        yield _value(
            each["name"], each["schema"], schemas, where=each["in"], required=each.get("required", False), note=note
        )


def _fields(schema: Schema, schemas: Schema) -> Iterator[Value]:
    whole = _resolved(schema, schemas)
    for name, field in whole.get("properties", {}).items():
        yield _value(name, field, schemas, where="body", required=name in whole.get("required", ()))


def _value(name: str, schema: Schema, schemas: Schema, *, where: str, required: bool, note: str = "") -> Value:
    found = _resolved(schema, schemas)
    kind, bounds = _kind(found)
    return Value(
        name=name,
        where=where,
        required=required,
        kind=kind,
        bounds=bounds,
        pattern=found.get("pattern", ""),
        choices=tuple(str(each) for each in found.get("enum", ()) if each != ""),
        note=" ".join((note or schema.get("description", "") or found.get("note", "")).split()),
        inner=tuple(_fields(found.get("items", found), schemas)),
    )


def _kind(schema: Schema) -> tuple[str, str]:
    if "enum" in schema:
        return "one of", ""
    match schema.get("type"):
        case "string":
            return "text", _bounds(schema.get("minLength"), schema.get("maxLength"))
        case "integer" | "number" as number:
            return number, _bounds(_least(schema), _most(schema))
        case "boolean":
            return "yes or no", ""
        case "array":
            return "list", _bounds(schema.get("minItems"), schema.get("maxItems"))
        case _:
            return ("map" if "additionalProperties" in schema and "properties" not in schema else "object"), _bounds(
                None, schema.get("maxProperties")
            )


def _least(schema: Schema) -> int | None:
    least = schema.get("minimum")
    return None if least is None else int(least)


def _most(schema: Schema) -> int | None:
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    return None if most is None or most >= _LARGEST else int(most)


def _bounds(least: int | None, most: int | None) -> str:
    if most is None:
        return "" if least is None else f"≥ {least}"
    return f"≤ {most}" if least is None else f"{least}–{most}"


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    """What a reference, or `this or null`, is."""
    some = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(some) == 1:
        return _resolved(some[0], schemas)
    if "$ref" in schema:
        found: Schema = schemas[schema["$ref"].removeprefix(_REF)]
        return found
    return schema


def _gives(schema: Schema, schemas: Schema) -> tuple[tuple[str, ...], bool]:
    many = schema.get("type") == "array"
    found = _resolved(schema["items"] if many else schema, schemas)
    return tuple(found.get("properties", ())), many
