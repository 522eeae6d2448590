"""The web process as it is shipped, gunicorn and all: pages that watch leave room for what pages people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from ports.clock import SystemClock
from ports.database import Database
from tests.edges.installation import Installation, until
from tests.fixtures.desk import TOKEN, add_token

VIEWERS = 40
AT_ONCE = 10  # seconds, on a machine that does other things; without a free thread it would be the minute of a stream
ALERT = {"labels": {"alertname": "DbDown", "severity": "critical"}, "status": "firing", "annotations": {}}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Installation]:
    """`firedoor web` and nothing else, on SQLite."""
    installation = Installation(tmp_path, FIREDOOR_ALERTMANAGER_TOKEN=TOKEN)
    assert installation.run("release").returncode == 0
    running = installation.start("web")
    until(lambda: _answers(installation), why=running.log)
    yield installation
    installation.end()


def _answers(installation: Installation) -> bool:
    try:
        return requests.get(f"{installation.url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def test_forty_pages_that_watch_take_nothing_from_intake_and_readiness(web: Installation) -> None:
    with ExitStack() as watching:
        for viewer in _browsers(web):
            stream = watching.enter_context(viewer.get(f"{web.url}/live", stream=True, timeout=AT_ONCE))
            assert (stream.status_code, stream.headers["Content-Type"]) == (200, "text/event-stream")
            assert next(stream.iter_lines()).startswith(b"retry:")

        ready = requests.get(f"{web.url}/readyz", timeout=AT_ONCE)
        taken = requests.post(
            f"{web.url}/hooks/alertmanager",
            data=json.dumps({"version": "4", "status": "firing", "alerts": [ALERT]}),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            timeout=AT_ONCE,
        )

        assert ready.status_code == 200, ready.text
        assert taken.status_code == 202, taken.text


def _browsers(web: Installation) -> Iterator[requests.Session]:
    """Each with a connection of its own, all signed in as one person."""
    store = Database(f"sqlite:///{web.folder}/var/firedoor.db", SystemClock())
    token = add_token(cast(Any, SimpleNamespace(database=store)), "me", "signin")
    store.close()
    first = requests.Session()
    signed = first.post(f"{web.url}/signin", data={"token": token}, timeout=AT_ONCE, allow_redirects=False)
    assert signed.status_code == 303, signed.text
    for _ in range(VIEWERS):
        one = requests.Session()
        one.cookies.update(first.cookies)
        yield one
