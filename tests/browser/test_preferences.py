"""Theme, time zone and keys: what a browser keeps for itself, with and without scripts."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from firedoor.web import create_app
from tests.browser.conftest import Site
from tests.fixtures.desk import Desk


def test_the_theme_is_turned_without_scripts_and_stays(site: Site, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, color_scheme="light")
    page = context.new_page()
    site.sign_in(page)
    assert page.locator("html").get_attribute("data-theme") is None

    page.get_by_role("button", name="Dark theme").click()
    expect(page).to_have_url(f"{site.url}/")
    page.goto(f"{site.url}/alerts")

    assert page.locator("html").get_attribute("data-theme") == "dark"
    expect(page.get_by_role("button", name="Light theme")).to_be_visible()
    expect(page.get_by_role("button", name="Dark theme")).to_be_hidden()
    context.close()


def test_times_are_the_viewers_own_where_the_browser_says_its_zone(site: Site, browser: Browser) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    site.sign_in(page)

    expect(page.get_by_text("Times are in Asia/Tokyo (UTC+9).")).to_be_visible()

    page.goto(f"{site.url}/preferences")
    page.get_by_role("combobox", name="Time zone").select_option("America/New_York")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("Times are in America/New_York")).to_be_visible()
    context.close()


def test_a_preference_that_nobody_knows_changes_nothing(desk: Desk) -> None:
    client = create_app(desk.house).test_client()

    for chosen in (
        {"theme": "pink"},
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"keys": "maybe"},
        {"key-note": "e"},
    ):
        answer = client.post("/preferences", data=chosen)
        assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (422, []), chosen


def test_a_preference_leads_back_to_a_page_of_ours_only(desk: Desk) -> None:
    client = create_app(desk.house).test_client()
    asked = {
        "/alerts": "/alerts",
        "//evil.example": "/preferences",
        "https://evil.example/": "/preferences",
        "/\\evil.example": "/preferences",
        "/a\r\nSet-Cookie: x=1": "/preferences",
    }

    for back, goes in asked.items():
        answer = client.post("/preferences", data={"theme": "dark", "back": back})
        assert answer.headers["Location"] == goes, back


def test_whatever_a_cookie_says_a_page_comes_out(desk: Desk) -> None:
    client = create_app(desk.house).test_client()
    for value in ("", "nonsense", "../..", "A" * 3000, "\xff\x00"):
        for name in ("theme", "zone", "keys", "keymap"):
            client.set_cookie(f"firedoor-{name}", value)
        answer = client.get("/preferences")
        assert answer.status_code == 200
        assert re.search(r"<html lang=\"en\">", answer.get_data(as_text=True))


def test_a_form_of_another_site_turns_nothing(desk: Desk) -> None:
    client = create_app(desk.house).test_client()
    answer = client.post("/preferences", data={"theme": "dark"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
