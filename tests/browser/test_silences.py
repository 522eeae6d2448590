"""The pages of silences: asking for quiet, reading what it muted, and lifting it, on a desk and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CHECKOUT, Site, Visit
from tests.browser.test_console import DESKTOP, PHONE


def asks_for_quiet(page: Page, matchers: str = 'service="checkout"', reason: str = "The database moves") -> None:
    page.get_by_role("textbox", name="What to mute").fill(matchers)
    page.get_by_role("combobox", name="For how long").select_option("4h")
    page.get_by_role("textbox", name="Why?").fill(reason)
    page.get_by_role("button", name="Silence it").press("Enter")


def test_a_silence_is_asked_for_read_and_lifted_by_the_keyboard(site: Site, visit: Visit) -> None:
    page = visit.page
    site.sign_in(page)
    page.get_by_role("link", name="Silences").press("Enter")
    asks_for_quiet(page)

    expect(page.get_by_role("status")).to_contain_text("Silence 1 mutes what matches for 4 h")
    site.fires(CHECKOUT)
    assert site.desk.incidents() == []
    page.reload()
    muted = page.get_by_role("region", name="Muted alerts")
    expect(muted).to_contain_text("Silenced")

    muted.get_by_role("link").click()
    expect(page.get_by_text("Muted by silence 1 of Ada")).to_be_visible()
    page.get_by_role("link", name="Silence 1").click()
    page.get_by_role("button", name="Lift it now").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Silence 1 is lifted.")
    site.desk.settle()
    assert [one["id"] for one in site.desk.incidents()] == ["INC-001"]


def test_a_refused_silence_keeps_what_was_typed_without_scripts(site: Site, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    site.sign_in(page)
    page.goto(f"{site.url}/silences")

    asks_for_quiet(page, matchers='env!="prod"')

    expect(page.get_by_role("alert")).to_contain_text("Nothing was silenced")
    expect(page.get_by_role("textbox", name="What to mute")).to_have_value('env!="prod"')
    expect(page.get_by_role("textbox", name="Why?")).to_have_value("The database moves")
    assert page.get_by_role("combobox", name="For how long").input_value() == "4h"
    context.close()


def test_a_silence_that_begins_later_says_when_in_the_time_of_the_page(site: Site, visit: Visit) -> None:
    page = visit.page
    site.sign_in(page)
    page.goto(f"{site.url}/silences")
    page.get_by_label("When it begins").fill("2026-11-21T22:00")
    asks_for_quiet(page)

    expect(page.get_by_role("status")).to_contain_text("from 21 Nov 22:00 until 22 Nov 02:00 UTC")
    page.goto(f"{site.url}/silences")
    expect(page.get_by_role("region", name="Begin later")).to_contain_text("Silence 1: The database moves")
    site.fires(CHECKOUT)
    assert [one["id"] for one in site.desk.incidents()] == ["INC-001"]
    page.get_by_role("button", name="Lift silence 1").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("it mutes nothing")


def test_an_alert_fills_the_form_in(site: Site, visit: Visit) -> None:
    site.fires({**CHECKOUT, "instance": 'a"b\\c'})
    site.sign_in(visit.page)
    visit.page.goto(f"{site.url}/alerts/1")

    visit.page.get_by_role("link", name="Silence alerts like this one").click()
    expect(visit.page.get_by_role("textbox", name="What to mute")).to_have_value(
        'alertname="CheckoutErrorRateHigh"\nservice="checkout"\nenv="prod"\ninstance="a\\"b\\\\c"'
    )
    visit.page.get_by_role("textbox", name="Why?").fill("Known")
    visit.page.get_by_role("button", name="Silence it").click()

    expect(visit.page.get_by_role("status")).to_contain_text("Silence 1 mutes")


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark"), (PHONE, "light"), (DESKTOP, "dark")])
def test_the_pages_of_silences_are_accessible_and_fit(
    site: Site, browser: Browser, size: dict[str, int], scheme: str
) -> None:
    for reason in ("The database moves", "a_very_long_word_without_a_break" * 3):
        body = {"matchers": ['service=~"checkout|a_very_long_word_without_a_break"'], "for": "2h", "reason": reason}
        site.desk.api("POST", "/silences", expect=201, **body)
    site.desk.api("POST", "/silences/2/lift")
    site.desk.api("POST", "/silences", expect=201, **body, starts_at="2026-11-21T22:00:00Z")
    site.fires(CHECKOUT)
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    faults: list[str] = []
    site.sign_in(page)

    for path in ("/silences", "/silences/1"):
        page.goto(f"{site.url}{path}")
        found = Axe().run(page)
        faults += [f"{path}: {found.generate_report()}"] if found.violations_count else []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], f"{path} scrolls sideways"
        thumbed = "button:visible, select:visible" + (", .bar a:visible" if size["width"] < 1000 else "")
        small = page.locator(thumbed).evaluate_all(
            "all => all.filter(one => one.getBoundingClientRect().height < 43.5).map(one => one.textContent)"
        )
        assert small == [], f"{path}: too small for a thumb: {small}"
    context.close()
    assert not faults, "\n".join(faults)
