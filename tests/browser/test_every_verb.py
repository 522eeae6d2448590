"""Every verb that the console offers, pressed in a real browser: on a desk with scripts, on a phone without them.

What must be so before a verb, and what is filled in, is `TABLE`'s of the one door; here stands where its page offers
it, and what that page says and shows once it is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from incidents.verbs import VERBS
from tests.browser.conftest import Site, visiting
from tests.browser.test_console import DESKTOP, PHONE
from tests.edges.test_one_door import MORE, TABLE
from tests.fixtures.desk import OpenDesk

WAYS: Mapping[str, Mapping[str, Any]] = {
    "desktop": {"viewport": DESKTOP},
    "phone-without-scripts": {"viewport": PHONE, "java_script_enabled": False},
}
HEAD, NEXT, CAN_DO = "The five questions", "Next", "What you can do"
WHO_HEARS, TIMELINE = "Who must hear by when", "Timeline"
WHOLE = ""  # of a page that has no such region


@dataclass(frozen=True)
class Press:
    """Where a page offers a verb, and what there is to see when it was pressed."""

    button: str
    inside: str = WHOLE  # the region, or the group of a form, that has it
    opens: str = ""  # what is unfolded first
    fills: Mapping[str, str] = field(default_factory=dict)  # label → field of the table's row
    chooses: Mapping[str, str] = field(default_factory=dict)
    picks: str = ""
    first: bool = False  # the page has the same button for each of several
    then: tuple[tuple[str, str], ...] = ()  # further presses, each on the page of the one before: where, and which
    page: str = "/i/{on}"
    said: str = ""  # where the sentence is not the verb's own
    shows: Mapping[str, str] = field(default_factory=dict)  # region → what stands there afterwards and not before
    gone: str = ""  # what stood on the page before and does not afterwards

    def on(self, name: str | int) -> Press:
        """The same with the name or number of what it is used on."""
        told = {part: getattr(self, part).format(on=name) for part in ("button", "page", "gone")}
        return replace(self, **told)


PRESSES: Mapping[str, Press] = {
    "acknowledge": Press("Acknowledge", NEXT, shows={HEAD: "Ada has it since"}),
    "unacknowledge": Press("By mistake: take it back", NEXT, shows={HEAD: "Nobody yet"}),
    "seen": Press("Seen", NEXT, shows={WHO_HEARS: "pressed Seen"}),
    "decline": Press("Can't take it", NEXT, shows={WHO_HEARS: "can't take it"}),
    "escalate": Press(
        "Escalate now", CAN_DO, "Escalate now", {"Why, or what to add": "reason"}, shows={TIMELINE: "No idea"}
    ),
    "note": Press("Add the note", TIMELINE, fills={"Note": "text"}, shows={TIMELINE: "It is the disk"}),
    "step": Press("Confirmed", "Steps", first=True, shows={"Steps": "✓ Confirmed"}),
    "contain": Press(
        "Mark as contained", CAN_DO, "Mark as contained", {"Why, or what to add": "note"},
        shows={HEAD: "Contained", TIMELINE: "The flag is off"},
    ),
    "resolve": Press("Resolve", CAN_DO, "Resolve", shows={HEAD: "Resolved"}),
    "reopen": Press(
        "Reopen", CAN_DO, "Reopen", {"Why, or what to add": "reason"}, shows={HEAD: "Active", TIMELINE: "It is back"}
    ),
    "severity": Press(
        "Set the severity", CAN_DO, "Change the severity", {"Why?": "reason"}, picks="severity", shows={HEAD: "P2"}
    ),
    "impact": Press(
        "Many", "Who is affected?", then=(("Is there a way around it?", "No"), ("Does it cost revenue?", "Yes")),
        shows={"How bad is it?": "The answers propose P0; it is P1"},
    ),
    "role": Press(
        "Give or offer the hat", "Hats", "Hand a hat over", chooses={"Hat": "role", "Goes to": "person"},
        shows={"Offered": "Ada offers Ben to be commander"},
    ),
    "accept": Press(
        "Accept: I am commander", "Offered", shows={"Hats": r"commander\s*Ada"}, gone="Until it is accepted it stays"
    ),
    "override": Press(
        "Unlock them", "Steps", "Start the waiting steps before containment", {"Why can't it wait?": "reason"},
        shows={TIMELINE: "Every lever makes it worse"}, gone="Start the waiting steps before containment",
    ),
    "updates": Press(
        "Tell Leadership now", WHO_HEARS, "What Leadership would read", {"Words of your own": "text"},
        shows={TIMELINE: r"Ada sent the ready draft to .*Half of the shops are back"},
    ),
    "stand_down": Press(
        "Stand the team down", CAN_DO, "Stand the team down", {"Why, or what to add": "note"},
        shows={HEAD: "Postmortem pending"},
    ),
    "merge": Press(
        "Merge", CAN_DO, "Merge into another incident", {"Into which incident?": "into", "Why?": "reason"},
        shows={WHOLE: "it goes on as INC-", HEAD: "Closed: merged"},
    ),
    "separate": Press("Separate", "Probably part of", gone="until somebody separates it"),
    "split": Press("Split ", "Alerts", first=True, shows={"Alerts": r"Alerts\s*\(1\)"}),
    "runbook": Press(
        "Change the runbook", CAN_DO, "Change the runbook", chooses={"Runbook": "runbook"},
        shows={"Steps": "from Database Connection Failure"},
    ),
    "false_alarm": Press(
        "Close it as a false alarm", CAN_DO, "False alarm", {"Why was it no incident?": "reason"},
        shows={HEAD: "Closed: false alarm", TIMELINE: "The backup does that"},
    ),
    "undo": Press("Take this back", TIMELINE, shows={HEAD: "Active"}, gone="Closed: false alarm"),
    "declare": Press(
        "Declare it", fills={"What is broken?": "title"}, picks="severity", page="/declare",
        said="is open", shows={HEAD: "Cards fail"},
    ),
    "open_alert": Press(
        "Open", chooses={"Severity of": "severity"}, page="/alerts/{on}", said="is open.", shows={HEAD: "P2"}
    ),
    "silence": Press(
        "Silence it", "Ask for quiet", fills={"What to mute": "matchers", "Why?": "reason"},
        chooses={"For how long": "for"}, page="/silences",
        said="mutes what matches for 2 h", shows={": It moves": "live"},
    ),
    "lift_silence": Press(
        "Lift silence", page="/silences", said="is lifted.", shows={": It moves": r"Lifted\s*by Ada"}
    ),
    "replay": Press(
        "Take delivery {on} in again", page="/inbox", said="is taken in once more.", gone="Take delivery {on} in again"
    ),
    "resume": Press(
        "End hold mode", "Hold mode", fills={"What did you look at?": "reason"}, page="/inbox",
        said="Hold mode is over", gone="The database is an old copy",
    ),
    "golive": Press("How source:legacy goes live", page="/shadow", said="change `mode: shadow` to `mode: live`"),
}  # fmt: skip


def test_every_verb_that_the_console_has_is_pressed_here() -> None:
    assert set(PRESSES) == {verb for verb, row in TABLE.items() if "console" in row.doors}


@pytest.fixture
def site(open_desk: OpenDesk) -> Iterator[Site]:
    site = Site(open_desk(more=MORE))
    site.start()
    yield site
    site.stop()
    site.desk.news()


@pytest.mark.parametrize("verb", PRESSES)
def test_a_verb_is_pressed_and_its_page_shows_what_it_did(site: Site, browser: Browser, verb: str) -> None:
    for n, way in enumerate(WAYS.values()):
        on, fields = TABLE[verb].given(site.desk, n * 10)
        with visiting(browser, **way) as visit:
            site.let_in(visit.context)
            press = PRESSES[verb].on(on)
            visit.page.goto(site.url + press.page)
            does(visit.page, press, fields, said=press.said or VERBS[verb].said)
        site.desk.settle()


def does(page: Page, press: Press, fields: Mapping[str, Any], *, said: str) -> None:
    """Fill in, press, and look: what the page shows then must not have stood there before."""
    for region, text in press.shows.items():
        stood = " ".join(part(page, region).all_text_contents())
        assert not re.search(text, stood), f"“{text}” stood there before it was pressed: {stood}"
    assert press.gone in (page.locator("body").text_content() or "")

    fill_in(page, press, fields)
    for inside, button in ((press.inside, press.button), *press.then):
        found = part(page, inside).get_by_role("button", name=button)
        with page.expect_navigation():
            (found.first if press.first else found).click()

    expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()
    for region, text in press.shows.items():
        expect(part(page, region)).to_contain_text(re.compile(text))
    if press.gone:
        expect(page.locator("body")).not_to_contain_text(press.gone)


def part(page: Page, name: str) -> Locator:
    """A region of the page by its heading, a group of its forms by its question, or all of it."""
    if name == WHOLE:
        return page.get_by_role("main")
    return page.get_by_role("region", name=name).or_(page.get_by_role("group", name=name))


def fill_in(page: Page, press: Press, fields: Mapping[str, Any]) -> None:
    """Unfold the form and write the row's fields where the page asks for them."""
    inside = part(page, press.inside)
    if press.opens:
        inside.locator("summary", has_text=re.compile(f"^{re.escape(press.opens)}$")).click()
    form = inside.locator("form").filter(has=page.get_by_role("button", name=press.button))
    for label, name in press.fills.items():
        value = fields[name]
        form.get_by_role("textbox", name=label).fill(value if isinstance(value, str) else "\n".join(value))
    for label, name in press.chooses.items():
        form.get_by_role("combobox", name=label).select_option(fields[name])
    if press.picks:
        form.get_by_role("radio", name=fields[press.picks]).check()
