"""The console as people use it: signed in, pressing buttons, on a desk and on a phone, with and without scripts."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CHECKOUT, QUEUE, Site, Visit, visiting
from tests.edges.routes import CONSOLE

PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
PAGES = (
    "/", "/search", "/alerts", "/inbox", "/silences", "/people", "/severities", "/runbooks", "/policy",
    "/health", "/shadow", "/funnel", "/wall", "/declare", "/preferences", "/accounts", "/tokens", "/audit", "/password",
    "/api/docs",
)  # fmt: skip
PAGES_OF_ONE = ("/i/INC-001", "/i/INC-001/picture", "/alerts/2", "/inbox/1", "/runbooks/checkout-error-rate")


def test_a_sign_in_link_signs_in_once_and_only_by_a_press(site: Site, visit: Visit) -> None:
    link = site.sign_in_link()

    visit.page.goto(link)
    visit.page.goto(link)
    visit.page.get_by_role("button", name="Sign in as Ada").click()
    expect(visit.page.get_by_role("heading", name="Open incidents")).to_be_visible()

    visit.page.goto(link)
    expect(visit.page.get_by_text("was used already")).to_be_visible()


def test_signing_out_ends_the_session(site: Site, visit: Visit) -> None:
    site.sign_in(visit.page)
    kept = visit.context.cookies()

    visit.page.get_by_role("button", name="Sign out").click()
    expect(visit.page.get_by_text("You are signed out")).to_be_visible()

    visit.context.add_cookies(kept)
    assert visit.page.request.get(f"{site.url}/").status == 401


def test_a_suggested_alert_opens_with_one_press(site: Site, visit: Visit) -> None:
    site.fires(QUEUE)
    site.sign_in(visit.page)

    assert visit.page.get_by_role("combobox", name="Severity of").input_value() == "P3"
    visit.page.get_by_role("button", name="Open").click()

    expect(visit.page).to_have_url(f"{site.url}/i/INC-001")
    expect(visit.page.get_by_role("status")).to_have_text("INC-001 is open.")


def test_an_incident_is_worked_from_its_page_until_the_team_stands_down(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT, summary="12 % of checkouts fail", impact="One in eight customers can't pay")
    page = visit.page
    site.sign_in(page)
    page.get_by_role("link", name="INC-001").click()
    expect(page.get_by_role("region", name="The five questions")).to_contain_text("One in eight customers can't pay")

    page.get_by_role("region", name="Next").get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("region", name="The five questions")).to_contain_text("Ada has it since")

    while page.get_by_role("region", name="Next").get_by_role("button", name="Confirmed", exact=True).count():
        page.get_by_role("region", name="Next").get_by_role("button", name="Confirmed", exact=True).click()
    expect(page.get_by_text("Contain before diagnose").first).to_be_visible()
    page.get_by_role("region", name="Next").get_by_role("button", name="It worked").click()
    page.get_by_role("region", name="Next").get_by_role("button", name="Mark as contained").click()
    expect(page.get_by_text("Contain before diagnose")).to_have_count(0)

    page.get_by_role("textbox", name="Note").fill("The flag was on <b>for everybody</b>")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("log")).to_contain_text("The flag was on <b>for everybody</b>")

    for verb in ("Resolve", "Stand the team down"):
        choices = page.get_by_role("region", name="What you can do")
        choices.locator("summary", has_text=verb).click()
        choices.get_by_role("button", name=verb).click()
    expect(page.get_by_role("status")).to_contain_text("Stood down")
    assert site.desk.incident()["status"] == "stood_down"


def test_a_step_is_skipped_only_with_a_reason(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    site.sign_in(visit.page)
    visit.page.goto(f"{site.url}/i/INC-001")
    next_step = visit.page.get_by_role("listitem").filter(has=visit.page.locator("summary", has_text="Skip step 1,"))

    next_step.locator("summary").click()
    next_step.get_by_role("button", name="Skip it").click()
    assert site.desk.incident()["steps"][0]["state"] == "waiting", "the browser asks for the reason first"
    next_step.get_by_role("textbox").fill("Seen in the graph already")
    next_step.get_by_role("button", name="Skip it").click()

    visit.page.wait_for_load_state()
    step = site.desk.incident()["steps"][0]
    assert (step["state"], step["actual"]) == ("skipped", "Seen in the graph already")


def test_the_severity_form_prints_who_hears_beside_each_choice(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    site.sign_in(visit.page)
    visit.page.goto(f"{site.url}/i/INC-001")
    before = site.desk.incident()["severity"]

    visit.page.locator("summary", has_text="Change the severity").click()
    expect(visit.page.get_by_text("leadership, affected clients told within 30 min")).to_be_visible()
    visit.page.get_by_role("radio", name="P2").check()
    visit.page.get_by_role("button", name="Set the severity").click()

    expect(visit.page.get_by_role("status")).to_be_visible()
    assert (before, site.desk.incident()["severity"]) != ("P2", "P2")
    assert site.desk.incident()["severity"] == "P2"


def test_a_refused_press_says_why_and_keeps_what_was_typed(site: Site, browser: Browser) -> None:
    site.fires(CHECKOUT)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    site.sign_in(page)
    page.goto(f"{site.url}/i/INC-001")
    csrf = page.locator("input[name=csrf]").first.get_attribute("value") or ""

    answer = page.request.post(
        f"{site.url}/i/INC-001/stand_down", form={"csrf": csrf, "note": "We are done here, thank you"}
    )

    assert answer.status == 409
    assert "Resolve it" in answer.text() or "resolve it" in answer.text()
    assert "We are done here, thank you" in answer.text()
    context.close()


def test_everything_works_without_scripts(site: Site, browser: Browser) -> None:
    site.fires(CHECKOUT)
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    site.sign_in(page)
    page.goto(f"{site.url}/i/INC-001")

    page.get_by_role("navigation", name="Quick answers").get_by_role("button", name="Acknowledge").click()

    expect(page.get_by_role("status")).to_contain_text("You have it")
    assert site.desk.incident()["taken_by"] == {"id": "ada", "name": "Ada"}
    context.close()


def test_a_double_press_does_it_once(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    site.sign_in(visit.page)
    visit.page.goto(f"{site.url}/i/INC-001")

    visit.page.get_by_role("textbox", name="Note").fill("once")
    visit.page.get_by_role("button", name="Add the note").dblclick()

    expect(visit.page.get_by_role("log").get_by_text("once", exact=True)).to_have_count(1)


def test_a_person_declares_an_incident(site: Site, visit: Visit) -> None:
    site.sign_in(visit.page)
    visit.page.goto(f"{site.url}/declare")

    visit.page.get_by_role("textbox", name="What is broken?").fill("Card payments fail")
    visit.page.get_by_role("radio", name="P1").check()
    visit.page.get_by_role("button", name="Declare it").click()

    expect(visit.page).to_have_url(f"{site.url}/i/INC-001")
    assert site.desk.incident()["title"] == "Card payments fail"


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)], ids=["desktop", "phone"])
def test_every_page_is_accessible_and_fits(site: Site, browser: Browser, scheme: str, size: dict[str, int]) -> None:
    site.fires(CHECKOUT, summary="12 % of checkouts fail: " + "a_very_long_word_without_a_break" * 3)
    site.fires(QUEUE)
    site.desk.forward(minutes=6)
    site.desk.news()
    link = site.desk.links["ada"]
    critical = [{"alertname": f"Fault{n}", "service": f"service-{n}", "severity": "critical"} for n in (1, 2, 3)]
    site.desk.alertmanager_says(alerts=[("firing", labels) for labels in critical])
    site.desk.forward(seconds=75)
    site.desk.news()
    of_several = site.desk.links["ada"]
    faults: list[str] = []

    with visiting(browser, viewport=size, color_scheme=scheme) as visit:
        for path in ("/signin", link, of_several):
            faults += faults_of(visit.page, site.url, path, size)
        expect(visit.page.get_by_role("heading", name="incidents need you")).to_be_visible()
        site.sign_in(visit.page)
        for path in (*PAGES, *PAGES_OF_ONE, "/search?q=nothing"):
            faults += faults_of(visit.page, site.url, path, size)

    assert not faults, "\n".join(faults)


def faults_of(page: Page, url: str, path: str, size: dict[str, int]) -> list[str]:
    """What axe says of a page with all its parts open. It must fit, suit a thumb, and run no script but ours."""
    answer = page.goto(f"{url}{path}")
    policy = answer.headers["content-security-policy"] if answer else ""
    assert policy.startswith("default-src 'none'; "), path
    assert "unsafe" not in policy, path
    page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true; })")
    found = Axe().run(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], f"{path} scrolls sideways"
    thumbed = "button:visible, summary:visible, select:visible" + (", .bar a:visible" if size is PHONE else "")
    small = page.locator(thumbed).evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height < 43.5).map(one => one.textContent)"
    )
    assert small == [], f"{path}: too small for a thumb: {small}"
    return [f"{path}: {found.generate_report()}"] if found.violations_count else []


def test_no_page_is_left_out() -> None:
    pages = {address for method, address in CONSOLE if method == "GET" and "<" not in address}
    assert pages - set(PAGES) == {"/live", "/funnel.svg"}, "a stream and a drawing are no pages"


def test_a_page_is_light(site: Site, visit: Visit) -> None:
    """Under 150 kB with style and script, as it travels: it has to arrive over a bad line."""
    site.fires(CHECKOUT)
    site.sign_in(visit.page)

    visit.page.goto(f"{site.url}/i/INC-001", wait_until="load")
    sizes = visit.page.evaluate(
        "['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind)).map(one => one.transferSize)"
    )

    assert len(sizes) >= 3
    assert sum(sizes) < 150_000


def test_what_seems_part_of_another_is_merged_and_the_merge_taken_back(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    site.fires({**CHECKOUT, "alertname": "CheckoutSlow"})
    page = visit.page
    site.sign_in(page)
    page.goto(f"{site.url}/i/INC-002")
    expect(page.get_by_role("heading", name="Probably part of INC-001")).to_be_visible()

    page.get_by_role("button", name="Merge into INC-001").click()
    expect(page.get_by_role("status")).to_have_text("Merged. Everyone who was asked is told.")
    expect(page.get_by_text("it goes on as INC-001")).to_be_visible()

    page.get_by_role("button", name="Take this back").click()
    expect(page.get_by_role("status")).to_have_text("Taken back. The entry stays on the timeline.")
    assert Axe().run(page).response["violations"] == []


def test_a_false_alarm_shows_the_rule_that_it_proposes(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    page = visit.page
    site.sign_in(page)
    page.goto(f"{site.url}/i/INC-001")

    page.get_by_text("False alarm", exact=True).click()
    page.get_by_label("Why was it no incident?").fill("A load test")
    page.get_by_role("button", name="Close it as a false alarm").click()

    expect(page.get_by_role("region", name="Proposed for the policy")).to_contain_text("decide: suggest")
