"""The floor of a post: gunicorn and Flask as we run them, answering JSON with JSON and doing nothing else.

`python -m bench.echo PORT` serves until it is ended.
"""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask, request
from gunicorn.app.base import BaseApplication

from firedoor.processes import THREADS


class Echo(BaseApplication):  # type: ignore[misc]
    """One worker with the web process's own number of threads."""

    def load_config(self) -> None:
        told: dict[str, Any] = {
            "bind": f"127.0.0.1:{sys.argv[1]}",
            "threads": THREADS,
            "worker_class": "gthread",
            "keepalive": 75,
            "control_socket_disable": True,
            "loglevel": "error",
        }
        for name, value in told.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        app = Flask("echo")

        @app.post("/<path:path>")
        def echo(path: str) -> tuple[dict[str, Any], int]:
            return {"alerts": len(request.get_json()["alerts"])}, 202

        return app


if __name__ == "__main__":
    Echo().run()
