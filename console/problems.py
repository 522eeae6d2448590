"""What was refused, as RFC 9457 problem details: a code for programs, a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from incidents.errors import (
    FaultsFound,
    FiredoorError,
    MalformedPayload,
    NotAuthentic,
    NotFound,
    Refused,
)
from ports.database import StoreDown

MEDIA_TYPE = "application/problem+json"
TRY_AGAIN_AFTER = "2"  # seconds; a store that is down is looked at again soon

# Refused and its children say their own status.
STATUSES: tuple[tuple[type[FiredoorError], int], ...] = (
    (NotFound, 404),
    (NotAuthentic, 401),
    (MalformedPayload, 422),
    (FaultsFound, 422),
)

# Our own sentences for what werkzeug refuses before any of our code runs.
SENTENCES = {
    400: "The request could not be read. Nothing was done; mend it and send it again.",
    404: "There is no such address in this API. The addresses are listed at /api/docs.",
    405: "This address does not take {method}. Nothing was done; it takes {allowed}.",
    413: "The body is longer than 256 KiB. Nothing was done; send less.",
    500: "Something broke on our side. It was logged; look at the incident before you send it again.",
}


class FieldFaults(FiredoorError):
    """Fields of the request are missing or wrong. Nothing was done."""

    code = "malformed"

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        told = "; ".join(f"{name}: {what}" for name, what in faults)
        super().__init__(f"Nothing was done, because the request has {_count(faults)}: {told}.")
        self.faults = list(faults)


class NotReadable(FiredoorError):
    """The body is not JSON. Nothing was done."""

    code = "not_json"


class WrongType(FiredoorError):
    """The body's Content-Type is not application/json. Nothing was done; send JSON."""

    code = "wrong_content_type"


def problem(status: int, code: str, sentence: str, **more: Any) -> Response:
    """The one shape of a refusal."""
    answer = jsonify(
        {
            "type": f"urn:firedoor:problem:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": sentence,
            **more,
        }
    )
    answer.status_code = status
    answer.content_type = MEDIA_TYPE
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="firedoor"'
    if status == 503:
        answer.headers["Retry-After"] = TRY_AGAIN_AFTER
    return answer


def refused(error: FiredoorError) -> Response:
    return problem(status_of(error), error.code, error.sentence, **_more(error))


def store_down(error: Exception) -> Response:
    return problem(
        503, "store_down", "The database can't answer now. Nothing was stored; send it again in a few seconds."
    )


def refused_by_http(error: HTTPException) -> Response:
    """What werkzeug refuses, in the same shape."""
    status = error.code or 500
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    sentence = SENTENCES.get(status, error.description or HTTPStatus(status).phrase)
    answer = problem(
        status,
        HTTPStatus(status).phrase.lower().replace(" ", "_"),
        sentence.replace("{method}", request.method).replace("{allowed}", allowed),
    )
    if allowed:
        answer.headers["Allow"] = allowed
    return answer


def answer_problems(blueprint: Blueprint) -> None:
    """Everything that this blueprint refuses is told as a problem."""
    blueprint.register_error_handler(FiredoorError, refused)
    blueprint.register_error_handler(StoreDown, store_down)
    blueprint.register_error_handler(HTTPException, refused_by_http)
    for status in SENTENCES:  # Flask prefers the application's handler of a code to ours of all of them
        blueprint.register_error_handler(status, refused_by_http)


def status_of(error: FiredoorError) -> int:
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, NotReadable):
        return 400
    if isinstance(error, WrongType):
        return 415
    if isinstance(error, FieldFaults):
        return 422
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def _more(error: FiredoorError) -> Mapping[str, Any]:
    if isinstance(error, FieldFaults):
        return {"errors": [{"field": name, "detail": what} for name, what in error.faults]}
    if isinstance(error, FaultsFound):
        return {"errors": [{"field": f"{fault.file}:{fault.line}", "detail": fault.what} for fault in error.faults]}
    return {}


def _count(faults: Sequence[Any]) -> str:
    return "one fault" if len(faults) == 1 else f"{len(faults)} faults"
