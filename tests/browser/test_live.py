"""A page stays true while it is looked at: what changes elsewhere is there, and nothing of the reader is lost."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CHECKOUT, QUEUE, Site, Visit

SOON = 5_000  # milliseconds: the bound of these tests on a busy machine; bench.console measures the second


def watching(site: Site, page: Page, path: str = "/i/INC-001") -> None:
    site.sign_in(page)
    page.goto(f"{site.url}{path}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=SOON)


def test_what_others_do_is_on_the_page_without_a_reload(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    watching(site, visit.page)
    visit.page.evaluate("document.body.dataset.mark = 'the same page'")

    site.desk.does("acknowledge", by="ben")

    header = visit.page.get_by_role("region", name="The five questions")
    expect(header).to_contain_text("Ben has it since", timeout=SOON)
    expect(visit.page.get_by_role("log")).to_contain_text("Ben has it. Escalation has stopped.", timeout=SOON)
    assert visit.page.evaluate("document.body.dataset.mark") == "the same page"


def test_what_is_typed_and_what_is_open_survive_a_change(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    watching(site, visit.page)
    page = visit.page
    page.locator("summary", has_text="Escalate now").click()
    why = page.locator("#why-escalate")
    why.fill("The queue grows")
    page.locator("h1").click()

    site.desk.does("acknowledge", by="ben")

    expect(page.get_by_role("region", name="The five questions")).to_contain_text("Ben has it", timeout=SOON)
    expect(page.get_by_role("region", name="What you can do")).not_to_contain_text("I am still on it")
    expect(why).to_be_visible()
    expect(why).to_have_value("The queue grows")


def test_the_focus_stays_on_its_own_press_among_several_of_the_same_words(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    watching(site, visit.page)
    page = visit.page
    focused = "(e => e.form && e.form.getAttribute('action') + ' ' + e.value)(document.activeElement)"
    presses = [one for one in page.locator('[data-region="steps"] form button').all() if one.is_visible()]
    words = [one.inner_text().strip() for one in presses]
    twice = next(n for n, text in enumerate(words) if text in words[:n])
    presses[twice].focus()
    before = page.evaluate(focused)
    assert before

    site.desk.does("notes", text="The queue grows")
    site.desk.does("steps/1", outcome="done", by="ben")

    expect(page.get_by_role("log")).to_contain_text("The queue grows", timeout=SOON)
    expect(page.locator('[data-region="steps"]')).to_contain_text("✓", timeout=SOON)
    assert page.evaluate(focused) == before


def test_entries_wait_in_a_pill_while_somebody_reads_the_timeline(site: Site, browser: Browser) -> None:
    site.fires(CHECKOUT)
    for n in range(12):
        site.desk.does("notes", text=f"What we saw, number {n}")
    page = browser.new_page(viewport={"width": 360, "height": 640})
    watching(site, page)
    read = page.get_by_role("log").get_by_text("What we saw, number 3")
    read.scroll_into_view_if_needed()
    before = read.bounding_box()

    site.desk.does("notes", text="The newest of all")
    site.desk.does("notes", text="And one more")

    pill = page.get_by_role("button", name="2 new")
    expect(pill).to_be_visible(timeout=SOON)
    assert read.bounding_box() == before, "nothing moves under the finger"
    pill.click()
    expect(page.get_by_role("log").get_by_role("listitem").first).to_contain_text("And one more")
    expect(pill).to_be_hidden()
    page.close()


def test_a_page_outlives_the_web_process_and_misses_nothing(site: Site, browser: Browser) -> None:
    site.fires(CHECKOUT)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watching(site, page)

    site.stop()
    expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting", timeout=4 * SOON)
    site.desk.does("notes", text="Said while nobody listened")
    site.start()

    expect(page.get_by_role("log")).to_contain_text("Said while nobody listened", timeout=4 * SOON)
    assert page.get_by_role("log").get_by_text("Said while nobody listened").count() == 1
    expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=SOON)
    page.close()


def test_the_list_shows_a_new_incident_and_who_took_it(site: Site, visit: Visit) -> None:
    watching(site, visit.page, "/")
    expect(visit.page.get_by_text("No open incidents.")).to_be_visible()

    site.fires(CHECKOUT)
    expect(visit.page.get_by_role("link", name="INC-001")).to_be_visible(timeout=SOON)
    expect(visit.page).to_have_title(re.compile("1 open"), timeout=SOON)

    site.desk.does("acknowledge", by="ben")
    expect(visit.page.get_by_text("Ben has it")).to_be_visible(timeout=SOON)


def test_where_there_is_no_room_for_a_stream_the_page_looks_again_by_itself(site: Site, browser: Browser) -> None:
    site.fires(QUEUE)
    page = browser.new_page()
    page.route("**/live?*", lambda route: route.fulfill(status=503, body="full"))
    page.clock.install()
    site.sign_in(page)

    site.fires(CHECKOUT)
    page.clock.run_for(40_000)

    expect(page.get_by_role("link", name="INC-001")).to_be_visible(timeout=SOON)
    expect(page.locator("#live")).to_have_attribute("data-state", "stale")
    page.close()


def test_the_wallboard_shows_a_new_incident_before_it_would_ask_by_itself(site: Site, visit: Visit) -> None:
    site.sign_in(visit.page)
    visit.page.goto(f"{site.url}/wall")
    expect(visit.page.get_by_text("No open incidents.")).to_be_visible()

    site.fires(CHECKOUT)

    expect(visit.page.get_by_role("heading", name="1 open")).to_be_visible(timeout=SOON)
