"""Style, script and icon, under addresses that change with their content; and the headers of every answer."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
KEEP_FOR_A_YEAR = "public, max-age=31536000, immutable"  # the address changes with the file


def assets() -> Blueprint:
    """Style, script and icon, under addresses that change with their content; and the headers of every answer."""
    blueprint = Blueprint("assets", __name__)

    @blueprint.get("/assets/<digest>/<name>")
    def asset(digest: str, name: str) -> Response:
        if name not in KINDS:
            return Response("There is no such file.\n", status=404, content_type="text/plain; charset=utf-8")
        answer = Response((STATIC / name).read_bytes(), content_type=KINDS[name])
        answer.headers["Cache-Control"] = KEEP_FOR_A_YEAR if digest == _digest(name) else "no-store"
        return answer

    blueprint.after_app_request(add_headers)
    return blueprint


def add_headers(answer: Response) -> Response:
    """The security headers, on whatever is answered; only the assets may be kept by a cache."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _digest(name: str) -> str:
    return sha256((STATIC / name).read_bytes()).hexdigest()[:12]


KINDS = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
ASSETS = {name: f"/assets/{_digest(name)}/{name}" for name in KINDS}
