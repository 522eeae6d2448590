"""How an answer's shape is written down: as an example of it. Its JSON Schema follows from the example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
KINDS: tuple[tuple[type, str], ...] = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))


@dataclass(frozen=True, slots=True)
class Of:
    """A value of the example, and what its type alone does not say."""

    example: Any
    about: str = ""
    maybe: bool = False  # null where there is none
    one_of: tuple[str, ...] = ()
    free: bool = False  # an object with keys of somebody else's
    also: tuple[str, ...] = ()  # other types that it may have
    left_out: bool = False  # not there at all where it says nothing


@dataclass(frozen=True, slots=True)
class Named:
    """A shape that has a name of its own."""

    name: str


def maybe(example: Any, about: str = "") -> Of:
    return Of(example, about, maybe=True)


def one_of(example: str, *others: str, about: str = "") -> Of:
    return Of(example, about, one_of=(example, *others))


def free(example: Mapping[str, Any], about: str = "") -> Of:
    return Of(dict(example), about, free=True)


def page_of(name: str, following: Any = "41") -> dict[str, Any]:
    """A page of a list, and the cursor of the next one."""
    return {"items": [Named(name)], "next": maybe(following, "Give it back to get the next page; null at the end.")}


def schema_of(shape: Any) -> dict[str, Any]:
    """The JSON Schema that the example stands for."""
    if isinstance(shape, Named):
        return {"$ref": f"#/components/schemas/{shape.name}"}
    if isinstance(shape, Of):
        return _schema_of_value(shape)
    if isinstance(shape, Mapping):
        needed = [name for name, value in shape.items() if not (isinstance(value, Of) and value.left_out)]
        properties = {name: schema_of(value) for name, value in shape.items()}
        return {"type": "object", "properties": properties, **({"required": needed} if needed else {})}
    if isinstance(shape, list):
        return {"type": "array", "items": schema_of(shape[0])}
    kind = next(name for python, name in KINDS if isinstance(shape, python))
    is_moment = isinstance(shape, str) and MOMENT.fullmatch(shape)
    return {"type": kind, "format": "date-time"} if is_moment else {"type": kind}


def _schema_of_value(shape: Of) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"} if shape.free else schema_of(shape.example)
    if shape.one_of:
        schema["enum"] = list(shape.one_of)
    if shape.maybe and "$ref" in schema:
        schema = {"anyOf": [schema, {"type": "null"}]}
    elif shape.maybe or shape.also:
        schema["type"] = [schema["type"], *shape.also, *(["null"] if shape.maybe else [])]
    if shape.about:
        schema["description"] = shape.about
    return schema


def example_of(shape: Any, named: Mapping[str, Any]) -> Any:
    """The example itself, with what it names put in."""
    if isinstance(shape, Named):
        return example_of(named[shape.name], named)
    if isinstance(shape, Of):
        return example_of(shape.example, named)
    if isinstance(shape, Mapping):
        return {name: example_of(value, named) for name, value in shape.items()}
    if isinstance(shape, list):
        return [example_of(value, named) for value in shape]
    return shape
