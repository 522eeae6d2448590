"""A press on a bad line: it can be made again, it counts once, and what was typed is never lost."""

from __future__ import annotations

import json

from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import CHECKOUT, Site, Visit

PRESS = "document.querySelector('form[action$=\"/note\"]').requestSubmit()"
OFFLINE = "Not connected: nothing you press is sent. Your text is kept."


def opened(site: Site, page: Page) -> None:
    site.fires(CHECKOUT)
    site.sign_in(page)
    page.goto(f"{site.url}/i/INC-001")


def kept(page: Page) -> str:
    return json.dumps(page.evaluate("Object.entries(sessionStorage)"))


def test_a_press_that_hangs_can_be_made_again_after_some_seconds(site: Site, visit: Visit) -> None:
    page, asked = visit.page, list[Route]()

    def leave_the_first_one(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=204)  # as after Stop: nothing came back, and the page is still there
        else:
            route.continue_()

    page.clock.install()
    opened(site, page)
    page.route("**/note", leave_the_first_one)
    page.get_by_role("textbox", name="Note").fill("The queue grows")

    page.evaluate(PRESS)
    page.evaluate(PRESS)
    page.clock.run_for(4_000)
    page.evaluate(PRESS)
    assert len(asked) == 1, "a tap within the seconds is the first one"

    page.clock.run_for(1_500)
    page.evaluate(PRESS)
    expect(page.get_by_role("status")).to_be_visible()
    assert len(asked) == 2
    assert site.desk.timeline().count("The queue grows") == 1


def test_a_press_whose_answer_was_lost_counts_once_though_the_page_changed_meanwhile(site: Site, visit: Visit) -> None:
    page, lost = visit.page, list[Route]()

    def lose_the_first_answer(route: Route) -> None:
        if not lost:
            lost.append(route)
            route.fetch(max_redirects=0)  # it arrives, and its answer does not
            route.fulfill(status=204)
        else:
            route.continue_()

    opened(site, page)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.route("**/escalate", lose_the_first_answer)
    page.locator("summary", has_text="Escalate now").click()
    page.locator("#why-escalate").fill("I am alone")
    page.evaluate("document.querySelector('form[action$=\"/escalate\"]').requestSubmit()")
    expect(page.get_by_role("log")).to_contain_text("I am alone")
    page.locator("h1").click()

    again = page.locator('form[action$="/escalate"]:not([data-sent])')
    expect(again).to_have_count(1, timeout=15_000)
    again.evaluate("form => form.requestSubmit()")
    page.wait_for_load_state()
    expect(page.get_by_role("status")).to_be_visible()
    assert site.desk.kinds().count("escalated.person") == 1


def test_what_was_typed_outlives_a_reload_until_its_press_went_through(site: Site, visit: Visit) -> None:
    page = visit.page
    opened(site, page)
    note = page.get_by_role("textbox", name="Note")
    note.fill("The queue grows")
    page.locator("summary", has_text="Escalate now").click()
    page.locator("#why-escalate").fill("I am alone")

    page.goto(f"{site.url}/alerts")
    page.goto(f"{site.url}/i/INC-001")
    expect(note).to_have_value("The queue grows")
    expect(page.locator("#why-escalate")).to_be_visible()
    expect(page.locator("#why-escalate")).to_have_value("I am alone")

    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("log")).to_contain_text("The queue grows")
    expect(note).to_have_value("")
    page.goto(f"{site.url}/i/INC-001")
    expect(note).to_have_value("")
    expect(page.locator("#why-escalate")).to_have_value("I am alone")


def lost(page: Page) -> None:
    """A press that arrives, and nothing comes back of it."""

    def lose(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.fulfill(status=204)

    page.route("**/note", lose, times=1)
    with page.expect_response("**/note"):
        page.evaluate(PRESS)
    page.context.clear_cookies(name="firedoor-said")


def test_a_press_whose_answer_was_lost_counts_once_when_it_is_made_again(site: Site, visit: Visit) -> None:
    page = visit.page
    opened(site, page)
    note = page.get_by_role("textbox", name="Note")
    note.fill("The queue grows")
    lost(page)

    page.goto(f"{site.url}/i/INC-001")
    expect(note).to_have_value("The queue grows")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert site.desk.timeline().count("The queue grows") == 1

    note.fill("It still grows")
    lost(page)
    page.goto(f"{site.url}/i/INC-001")
    note.fill("It shrinks again")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert site.desk.timeline()[-2:] == ["It still grows", "It shrinks again"], "other words are a press of their own"


def test_while_the_browser_is_offline_a_banner_says_so_and_a_press_waits(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    opened(site, page)
    note, banner = page.get_by_role("textbox", name="Note"), page.get_by_text(OFFLINE)
    note.fill("The queue grows")
    expect(banner).to_be_hidden()

    context.set_offline(True)
    expect(banner).to_be_visible()
    page.get_by_role("button", name="Add the note").click()
    expect(page).to_have_url(f"{site.url}/i/INC-001")
    expect(note).to_have_value("The queue grows")

    context.set_offline(False)
    expect(banner).to_be_hidden()
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("log")).to_contain_text("The queue grows")
    context.close()


def test_a_page_that_is_shown_again_takes_presses_again(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    opened(site, page)
    page.evaluate("document.querySelectorAll('form').forEach(form => { form.dataset.sent = 'yes'; })")

    context.set_offline(True)  # else it loads anew, which lifts everything
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")

    expect(page.locator("form[data-sent]")).to_have_count(0)
    context.close()


def test_no_password_is_kept_and_signing_out_forgets_what_was_typed(site: Site, visit: Visit) -> None:
    page = visit.page
    opened(site, page)
    page.get_by_role("textbox", name="Note").fill("The queue grows")
    assert "The queue grows" in kept(page)

    page.goto(f"{site.url}/password")
    for field in page.locator("input[type=password]").all():
        field.fill("four words nobody guesses")
    page.goto(f"{site.url}/tokens")
    page.get_by_role("textbox", name="What is it for?").fill("four words nobody guesses")
    assert "four words" not in kept(page)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out")).to_be_visible()
    assert "The queue grows" not in kept(page)
