"""Those who are told and not paged: the draft is read first, further updates follow, and nobody gets one twice."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import select

from incidents import tables
from tests.fixtures.desk import CAST, P0_RUNBOOK, Desk, OpenDesk
from tests.fixtures.signingin import signed_in

SHOP_DOWN = {"alertname": "ShopDown", "service": "shop"}


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    """A P0 that Ada has: leadership and the clients are to be told within 30 minutes."""
    desk = open_desk(runbooks={"shop-down": P0_RUNBOOK})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.press("ada", "acknowledge")
    desk.news()
    return desk


def hearing_rows(desk: Desk) -> list[tuple[object, ...]]:
    with desk.house.database.read() as work:
        return [tuple(row) for row in work.session.execute(select(tables.hearing).order_by(tables.hearing.c.id))]


def without_link(text: str) -> str:
    """A message's link is its reader's own."""
    return re.sub(r"http\S+", "LINK", text)


def update_due(desk: Desk) -> list[str]:
    return [one["due_at"][11:16] for one in desk.incident()["deadlines"] if one["kind"] == "update"]


def test_the_commander_reads_the_draft_sends_it_then_a_second_one_in_their_words_and_nobody_gets_it_twice(
    shop: Desk,
) -> None:
    browser = signed_in(shop)
    page = unescape(browser.get("/i/INC-001").get_data(as_text=True))
    draft = page.partition("<summary>What Leadership would read</summary>")[2].partition("</pre>")[0]
    shop.does("updates", audience="leadership")
    [told] = shop.news()
    assert told.to == "lea"
    assert without_link(told.text).strip() == without_link(draft.rpartition('tabindex="0">')[2]).strip()
    assert "From the commander, Ada." in told.text
    assert "Ada sent the ready draft to Lea (Leadership)." in shop.timeline()
    assert shop.does("updates", audience="leadership", expect=409)["code"] == "updates.none", "a double press"

    shop.forward(minutes=20)
    shop.news()
    before = hearing_rows(shop)
    words = "Card payments work\nagain; invoices are late."
    shop.recorder.receipts = {"lea"}  # her provider says "delivered" from now on
    shop.does("updates", audience="leadership", text=words)
    assert shop.does("updates", audience="leadership", text=words, expect=409)["code"] == "updates.none"

    [second] = shop.news()
    assert (second.purpose, second.to) == ("tell", "lea")
    assert second.text.startswith("Card payments work again; invoices are late.\n\n")
    assert ": Card payments work again; invoices are late. Next update 15:27 UTC. http" in second.short
    assert second.key != told.key
    assert hearing_rows(shop) == before
    assert "Ada sent a further update to Lea (Leadership). “Card payments work again; invoices are late.”" in (
        shop.timeline()
    )
    shop.forward(minutes=10)
    assert [one.to for one in shop.news()] == ["acme"], "whose draft leaves by itself, once"


def test_the_page_says_when_word_was_sent_last_and_when_the_next_is_due_and_its_form_sends_it(shop: Desk) -> None:
    browser = signed_in(shop)
    shop.does("updates")
    shop.news()
    shop.forward(minutes=5)

    page = browser.get("/i/INC-001").get_data(as_text=True)
    read = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "Last sent 14:37, next due 15:07." in read
    assert "Send Leadership a further update" in read
    csrf, once = (re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("csrf", "once"))  # type: ignore[index]
    form = {"csrf": csrf, "once": once, "audience": "affected_clients", "text": "<b>Half</b> of it is back"}
    for _ in range(2):
        assert browser.post("/i/INC-001/updates", data=form).status_code == 303
    shop.settle()

    [told] = shop.news()
    assert told.to == "acme"
    assert told.text.startswith("<b>Half</b> of it is back\n")


def test_words_go_at_the_head_of_a_waiting_draft_and_to_whoever_was_told_before(shop: Desk) -> None:
    shop.does("updates", audience="leadership")
    shop.news()

    shop.does("updates", text="It is the card provider.")

    told = shop.news()
    assert sorted(one.to for one in told) == ["acme", "lea"]
    assert all(one.text.startswith("It is the card provider.\n") for one in told)


def test_without_words_nobody_is_told_again_while_somebody_waits_to_be_told_at_all(shop: Desk) -> None:
    shop.does("updates", audience="leadership")
    shop.forward(minutes=1)
    shop.news()

    shop.does("updates")

    assert [one.to for one in shop.news()] == ["acme"]


def test_the_same_update_may_be_sent_again_later_and_each_press_has_keys_of_its_own(shop: Desk) -> None:
    shop.does("updates")
    for _ in range(2):
        shop.forward(seconds=11)
        shop.does("updates", audience="leadership")

    keys = [one.key for one in shop.news() if one.to == "lea"]
    assert len(set(keys)) == len(keys) == 3


def test_what_another_sends_says_so_and_does_not_borrow_the_commander_s_name(shop: Desk) -> None:
    shop.does("updates", audience="leadership", by="ben")

    [told] = shop.news()
    assert "From Ben, on behalf of the commander, Ada." in told.text


def test_a_draft_that_nobody_sent_is_still_on_behalf_of_the_commander(shop: Desk) -> None:
    shop.forward(minutes=24)

    assert all("On behalf of the commander, Ada." in one.text for one in shop.news())


def test_updates_end_with_the_incident_and_go_on_until_then(shop: Desk) -> None:
    shop.does("updates")
    shop.does("resolve")
    shop.forward(minutes=1)
    shop.does("updates", text="It is over; we still watch.")
    assert {one.to for one in shop.news()} == {"acme", "lea"}

    shop.does("stand-down")
    assert shop.does("updates", text="More", expect=409)["code"] == "updates.stood_down"
    assert {one["updates"] for one in shop.incident()["hearing"]} == {""}
    shop.news()


def test_a_further_update_that_waits_for_its_contact_outlives_a_press_on_the_message_before(
    open_desk: OpenDesk,
) -> None:
    cast = CAST.replace('secret: "SECRET"}', 'secret: "SECRET", limits: {per_minute: 1}}')
    desk = open_desk(cast, runbooks={"shop-down": P0_RUNBOOK})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.press("ada", "acknowledge")
    desk.does("updates")
    desk.forward(seconds=10)
    desk.news()

    desk.does("updates", audience="leadership", text="Half of it is back")
    assert desk.news() == []
    desk.press("lea", "seen")
    desk.forward(minutes=1)

    assert ["Half of it is back" in one.text for one in desk.news() if one.to == "lea"] == [True]


def test_an_update_that_is_too_long_is_refused_and_not_cut(shop: Desk) -> None:
    assert "text" in shop.does("updates", text="x" * 501, expect=422)["detail"]
    browser = signed_in(shop)
    page = browser.get("/i/INC-001").get_data(as_text=True)
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]  # type: ignore[index]
    answer = browser.post("/i/INC-001/updates", data={"csrf": csrf, "once": "o", "text": "x" * 501})
    assert answer.status_code == 422
    assert "at most 500 characters" in answer.get_data(as_text=True)
    shop.settle()
    assert shop.news() == []


def test_an_audience_that_is_paged_or_unknown_gets_no_update(shop: Desk) -> None:
    for audience in ("tech_lead", "the_moon"):
        assert shop.does("updates", audience=audience, text="Hello", expect=409)["code"] == "updates.none"
    assert shop.news() == []


def test_the_update_that_is_due_stands_among_the_deadlines_and_stays_there_while_it_is_late(shop: Desk) -> None:
    assert update_due(shop) == ["15:07"]

    shop.forward(minutes=10)
    shop.does("notes", text="Rolling back", by="ada")
    assert update_due(shop) == ["15:17"], "as long as nobody was told, the timeline is all there is to read"
    shop.does("updates")
    assert update_due(shop) == ["15:17"]
    promised = {one.text for one in shop.news()}
    assert all("Next update by 15:17 UTC" in text for text in promised)

    shop.forward(minutes=5)
    shop.does("notes", text="Still rolling back", by="ada")
    assert update_due(shop) == ["15:17"], "whoever was promised an update reads no timeline"
    shop.forward(minutes=30)
    assert update_due(shop) == ["15:17"]
    page = signed_in(shop).get("/i/INC-001").get_data(as_text=True)
    assert re.search(r'<li class="row overdue">(?:(?!</li>).)*an update is due', page)

    shop.does("updates", text="Half of it is back")
    assert update_due(shop) == ["15:52"]
    shop.does("resolve")
    assert update_due(shop) == []
    shop.news()
