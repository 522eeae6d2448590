"""Style, script and icons, under addresses that change with their content; and the headers of every answer."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, request

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
KEEP_FOR_A_YEAR = "public, max-age=31536000, immutable"  # the address changes with the file
STYLE = "text/css; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
PICTURE = "image/svg+xml"
# Pico lies in a layer of its own below ours: a rule of ours wins whatever Pico's selector is.
BELOW = "vendor/pico.classless.min.css"
# What is served under one name, and the files that it is made of, in their order.
FILES = {
    "console.css": (STYLE, (BELOW, "tokens.css", "components.css", "frame.css", "pages.css", "live.css")),
    "incident.css": (STYLE, ("incident.css",)),
    "console.js": (SCRIPT, ("console.js", "pressing.js")),
    "live.js": (SCRIPT, ("live.js",)),
    **{f"icon{tone}.svg": (PICTURE, (f"icon{tone}.svg",)) for tone in ("", "-P0", "-P1", "-P2", "-P3")},
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One served file, read once."""

    kind: str
    body: bytes
    packed: bytes
    digest: str


def assets() -> Blueprint:
    """Style, script and icons, under addresses that change with their content; and the headers of every answer."""
    blueprint = Blueprint("assets", __name__)

    @blueprint.get("/assets/<digest>/<name>")
    def asset(digest: str, name: str) -> Response:
        found = READ.get(name)
        if found is None:
            return Response("There is no such file.\n", status=404, content_type="text/plain; charset=utf-8")
        takes_gzip = request.accept_encodings.quality("gzip") > 0
        answer = Response(found.packed if takes_gzip else found.body, content_type=found.kind)
        if takes_gzip:
            answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
        answer.headers["Cache-Control"] = KEEP_FOR_A_YEAR if digest == found.digest else "no-store"
        return answer

    blueprint.after_app_request(add_headers)
    return blueprint


def add_headers(answer: Response) -> Response:
    """The security headers, on whatever is answered; only the assets may be kept by a cache."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def _read(kind: str, parts: tuple[str, ...]) -> Asset:
    body = b"\n".join(_part(part) for part in parts)
    return Asset(kind, body, gzip.compress(body, 9, mtime=0), sha256(body).hexdigest()[:12])


def _part(name: str) -> bytes:
    text = (STATIC / name).read_bytes()
    return b"@layer below{" + text.removeprefix(b'@charset "UTF-8";') + b"}" if name == BELOW else text


READ = {name: _read(kind, parts) for name, (kind, parts) in FILES.items()}
ASSETS = {name: f"/assets/{one.digest}/{name}" for name, one in READ.items()}
