"""A real browser on a real site: the whole of Firedoor behind an HTTP server, and Debian's chromium before it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from console.watching import Watch
from firedoor.web import create_app
from tests.fixtures.desk import Desk, OpenDesk, add_token

INSTALL = "these tests need a browser: apt-get install chromium (or put one named chromium on PATH)"
ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
QUEUE = {"alertname": "QueueGrows", "service": "mailer", "severity": "warning", "queue": "newsletter"}
CHECKOUT = {"alertname": "CheckoutErrorRateHigh", "service": "checkout", "severity": "critical", "env": "prod"}


class Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        pass


@dataclass
class Site:
    """A desk whose web process listens on a port of this machine."""

    desk: Desk
    port: int = 0
    pages: list[Page] = field(default_factory=list)
    _server: BaseWSGIServer | None = None
    _watch: Watch | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """A web process begins, on the same port as the one before it."""
        self._watch = Watch(self.desk.house.database)
        app = create_app(self.desk.house, self._watch)
        self._server = make_server("127.0.0.1", self.port, app, threaded=True, request_handler=Silent)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """It ends: its streams end, and nobody listens any more."""
        assert self._server is not None
        assert self._watch is not None
        self._watch.stop()
        self._server.shutdown()
        self._server.server_close()

    def sign_in_link(self, person: str = "ada") -> str:
        token = add_token(self.desk.house, person, "signin")
        return f"{self.url}/signin?token={token}"

    def sign_in(self, page: Page, person: str = "ada") -> None:
        page.goto(self.sign_in_link(person))
        page.get_by_role("button", name="Sign in as").click()
        page.wait_for_url(f"{self.url}/")

    def let_in(self, context: BrowserContext, person: str = "ada") -> None:
        """The same without its pages, for tests of other pages: the browser's own cookies, by one request."""
        form = {"token": add_token(self.desk.house, person, "signin")}
        answer = context.request.post(f"{self.url}/signin", form=form, max_redirects=0)
        assert answer.status == 303, answer.text()

    def fires(self, labels: dict[str, str], **annotations: str) -> None:
        self.desk.alertmanager_says("firing", labels=labels, annotations=annotations)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Browsers see pages, not databases: one kind is enough here."""
    return sqlite_url


@pytest.fixture
def site(open_desk: OpenDesk) -> Iterator[Site]:
    site = Site(open_desk())
    site.start()
    yield site
    site.stop()
    site.desk.news()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield found
        found.close()


@dataclass
class Visit:
    """A page of a browser, and whatever its console complained about."""

    context: BrowserContext
    page: Page
    complaints: list[str]


@contextmanager
def visiting(browser: Browser, **how: Any) -> Iterator[Visit]:
    """A visit that fails its test if the browser complains."""
    context = browser.new_context(**how)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield Visit(context, page, complaints)
    finally:
        context.close()
    assert complaints == []


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """A visit from a desk."""
    with visiting(browser, viewport={"width": 1280, "height": 900}) as visit:
        yield visit
