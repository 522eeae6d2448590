"""What the first page says of a night: who must do what, the worst first, and nothing when nothing waits."""

from __future__ import annotations

from typing import Any

from incidents import needing
from tests.fixtures.desk import DATABASE_DOWN, Desk

QUEUE = {"alertname": "QueueGrows", "service": "mailer", "severity": "warning"}


def needs(desk: Desk) -> list[dict[str, Any]]:
    with desk.house.database.read() as work:
        return needing.needs(work.session, refused=desk.house.shelf.refusals(), book=desk.house.book(), now=work.now)


def kinds(desk: Desk) -> list[str]:
    return [need["kind"] for need in needs(desk)]


def test_an_incident_that_nobody_has_is_said_with_who_was_paged(desk: Desk) -> None:
    assert needs(desk) == []

    desk.alertmanager_says()
    desk.news()

    (need,) = needs(desk)
    assert (need["kind"], need["incident"], need["verb"]) == ("nobody", "INC-001", "acknowledge")
    assert "Ada" in need["what"]

    desk.forward(minutes=6)
    assert any("did not hear in time" in words for words in needs(desk)[0]["also"])
    desk.news()


def test_who_has_it_owes_a_word_every_half_hour(desk: Desk) -> None:
    desk.alertmanager_says()
    desk.press("ada", "acknowledge")
    assert kinds(desk) == ["hats"], "one person in three hats, though others can be reached"

    desk.forward(minutes=29)
    desk.does("notes", text="Rolling back", by="ada")
    desk.forward(minutes=20)
    assert "update" not in kinds(desk)

    desk.forward(minutes=11)
    assert "an update is owed every 30 min" in needs(desk)[0]["what"]

    assert ("tell", "pia") in desk.heard(), "her draft left at minute 24"
    desk.does("notes", text="Still rolling back", by="ada")
    assert "update" in kinds(desk), "Pia was promised another update, and reads no timeline"

    desk.does("updates", text="Still rolling back", by="ada")
    assert "update" not in kinds(desk)
    desk.news()


def test_a_resolved_incident_waits_for_its_stand_down(desk: Desk) -> None:
    desk.alertmanager_says()
    desk.press("ada", "acknowledge")
    desk.does("resolve", by="ada")

    assert [(one["kind"], one["what"]) for one in needs(desk)] == [
        ("stand_down", "Resolved: Ada stands the team down")
    ]  # fmt: skip

    desk.does("stand-down", by="ada")
    assert needs(desk) == []
    desk.news()


def test_what_nobody_could_read_waits_until_it_is_replayed(desk: Desk) -> None:
    desk.post(b"{this is no payload")
    desk.forward(minutes=3)

    assert "unread" in kinds(desk)
    desk.news()


def test_the_worst_that_nobody_has_stands_first(desk: Desk) -> None:
    desk.alertmanager_says(labels={**DATABASE_DOWN, "alertname": "SlowPages", "service": "shop"})
    desk.alertmanager_says(labels={**DATABASE_DOWN, "alertname": "AllIsDown", "service": "web"})
    desk.does("severity", incident="INC-002", severity="P0", by="ada")

    assert [need["incident"] for need in needs(desk)] == ["INC-002", "INC-001"]
    with desk.house.database.read() as work:
        assert needing.open_now(work.session, book=desk.house.book()) == {"count": 2, "worst": "P0"}
    desk.news()


def test_a_suggestion_is_counted_until_somebody_opens_it(desk: Desk) -> None:
    desk.alertmanager_says(labels=QUEUE)

    with desk.house.database.read() as work:
        assert needing.suggestions(work.session) == 1
    desk.api("POST", f"/alerts/{desk.alerts()[0]['id']}/open", expect=201, severity="P2")
    with desk.house.database.read() as work:
        assert needing.suggestions(work.session) == 0
    desk.news()


def clears_by_itself(desk: Desk, times: int) -> None:
    for _ in range(times):
        desk.alertmanager_says("firing")
        desk.forward(minutes=1)
        desk.alertmanager_says("resolved")
        desk.forward(hours=2)
    desk.news()


def test_the_third_that_clears_by_itself_in_a_week_asks_for_its_rule_to_be_mended_until_a_note_says_what_was_done(
    desk: Desk,
) -> None:
    clears_by_itself(desk, 2)
    assert needs(desk) == []

    clears_by_itself(desk, 1)
    (need,) = needs(desk)
    assert (need["kind"], need["incident"]) == ("follow_up", "INC-003")
    assert "clears by itself too often" in need["what"]
    assert "note" in desk.incident("INC-003")["next"]["action"]

    clears_by_itself(desk, 1)
    assert [one["incident"] for one in needs(desk)] == ["INC-004"], "the newest asks, for all of its key"

    desk.does("notes", incident="INC-004", text="The pool is bigger now", by="ada")
    assert needs(desk) == []
    assert desk.timeline("INC-004")[-1].startswith("Ada answered what it asked for after its end")
    assert desk.incident("INC-004")["next"]["action"] == "Nothing: it is closed"

    desk.does("notes", incident="INC-004", text="And watched", by="ada")
    assert desk.kinds("INC-004").count("followed_up") == 1


def test_what_clears_by_itself_too_often_is_in_the_next_digest_of_who_is_on_call(desk: Desk) -> None:
    clears_by_itself(desk, 3)

    desk.forward(hours=43)

    digests = [one for one in desk.news() if one.purpose == "digest"]
    assert sorted(one.to for one in digests) == ["ada", "ben"]
    assert "INC-003" in digests[0].text
    assert "INC-002" not in digests[0].text
    assert "mend its alert rule or runbook" in digests[0].text


def test_that_nobody_took_it_is_no_question_any_more_once_it_cleared_by_itself(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=QUEUE)
    (alert,) = desk.alerts()
    desk.api("POST", f"/alerts/{alert['id']}/open", expect=201, severity="P2")
    desk.forward(hours=6)
    assert "3 runs" in desk.incident()["needs_human"]
    desk.news()

    desk.alertmanager_says("resolved", labels=QUEUE)
    desk.forward(minutes=6)

    assert desk.incident()["closed_reason"] == "self_cleared"
    assert needs(desk) == []
    desk.news()
