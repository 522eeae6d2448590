"""Who sends the same request twice: by the Idempotency-Key of the API, or by the mark that each page's forms carry."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Request

from incidents.once import Once

MARK = "once"  # the field of a form; every page that is shown has a mark of its own
LONGEST_MARK = 100
OF_THE_PAGE = ("csrf", MARK)  # not of what the person asks for


def of_call(request: Request, key: str) -> Once:
    """A POST with an Idempotency-Key. The key counts for one token and one address only."""
    whose = request.headers.get("Authorization", "")
    asked = request.get_data(cache=True) + b"\n" + request.headers.get("If-Match", "").encode()
    return Once.of(whose, request.method, request.full_path, key, body=asked)


def of_form(request: Request, whose: str) -> Once | None:
    """A form that was sent: one button of one page as one person saw it. A second tap is the first one again."""
    mark = request.form.get(MARK, "")
    if not 0 < len(mark) <= LONGEST_MARK:
        return None
    asked = urlencode([pair for pair in request.form.items(multi=True) if pair[0] not in OF_THE_PAGE])
    return Once.of("form", whose, request.path, mark, asked)
