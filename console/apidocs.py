"""The API's page for people: the same document that programs read, written out by the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from shlex import quote
from typing import Any

from flask import Blueprint, Response

from console.frame import Frame
from console.openapi import PROBLEMS, document, problem_example
from console.reading import GREATEST

TOKEN = "Authorization: Bearer $FIREDOOR_TOKEN"  # noqa: S105  # a variable's name, no secret


def apidocs(frame: Frame) -> Blueprint:
    """`/api` and `/api/docs`: no secret is in it, so that it can be read before there is a token."""
    blueprint = Blueprint("apidocs", __name__)

    @blueprint.get("/api")
    @blueprint.get("/api/docs")
    def show() -> Response:
        return frame.show(
            "console/apidocs.html",
            now=frame.database.clock.now(),
            groups=groups(),
            base=f"{frame.public_url}/api/v1",
            shapes=shapes(),
            refusals={
                status: {"when": told[0], "code": told[1], "detail": told[2]} for status, told in PROBLEMS.items()
            },
            problem=_pretty(problem_example(422)),
        )

    frame.look_who_asks(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


@lru_cache(maxsize=1)
def groups() -> dict[str, list[dict[str, Any]]]:
    """Tag → its calls, in the document's order."""
    told = document()
    found: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in told["tags"]}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append(_call(path, method, operation, told["components"]))
    return {tag: calls for tag, calls in found.items() if calls}


def _call(path: str, method: str, operation: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "needs": operation["description"],
        "fields": [*_parameters(operation), *(_fields(body, components) if body else [])],
        "curl": _curl(path, method, operation, body),
        **_answers(operation["responses"]),
    }


def _parameters(operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": one["name"],
            "where": one["in"],
            "about": one.get("description", ""),
            "needed": one.get("required", False),
            "accepts": _accepts(one["schema"]),
        }
        for one in operation["parameters"]
    ]


def _fields(body: Mapping[str, Any], components: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = body["schema"].get("$ref", "").rpartition("/")[2]
    schema = components["schemas"].get(name, {})
    return [
        {
            "name": field,
            "where": "body",
            "about": one.get("description", ""),
            "needed": field in schema.get("required", ()),
            "accepts": _accepts(one),
        }
        for field, one in schema.get("properties", {}).items()
    ]


def _accepts(schema: Mapping[str, Any]) -> str:
    """`text`, `one of a, b`, `a whole number`: what may be sent, in words."""
    schema = schema.get("anyOf", [schema])[0]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    if "enum" in schema:
        return f"one of {', '.join(one for one in schema['enum'] if one)}"
    if kind == "array":
        return f"a list of {_accepts(schema['items'])}"
    if kind == "integer":
        most = schema.get("maximum")
        return f"a number from {schema['minimum']} to {most}" if most and most < GREATEST else "a whole number"
    return "a time with its zone" if schema.get("format") == "date-time" else "text"


def _curl(path: str, method: str, operation: Mapping[str, Any], body: Mapping[str, Any] | None) -> str:
    for one in operation["parameters"]:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", str(one["example"]))
    lines = [f'curl -sS -H "{TOKEN}"']
    if body is not None:
        lines.append(
            f"  -H 'Content-Type: application/json' -d {quote(json.dumps(body['example'], ensure_ascii=False))}"
        )
    elif method == "post":
        lines.append("  -X POST")
    lines.append(f'  "$FIREDOOR_URL/api/v1{path}"')
    return " \\\n".join(lines)


def _answers(responses: Mapping[str, Any]) -> dict[str, Any]:
    """What it answers when it is done, by the shape's name, and with which statuses it refuses."""
    done = next(status for status in responses if status.startswith("2"))
    shape = responses[done]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return {"status": done, "shape": shape, "refuses": [status for status in responses if int(status) >= 400]}


@lru_cache(maxsize=1)
def shapes() -> dict[str, str]:
    """Each answer's shape, once, as an example."""
    told = document()
    answered = {call["shape"] for calls in groups().values() for call in calls}
    return {name: _pretty(told["components"]["examples"][name]["value"]) for name in sorted(answered)}


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
