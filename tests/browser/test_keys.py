"""Single keys: they move, open and reach; they are inert where somebody types, and press nothing that hurts (U37)."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.conftest import CHECKOUT, QUEUE, Site, Visit


def test_the_keys_walk_through_the_console(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT, summary="12 % of checkouts fail")
    site.fires(QUEUE)
    page = visit.page
    site.sign_in(page)

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search incidents")).to_be_focused()
    page.keyboard.type("jog?")
    expect(page.get_by_role("searchbox", name="Search incidents")).to_have_value("jog?")
    page.keyboard.press("Escape")

    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page).to_have_url(f"{site.url}/i/INC-001")

    page.keyboard.press("e")
    assert page.evaluate("document.activeElement.closest('form').getAttribute('action')") == "/i/INC-001/escalate"
    assert "escalate" not in [entry["kind"] for entry in site.desk.api("GET", "/incidents/INC-001/timeline")["items"]]
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.name") == "text"
    page.keyboard.press("Escape")

    page.keyboard.press("a")
    expect(page.get_by_role("status").first).to_contain_text("You have it")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page).to_have_url(f"{site.url}/runbooks")


def test_keys_that_are_switched_off_do_nothing(site: Site, visit: Visit) -> None:
    page = visit.page
    site.sign_in(page)
    page.goto(f"{site.url}/preferences")
    page.get_by_role("radio", name="No single keys").check()
    page.get_by_role("button", name="Keep it").click()
    page.goto(f"{site.url}/")

    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("r")

    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url == f"{site.url}/"


def test_keys_that_somebody_chose_work_and_the_help_says_them(site: Site, visit: Visit) -> None:
    site.fires(CHECKOUT)
    page = visit.page
    site.sign_in(page)
    page.goto(f"{site.url}/preferences")
    page.get_by_text("Other keys").click()
    page.get_by_label("Write a note").fill("e")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("alert")).to_contain_text("“e” can't be the key for two things")
    page.get_by_label("Write a note").fill("m")
    page.get_by_role("button", name="Keep it").click()
    page.goto(f"{site.url}/i/INC-001")

    page.keyboard.press("n")
    assert page.evaluate("document.activeElement === document.body")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("m write a note")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    assert page.evaluate("document.activeElement.name") == "text"
    visit.complaints[:] = [one for one in visit.complaints if "422" not in one]  # the refusal that was asked for


def test_the_menu_and_declare_are_one_press_away_on_a_phone_without_scripts(site: Site, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    site.sign_in(page)

    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Runbooks").click()
    expect(page.get_by_role("heading", name="Runbooks")).to_be_visible()

    page.get_by_role("link", name="Declare").click()
    expect(page.get_by_role("heading", name="Declare an incident")).to_be_visible()
    assert page.locator("main :is(input, select):visible, main fieldset:visible").count() <= 4 + 4  # of four severities
    context.close()


def test_who_sees_no_green_still_tells_severities_apart(site: Site, browser: Browser, tmp_path: Path) -> None:
    """Each has a code and a shape of its own; the picture is what such a person sees."""
    page = browser.new_page()
    site.sign_in(page)
    page.goto(f"{site.url}/severities")
    page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": "deuteranopia"})

    page.screenshot(path=tmp_path / "deuteranopia.png", full_page=True)

    marks = page.locator("main h2 .sev")
    shapes = marks.locator("svg").evaluate_all("all => all.map(one => one.innerHTML)")
    words = marks.all_inner_texts()
    page.close()
    assert len(set(shapes)) == len(set(words)) == 4
    assert [text.split()[0] for text in words] == ["P0", "P1", "P2", "P3"]
