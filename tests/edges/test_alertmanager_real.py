"""A real Alertmanager at our door: its deliveries are stored, and what the store could not take comes again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select
from werkzeug.exceptions import NotFound
from werkzeug.serving import WSGIRequestHandler, make_server

from incidents.alerts import Alert
from incidents.tables import counter, inbox
from ports.clock import SystemClock
from ports.database import Database
from tests.fixtures.alertmanager import Alertmanager
from tests.fixtures.waiting import eventually
from webhooks.inbox import Hooks
from webhooks.sources import SOURCES

TOKEN = "a-token-of-32-random-bytes-or-more"


@dataclass
class Setting:
    kind: str = "alertmanager"
    enabled: bool = True


@dataclass
class Store:
    """What the door keeps."""

    database: Database

    def rows(self) -> list[Row[Any]]:
        with self.database.read() as work:
            return list(work.session.execute(select(inbox).order_by(inbox.c.id)))

    def alerts(self) -> list[Alert]:
        parse = SOURCES["alertmanager"].parse
        return [alert for row in self.rows() for alert in parse(row.source, row.body, row.headers)]

    def refused(self) -> int:
        with self.database.read() as work:
            return work.session.execute(select(counter.c.value)).scalar() or 0


class Quiet(WSGIRequestHandler):
    """No line a request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    database = Database(database_url, SystemClock(), wait=0.1)
    yield Store(database)
    database.close()


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    """The door behind a real HTTP server."""
    sources = {"alertmanager": Setting()}
    app = Hooks(NotFound(), database=store.database, sources=lambda: sources, secrets=lambda _: [TOKEN.encode()])
    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/hooks/alertmanager"
    server.shutdown()
    thread.join()
    server.server_close()


def config(address: str, token: str = TOKEN) -> dict[str, Any]:
    hook = {"url": address, "send_resolved": True, "http_config": {"authorization": {"credentials": token}}}
    route = {"receiver": "firedoor", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    return {"route": route, "receivers": [{"name": "firedoor", "webhook_configs": [hook]}]}


def alert(**times: datetime) -> dict[str, Any]:
    labels = {"alertname": "HighErrorRate", "service": "checkout", "severity": "critical"}
    return {"labels": labels, **{name: moment.isoformat() for name, moment in times.items()}}


def test_it_is_heard_when_it_fires_and_when_it_resolves(
    alertmanager: Callable[..., Alertmanager], address: str, store: Store
) -> None:
    sender = alertmanager(config(address))
    began = datetime.now(UTC) - timedelta(minutes=1)

    sender.post([alert(startsAt=began)])
    eventually(store.rows, 20, "the firing is stored")
    sender.post([alert(startsAt=began, endsAt=datetime.now(UTC))])
    eventually(lambda: len(store.rows()) > 1, 20, "the resolve is stored")

    fired, resolved = store.alerts()
    assert (fired.status, resolved.status) == ("firing", "resolved")
    assert fired.fingerprint == resolved.fingerprint
    assert store.rows()[0].headers["User-Agent"].startswith("Alertmanager/")


def test_it_comes_again_after_our_503(
    alertmanager: Callable[..., Alertmanager],
    address: str,
    store: Store,
    store_down: Callable[[], AbstractContextManager[None]],
) -> None:
    sender = alertmanager(config(address))

    with store_down():
        sender.post([alert(startsAt=datetime.now(UTC))])
        eventually(lambda: "503" in sender.log(), 20, "Alertmanager was answered 503")

    eventually(store.rows, 20, "the retry is stored")
    assert [found.status for found in store.alerts()] == ["firing"]


def test_with_a_wrong_token_it_is_refused_and_counted(
    alertmanager: Callable[..., Alertmanager], address: str, store: Store
) -> None:
    sender = alertmanager(config(address, token="another-token"))

    sender.post([alert(startsAt=datetime.now(UTC))])

    eventually(store.refused, 20, "the refusal is counted")
    assert not store.rows()
