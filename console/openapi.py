"""The OpenAPI 3.1 document of the API, built from the tables in routes.py and answers.py."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from console.answers import SHAPES
from console.fields import VERSION, Field, Route
from console.problems import MEDIA_TYPE
from console.reading import GREATEST, MOST_TEXTS
from console.routes import ROUTES
from console.shapes import example_of, schema_of
from incidents import permissions

ABOUT = (
    "Firedoor's JSON API. Every call carries a bearer token; every refusal is an RFC 9457 problem with a `code` for "
    "programs and a sentence for people in `detail`. Every POST accepts an `Idempotency-Key`: the first answer is "
    "given again to whoever repeats the call."
)
TEXT = {"type": "string"}
NUMBER = {"minimum": 0, "maximum": GREATEST}
TAGS = {
    "incidents": "Incidents",
    "proposals": "Incidents",
    "alerts": "Alerts",
    "simulate": "Alerts",
    "silences": "Silences",
    "shadow": "Shadow",
}
OTHERWISE = "This installation"
ETAG = {
    "description": "It begins with the incident's version; send it back in `If-Match` or `If-None-Match`",
    "schema": TEXT,
    "example": '"7.4f2a1c9b7d3e"',
}
LIST_ETAG = {"description": "Send it back in `If-None-Match`", "schema": TEXT, "example": '"4f2a1c9b7d3e"'}
AGAIN = {"description": "Seconds after which to try again", "schema": TEXT, "example": "2"}

# status → when it is answered, and a code and a sentence as an example of it
PROBLEMS: dict[int, tuple[str, str, str]] = {
    400: (
        "The body is not JSON",
        "not_json",
        "The body is not JSON (Expecting value: line 1 column 1 (char 0)). Nothing was done; mend it and send it "
        "again.",
    ),
    401: (
        "The bearer token is missing, unknown or expired",
        "not_authentic",
        "This bearer token is unknown or has expired. Nothing was done. `firedoor tokens new PERSON` makes one.",
    ),
    403: (
        "The account's role or team may not do that",
        "permission.role",
        "This needs the role responder; yours is viewer. Nothing was changed. An admin can change your role.",
    ),
    404: ("There is no such thing", "not_found", "There is no incident INC-999. Nothing was changed."),
    409: (
        "Not allowed now, or somebody changed it first",
        "contain.contained",
        "It is contained already. Nothing was changed.",
    ),
    413: (
        "The body is longer than 256 KiB",
        "request_entity_too_large",
        "The body is longer than 256 KiB. Nothing was done; send less.",
    ),
    415: (
        "The body is not application/json",
        "wrong_content_type",
        "The body's Content-Type is not application/json. Nothing was done; send JSON.",
    ),
    422: (
        "Fields are missing or wrong: all of them are listed",
        "malformed",
        "Nothing was done, because the request has one fault: severity: is missing.",
    ),
    503: (
        "The database can't take it now; send it again",
        "store_down",
        "The database can't answer now. Nothing was stored; send it again in a few seconds.",
    ),
}
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    503: "Service Unavailable",
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Firedoor", "version": "1", "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in dict.fromkeys([*TAGS.values(), OTHERWISE])],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**{name: schema_of(shape) for name, shape in SHAPES.items()}, **_body_schemas()},
            "examples": {**_answer_examples(), **_problem_examples()},
        },
    }


def _answer_examples() -> dict[str, Any]:
    answers = {route.answer for route in ROUTES}
    return {name: {"value": example_of(SHAPES[name], SHAPES)} for name in SHAPES if name in answers}


def _problem_examples() -> dict[str, Any]:
    return {f"Problem{status}": {"value": problem_example(status)} for status in PROBLEMS} | {
        "VersionConflict": {"value": _conflict_example()}
    }


def problem_example(status: int) -> dict[str, Any]:
    _, code, sentence = PROBLEMS[status]
    errors = {"errors": [{"field": "severity", "detail": "is missing"}]} if status == 422 else {}
    told = {"type": f"urn:firedoor:problem:{code}", "title": TITLES[status], "status": status, "code": code}
    return {**told, "detail": sentence, **errors}


def _conflict_example() -> dict[str, Any]:
    whole = example_of(SHAPES["Problem"], SHAPES)
    said = "INC-042 changed since you read it (you have version 5, it is at 7). Nothing was changed."
    told = {"type": "urn:firedoor:problem:version_conflict", "code": "version_conflict", "detail": said}
    return {**{name: value for name, value in whole.items() if name != "errors"}, **told}


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Needs the role {route.needs}.",
        "tags": [TAGS.get(route.path.split("/")[1], OTHERWISE)],
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.method == "POST":
        operation["requestBody"] = _body(route)
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [_path_parameter(name) for name in ("name", "id", "n") if f"{{{name}}}" in route.path]
    for one in route.query:
        example = {"example": one.example} if one.example else {}
        found.append({"name": one.name, "in": "query", "description": one.about, "schema": _in_query(one), **example})
    if route.method == "POST":
        about = "Any text of your own; a repeat with the same one gets the first answer."
        schema = {"type": "string", "maxLength": 200}
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": about,
                "schema": schema,
                "example": "deploy-4711",
            }
        )
    if route.method == "GET":
        about = "The ETag of what you have; 304 without a body if nothing is new to read."
        found.append({"name": "If-None-Match", "in": "header", "description": about, "schema": TEXT})
    if route.versioned:
        about = "The ETag you read; 409 if somebody changed the incident since."
        found.append({"name": "If-Match", "in": "header", "description": about, "schema": TEXT, "example": '"7"'})
    return found


def _path_parameter(name: str) -> dict[str, Any]:
    if name == "name":
        return {"name": name, "in": "path", "required": True, "schema": TEXT, "example": "INC-042"}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}, "example": 1}


def _body(route: Route) -> dict[str, Any]:
    if route.raw:
        content: dict[str, Any] = {"schema": {"type": "object"}}
    else:
        content = {"schema": {"$ref": f"#/components/schemas/{_body_name(route)}"}}
    content["example"] = dict(route.example)
    return {
        "required": route.raw or any(one.required for one in route.fields),
        "content": {"application/json": content},
    }


def _body_name(route: Route) -> str:
    return "".join(word.capitalize() for word in route.name.split("_")) + "Fields"


def _body_schemas() -> dict[str, Any]:
    return {
        _body_name(route): _object(
            {one.name: _in_body(one) for one in (*route.fields, *((VERSION,) if route.versioned else ()))},
            required=[one.name for one in route.fields if one.required],
            closed=True,
        )
        for route in ROUTES
        if route.method == "POST" and not route.raw
    }


def _in_query(one: Field) -> dict[str, Any]:
    """`?cursor=` is how a form says nothing, and so does a program that asks for its first page."""
    schema = _schema(one)
    is_narrow = one.form or one.pattern or one.one_of or one.kind != "string"
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}]} if is_narrow else schema


def _in_body(one: Field) -> dict[str, Any]:
    """A field that may be left out may be null as well: that says the same."""
    schema = _schema(one)
    if one.required:
        return schema
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def _responses(route: Route) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": "Done" if route.method == "POST" else "Found",
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{route.answer}"},
                "examples": {route.answer: {"$ref": f"#/components/examples/{route.answer}"}},
            }
        },
    }
    if route.answer in ("Incident", "Done"):
        answer["headers"] = {"ETag": ETAG}
    elif route.method == "GET":
        answer["headers"] = {"ETag": LIST_ETAG}
    unchanged = (
        {"304": {"description": "Nothing is new to read since `If-None-Match`"}} if route.method == "GET" else {}
    )
    return unchanged | {
        str(route.status): answer,
        **{str(status): _problem(status, route) for status in _refusals(route)},
    }


def _refusals(route: Route) -> list[int]:
    found = [401, 422, 503]
    if route.needs != permissions.VIEWER:
        found.append(403)
    if "{" in route.path or route.raw or any(one.name == "name" for one in (*route.fields, *route.query)):
        found.append(404)
    if route.method == "POST":
        found += [413] if route.raw else [400, 409, 413, 415]
    return sorted(found)


def _problem(status: int, route: Route) -> dict[str, Any]:
    names = [f"Problem{status}", *(["VersionConflict"] if status == 409 and route.versioned else [])]
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {name: {"$ref": f"#/components/examples/{name}"} for name in names},
    }
    told: dict[str, Any] = {"description": PROBLEMS[status][0], "content": {MEDIA_TYPE: content}}
    return told | ({"headers": {"Retry-After": AGAIN}} if status == 503 else {})


def _schema(one: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": one.kind, "description": one.about}
    if one.kind == "array":
        schema |= {"items": {"type": "string", "maxLength": one.longest}, "maxItems": MOST_TEXTS}
    elif one.kind == "integer":
        schema |= {"minimum": 1, "maximum": 200} if one.name == "limit" else NUMBER
    elif one.kind == "numbers":
        schema |= {"type": "array", "items": {"type": "integer", **NUMBER}, "minItems": 1, "maxItems": 1000}
    elif one.one_of:
        schema["enum"] = list(one.one_of)
    else:
        schema |= {"maxLength": one.longest, **({"minLength": 1} if one.required else {})}
    if one.form:
        schema["format"] = one.form
    if one.pattern:
        schema["pattern"] = f"^{one.pattern}$"
    return schema


def _object(properties: dict[str, Any], *, required: list[str] | None = None, closed: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if closed:
        schema["additionalProperties"] = False
    return schema
