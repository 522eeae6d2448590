"""The pictures of the README, taken anew: one incident from its page to the stand-down (`make pictures`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import delete, insert

from incidents.tables import part
from tests.browser.conftest import CHECKOUT, QUEUE, Site
from tests.fixtures.desk import OpenDesk
from tests.fixtures.valkey import Valkey

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SAID = {"summary": "12 % of checkouts fail (was 0.3 %)", "impact": "One in eight customers can't pay"}


class Camera:
    """The same page on a desk by day and on a phone at night."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site = site
        self._contexts = {
            "desk": browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light"),
            "phone": browser.new_context(
                viewport={"width": 390, "height": 800}, color_scheme="dark", device_scale_factor=1.5, is_mobile=True
            ),
        }
        self._pages: dict[str, Page] = {}
        for name, context in self._contexts.items():
            self._pages[name] = context.new_page()
            site.sign_in(self._pages[name])

    def takes(self, name: str, path: str) -> None:
        self._all_parts_work()
        for device, page in self._pages.items():
            page.goto(self._site.url + path)
            page.wait_for_load_state()
            page.screenshot(path=PICTURES / f"{name}-{device}.png")

    def _all_parts_work(self) -> None:
        """The desk has no clock and no workers of its own; a house has, and its pages say nothing of them."""
        with self._site.desk.house.database.work() as work:
            work.session.execute(delete(part))
            for kind in ("clock", "worker"):
                work.session.execute(
                    insert(part).values(name=f"{kind}-1", kind=kind, started_at=work.now, worked_at=work.now)
                )

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()


@pytest.fixture
def site(open_desk: OpenDesk, valkey: Valkey) -> Iterator[Site]:
    site = Site(open_desk(redis_url=valkey.url))
    site.start()
    yield site
    site.stop()
    site.desk.news()


@pytest.fixture
def camera(site: Site, browser: Browser) -> Iterator[Camera]:
    PICTURES.mkdir(exist_ok=True)
    camera = Camera(site, browser)
    yield camera
    camera.close()


def test_the_pictures_of_the_readme(site: Site, camera: Camera) -> None:
    desk = site.desk
    desk.deploys("checkout", "v42", at="2026-11-21T14:25:00Z", by="Cy")
    desk.forward(minutes=10)
    site.fires(QUEUE, summary="312 newsletters wait")
    site.fires(CHECKOUT, **SAID)
    desk.news()
    desk.forward(minutes=2)

    camera.takes("1-link", desk.links["ada"])
    camera.takes("2-now", "/")
    camera.takes("3-incident", "/i/INC-001")

    desk.press("ada", "acknowledge")
    desk.forward(minutes=1)
    desk.does("impact", scope="many", workaround="no", revenue="yes")
    camera.takes("4-contain", "/i/INC-001")

    for n in (1, 2, 3):
        desk.does(f"steps/{n}", outcome="done")
        desk.forward(minutes=1)
    desk.does("contain", note="The flag is off")
    desk.does("notes", text="/finding Guests without an address could not pay")
    desk.forward(minutes=6)
    camera.takes("5-contained", "/i/INC-001")

    desk.alertmanager_says("resolved", labels=CHECKOUT, annotations=SAID)
    desk.forward(minutes=12)
    if desk.incident()["status"] != "resolved":
        desk.does("resolve")
    desk.does("stand-down", note="Thank you all")
    desk.forward(minutes=1)
    camera.takes("6-stood-down", "/i/INC-001")
    camera.takes("7-picture", "/i/INC-001/picture")
