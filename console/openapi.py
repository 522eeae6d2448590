"""The OpenAPI 3.1 document of the API, built from the table in routes.py."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from console.problems import MEDIA_TYPE
from console.routes import ROUTES, VERSION, Field, Route
from incidents import permissions

ABOUT = (
    "Firedoor's JSON API. Every call carries a bearer token; every refusal is an RFC 9457 problem with a `code` for "
    "programs and a sentence for people in `detail`. Every POST accepts an `Idempotency-Key`: the first answer is "
    "given again to whoever repeats the call."
)
TIME = {"type": "string", "format": "date-time"}
MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
MAYBE_TEXT = {"type": ["string", "null"]}
TEXT = {"type": "string"}
MILESTONES = (
    "acknowledged_at",
    "contained_at",
    "impact_over_at",
    "fixed_at",
    "resolved_at",
    "stood_down_at",
    "closed_at",
)
PROBLEMS = {
    400: "The body is not JSON",
    401: "The bearer token is missing, unknown or expired",
    403: "The account's role or team may not do that",
    404: "There is no such thing",
    409: "Not allowed now, or somebody changed it first",
    413: "The body is longer than 256 KiB",
    415: "The body is not application/json",
    422: "Fields are missing or wrong: all of them are listed",
    503: "The database can't take it now; send it again",
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Firedoor", "version": "1", "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**SCHEMAS, **_body_schemas()},
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.method == "POST":
        operation["requestBody"] = _body(route)
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [_path_parameter(name) for name in ("name", "id", "n") if f"{{{name}}}" in route.path]
    found += [
        {"name": one.name, "in": "query", "description": one.about, "schema": _schema(one)} for one in route.query
    ]
    if route.method == "POST":
        about = "Any text of your own; a repeat with the same one gets the first answer."
        schema = {"type": "string", "maxLength": 200}
        found.append({"name": "Idempotency-Key", "in": "header", "description": about, "schema": schema})
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
            {one.name: _schema(one) for one in (*route.fields, *((VERSION,) if route.versioned else ()))},
            required=[one.name for one in route.fields if one.required],
            closed=True,
        )
        for route in ROUTES
        if route.method == "POST" and not route.raw
    }


def _responses(route: Route) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": "Done" if route.method == "POST" else "Found",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{route.answer}"}}},
    }
    if route.answer in ("Incident", "Done"):
        answer["headers"] = {"ETag": {"description": "The incident's version", "schema": TEXT}}
    return {str(route.status): answer, **{str(status): _problem(status) for status in _refusals(route)}}


def _refusals(route: Route) -> list[int]:
    found = [401, 422, 503]
    if route.needs != permissions.VIEWER:
        found.append(403)
    if "{" in route.path or route.raw:
        found.append(404)
    if route.method == "POST":
        found += [413] if route.raw else [400, 409, 413, 415]
    return sorted(found)


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": schema}}}


def _schema(one: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": one.kind, "description": one.about}
    if one.kind == "array":
        schema["items"] = {"type": "string", "maxLength": one.longest}
    elif one.kind == "integer":
        schema |= {"minimum": 1, "maximum": 200} if one.name == "limit" else {"minimum": 0}
    elif one.kind == "numbers":
        schema |= {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 1000}
    elif one.one_of:
        schema["enum"] = list(one.one_of)
    else:
        schema["maxLength"] = one.longest
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


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _page_of(name: str) -> dict[str, Any]:
    return _object(
        {"items": _list_of({"$ref": f"#/components/schemas/{name}"}), "next": {"type": ["string", "integer", "null"]}},
        required=["items"],
    )


OPEN_OBJECT = {"type": "object"}
INCIDENT: dict[str, Any] = {
    "id": {**TEXT, "examples": ["INC-042"]},
    "status": {**TEXT, "enum": ["active", "contained", "resolved", "stood_down", "closed"]},
    "status_label": TEXT,
    "severity": {**TEXT, "examples": ["P1"]},
    "severity_label": TEXT,
    "title": TEXT,
    "summary": TEXT,
    "service": MAYBE_TEXT,
    "team": MAYBE_TEXT,
    "runbook": {"type": ["object", "null"]},
    "began_at": TIME,
    "detected_at": TIME,
    **dict.fromkeys(MILESTONES, MAYBE_TIME),
    "roles": OPEN_OBJECT,
    "header": OPEN_OBJECT,
    "alerts": _list_of(OPEN_OBJECT),
    "changes": _list_of(OPEN_OBJECT),
    "steps": _list_of(OPEN_OBJECT),
    "hearing": _list_of(OPEN_OBJECT),
    "next": {"type": ["object", "null"]},
    "deadlines": _list_of(OPEN_OBJECT),
    "offers": _list_of(OPEN_OBJECT),
    "warnings": _list_of(TEXT),
    "part_of": {"type": ["object", "null"]},
    "parts": _list_of(OPEN_OBJECT),
    "merged_into": MAYBE_TEXT,
    "proposal": MAYBE_TEXT,
    "version": {"type": "integer"},
    "links": OPEN_OBJECT,
}
ALERT: dict[str, Any] = {
    "id": {"type": "integer"},
    "source": TEXT,
    "fingerprint": TEXT,
    "status": {**TEXT, "enum": ["firing", "resolved"]},
    "title": TEXT,
    "labels": OPEN_OBJECT,
    "count": {"type": "integer"},
    "decision": MAYBE_TEXT,
    "why": TEXT,
    "silence": {"type": ["integer", "null"], "description": "The silence that mutes it."},
}
SILENCE: dict[str, Any] = {
    "id": {"type": "integer"},
    "state": {**TEXT, "enum": ["live", "ended", "lifted"]},
    "matchers": _list_of({"type": ["string", "array"]}),
    "starts_at": TIME,
    "ends_at": TIME,
    "author": OPEN_OBJECT,
    "reason": TEXT,
    "recurring": {"type": "boolean"},
    "lifted_at": MAYBE_TIME,
    "lifted_by": {"type": ["object", "null"]},
    "muted": {"type": "integer", "description": "Firings that woke nobody because of it."},
    "firing": {"type": "integer", "description": "Alerts that it mutes and that fire now."},
    "alerts": _list_of(OPEN_OBJECT),
    "links": OPEN_OBJECT,
}
NEEDED_OF_A_SILENCE = ["id", "state", "matchers", "starts_at", "ends_at", "author", "reason", "muted"]
SHADOW_REPORT: dict[str, Any] = {
    "since": TIME,
    "until": TIME,
    "name": TEXT,
    "in_shadow": _list_of(TEXT),
    "opened": _list_of(OPEN_OBJECT),
    "people": _list_of(OPEN_OBJECT),
    "switches": _list_of(OPEN_OBJECT),
    "cut": {"type": "boolean", "description": "There were more incidents; the oldest are left out."},
}
SCHEMAS: dict[str, Any] = {
    "Incident": _object(INCIDENT, required=["id", "status", "severity", "title", "version"]),
    "Done": _object(
        {**INCIDENT, "said": {**TEXT, "description": "What was done, in one sentence."}},
        required=["id", "status", "severity", "title", "version", "said"],
    ),
    "IncidentInList": _object(INCIDENT, required=["id", "status", "severity", "title"]),
    "IncidentList": _page_of("IncidentInList"),
    "Alert": _object(ALERT, required=["id", "source", "status", "title"]),
    "AlertList": _page_of("Alert"),
    "Entry": _object({"id": {"type": "integer"}, "at": TIME, "kind": TEXT, "actor": TEXT, "text": TEXT}),
    "Timeline": _page_of("Entry"),
    "Page": _object(
        {
            "person": TEXT,
            "kind": TEXT,
            "channel": MAYBE_TEXT,
            "due_at": TIME,
            "state": TEXT,
            "attempts": _list_of(OPEN_OBJECT),
        }
    ),
    "Pages": _object({"items": _list_of({"$ref": "#/components/schemas/Page"})}, required=["items"]),
    "Silence": _object(SILENCE, required=NEEDED_OF_A_SILENCE),
    "SilenceDone": _object(
        {**SILENCE, "said": {**TEXT, "description": "What was done, in one sentence."}},
        required=[*NEEDED_OF_A_SILENCE, "said"],
    ),
    "SilenceList": _object(
        {
            "items": _list_of({"$ref": "#/components/schemas/Silence"}),
            "next": MAYBE_TEXT,
            "windows": _list_of(OPEN_OBJECT),
        },
        required=["items", "windows"],
    ),
    "Proposals": _object(
        {
            "items": _list_of(
                _object(
                    {
                        "rule": {**TEXT, "description": "A line for `open` in the policy."},
                        "incidents": _list_of(TEXT),
                        "reasons": _list_of(TEXT),
                        "runbook": MAYBE_TEXT,
                    }
                )
            )
        },
        required=["items"],
    ),
    "Simulation": _object({"alerts": _list_of(OPEN_OBJECT)}, required=["alerts"]),
    "Resumed": _object({"said": TEXT}, required=["said"]),
    "ShadowReport": _object(SHADOW_REPORT, required=["since", "until", "opened", "people"]),
    "GoingLive": _object(
        {"name": TEXT, "report": {"$ref": "#/components/schemas/ShadowReport"}, "edit": OPEN_OBJECT, "said": TEXT},
        required=["name", "report", "edit", "said"],
    ),
    "Replayed": _object({"id": {"type": "integer"}, "state": TEXT, "said": TEXT}, required=["id", "state", "said"]),
    "Problem": _object(
        {
            "type": {**TEXT, "format": "uri-reference"},
            "title": TEXT,
            "status": {"type": "integer"},
            "code": TEXT,
            "detail": {**TEXT, "description": "What happened, what was not done, and what to do, for people."},
            "errors": _list_of(_object({"field": TEXT, "detail": TEXT})),
            "incident": {"$ref": "#/components/schemas/Incident"},
        },
        required=["type", "title", "status", "code", "detail"],
    ),
}
