"""What was grouped wrongly is mended in two presses: merge, split, another runbook, false alarm; each can be undone."""

from __future__ import annotations

from typing import Any

from tests.fixtures.desk import DATABASE_DOWN, P0_RUNBOOK, Desk, OpenDesk

DISK = {"alertname": "DiskFull", "service": "files", "severity": "critical", "disk": "a"}
QUEUE = {"alertname": "QueueGrows", "service": "mailer", "severity": "critical"}
SHOP_DOWN = {"alertname": "ShopDown", "service": "shop"}


def entry(desk: Desk, kind: str, name: str = "INC-001") -> int:
    items = desk.api("GET", f"/incidents/{name}/timeline")["items"]
    return int([one["id"] for one in items if one["kind"] == kind][-1])


def two(desk: Desk) -> None:
    """INC-001 is the database's, INC-002 the disk's; both have paged."""
    desk.alertmanager_says("firing")
    desk.alertmanager_says("firing", labels=DISK)
    desk.forward(minutes=1)
    desk.news()


def undo(desk: Desk, kind: str, name: str = "INC-001", **more: Any) -> Any:
    return desk.does("undo", incident=name, entry=entry(desk, kind, name), **more)


def test_a_merge_moves_the_alerts_ends_what_was_owed_and_tells_everyone(desk: Desk) -> None:
    two(desk)
    done = desk.does("merge", incident="INC-002", into="INC-001", reason="The disk is the database's", by="cy")

    assert (done["status"], done["closed_reason"], done["merged_into"]) == ("closed", "merged", "INC-001")
    assert [one["title"] for one in desk.incident()["alerts"]] == ["DBConnectionErrors is wrong", "DiskFull is wrong"]
    told = desk.news()
    assert sorted((one.purpose, one.to) for one in told) == [("tell", "ada"), ("tell", "ben"), ("tell", "pia")]
    assert "INC-002 was merged into this one." in told[0].text
    assert any(
        "Cy merged INC-002 into this: DiskFull is wrong. Its alerts (1) are here" in one for one in desk.timeline()
    )
    desk.forward(minutes=30)
    assert not [one for one in desk.news() if "INC-002" in one.short]


def test_what_was_merged_fires_again_where_it_is_now(desk: Desk) -> None:
    two(desk)
    desk.does("merge", incident="INC-002", into="INC-001")
    desk.alertmanager_says("firing", labels={**DISK, "disk": "b"})

    assert len(desk.incidents()) == 2
    assert len(desk.incident()["alerts"]) == 3
    desk.news()


def test_a_merge_never_lowers_and_never_loses_the_holder(open_desk: OpenDesk) -> None:
    desk = open_desk()
    desk.api("POST", "/incidents", expect=201, title="Small", severity="P2")
    desk.api("POST", "/incidents", expect=201, title="Large", severity="P1")
    desk.does("acknowledge", incident="INC-002", by="ben")
    desk.does("merge", incident="INC-002", into="INC-001", by="cy")

    into = desk.incident()
    assert (into["severity"], into["taken_by"]["id"]) == ("P1", "ben")
    desk.news()


def test_a_merge_is_refused_where_it_makes_no_sense(desk: Desk) -> None:
    two(desk)
    assert desk.does("merge", into="INC-001", expect=409)["code"] == "merge.same"
    desk.does("merge", into="INC-009", expect=404)
    desk.does("merge", expect=422)
    desk.does("merge", incident="INC-002", into="INC-001")
    assert desk.does("merge", into="INC-002", expect=409)["code"] == "merge.over"
    assert desk.does("merge", incident="INC-002", into="INC-001", expect=409)["code"] == "merge.closed"
    desk.news()


def test_a_merge_is_undone_and_the_incident_asks_its_people_again(desk: Desk) -> None:
    two(desk)
    desk.does("merge", incident="INC-002", into="INC-001")
    desk.news()
    back = undo(desk, "merged", "INC-002")

    assert (back["status"], back["merged_into"], len(back["alerts"])) == ("active", None, 1)
    assert len(desk.incident()["alerts"]) == 1
    assert {("page", "ada"), ("page", "cy")} <= set(desk.heard())
    assert undo(desk, "merged", "INC-002", expect=409)["code"] == "undo.done"
    assert desk.does("undo", entry=entry(desk, "merged.here"), expect=409)["code"] == "undo.changed"
    desk.news()


def test_a_merge_is_undone_from_the_other_timeline_too(desk: Desk) -> None:
    two(desk)
    desk.does("acknowledge", incident="INC-002", by="ben")
    desk.does("merge", incident="INC-002", into="INC-001")
    undo(desk, "merged.here")

    other = desk.incident("INC-002")
    assert (other["status"], other["taken_by"]["id"]) == ("active", "ben")
    desk.news()


def test_a_merge_is_undone_while_somebody_has_it_and_whoever_was_still_to_hear_hears_in_fresh_minutes(
    desk: Desk,
) -> None:
    two(desk)
    desk.does("severity", incident="INC-002", severity="P0")
    desk.does("acknowledge", incident="INC-002")
    desk.does("merge", incident="INC-002", into="INC-001")
    desk.news()
    undo(desk, "merged", "INC-002")
    assert desk.incident("INC-002")["taken_by"]["id"] == "ada"
    undone_at = (desk.clock.now() - desk.began).total_seconds() / 60

    desk.forward(minutes=31)

    told = [one for one in desk.news() if "INC-002" in one.short and one.to in ("lea", "acme")]
    assert sorted((one.purpose, one.to, one.minute - undone_at) for one in told) == [
        ("tell", "acme", 24.0),
        ("tell", "lea", 24.0),
    ]


def test_what_was_merged_after_it_was_resolved_and_fired_again_since_is_active_when_its_merge_is_undone(
    desk: Desk,
) -> None:
    two(desk)
    desk.does("acknowledge", incident="INC-002")
    desk.alertmanager_says("resolved", labels=DISK)
    desk.does("resolve", incident="INC-002")
    desk.does("merge", incident="INC-002", into="INC-001", by="cy")
    desk.forward(minutes=2)
    desk.alertmanager_says("firing", labels=DISK)
    assert len(desk.incident()["alerts"]) == 2, "it fires where it is now"
    desk.news()

    back = undo(desk, "merged", "INC-002", by="cy")

    assert (back["status"], back["taken_by"], len(back["alerts"])) == ("active", None, 1)
    assert ("page", "ada") in [(one.purpose, one.to) for one in desk.news() if "INC-002" in one.short]


def test_an_incident_without_alerts_takes_none_along_when_its_merge_is_undone(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.api("POST", "/incidents", title="Customers call", severity="P2", expect=201)
    desk.does("merge", incident="INC-002", into="INC-001")

    undo(desk, "merged", "INC-002")

    assert desk.incident("INC-002")["alerts"] == []
    assert len(desk.incident()["alerts"]) == 1
    desk.news()


def test_an_undo_comes_too_late_after_a_day(desk: Desk) -> None:
    two(desk)
    desk.does("merge", incident="INC-002", into="INC-001")
    desk.does("resolve")
    desk.forward(hours=25)

    assert undo(desk, "merged", "INC-002", expect=409)["code"] == "undo.late"
    assert desk.does("undo", entry=entry(desk, "resolved"), expect=409)["code"] == "undo.kind"
    desk.does("undo", entry=10**6, expect=404)
    desk.news()


def test_an_alert_is_split_off_into_an_incident_of_its_own_and_stays_there(desk: Desk) -> None:
    other = {**DATABASE_DOWN, "pod": "b"}
    desk.alertmanager_says(alerts=[("firing", DATABASE_DOWN), ("firing", other)])
    desk.forward(minutes=1)
    desk.news()
    [chosen] = [one["id"] for one in desk.incident()["alerts"] if one["labels"].get("pod")]
    desk.does("split", alerts=[chosen], by="ada")

    new = desk.incident("INC-002")
    assert [one["id"] for one in new["alerts"]] == [chosen]
    assert len(desk.incident()["alerts"]) == 1
    assert ("page", "ada") not in desk.heard(), "whoever split it off knows of it"
    desk.alertmanager_says("resolved", labels=other)
    desk.forward(minutes=2)
    desk.alertmanager_says("firing", labels=other)
    assert desk.incident("INC-002")["cleared_at"] is None
    assert len(desk.incident()["alerts"]) == 1
    desk.news()


def test_an_alert_that_is_resolved_already_is_split_off_and_closes_by_itself_and_nobody_is_paged(desk: Desk) -> None:
    other = {**DATABASE_DOWN, "pod": "b"}
    desk.alertmanager_says(alerts=[("firing", DATABASE_DOWN), ("firing", other)])
    desk.forward(minutes=1)
    desk.alertmanager_says("resolved", labels=other)
    desk.news()
    [chosen] = [one["id"] for one in desk.incident()["alerts"] if one["labels"].get("pod")]

    desk.does("split", alerts=[chosen])

    new = desk.incident("INC-002")
    assert (new["status"], new["closed_reason"]) == ("closed", "self_cleared")
    assert desk.news() == []
    assert desk.incident()["status"] == "active"


def test_a_split_leaves_something_and_names_what_is_there(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    [only] = [one["id"] for one in desk.incident()["alerts"]]
    assert desk.does("split", alerts=[only], expect=409)["code"] == "split.all"
    assert desk.does("split", alerts=[10**6], expect=422)["code"] == "field.alerts"
    assert desk.does("split", alerts=["x"], expect=422)
    desk.forward(minutes=1)
    desk.news()


def test_a_split_is_undone(desk: Desk) -> None:
    desk.alertmanager_says(alerts=[("firing", DATABASE_DOWN), ("firing", {**DATABASE_DOWN, "pod": "b"})])
    desk.forward(minutes=1)
    first = desk.incident()["alerts"][0]["id"]
    desk.does("split", alerts=[first])
    undo(desk, "split")

    assert len(desk.incident()["alerts"]) == 2
    assert desk.incident("INC-002")["closed_reason"] == "merged"
    desk.news()


def test_another_runbook_replaces_the_steps_that_are_not_done(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=QUEUE)
    desk.forward(minutes=1)
    before = desk.incident()["steps"]
    desk.does("steps/1", outcome="done")
    changed = desk.does("runbook", runbook="database-connection-failure", reason="It is the database")

    assert changed["runbook"]["name"] == "database-connection-failure"
    steps = changed["steps"]
    assert (steps[0]["n"], steps[0]["text"], steps[0]["state"]) == (1, before[0]["text"], "done")
    assert min(one["n"] for one in steps[1:]) > len(before[:1])
    assert {one["text"] for one in steps[1:]} & {one["text"] for one in before[1:]} == set()
    assert desk.does("runbook", runbook="database-connection-failure", expect=409)["code"] == "runbook.same"
    assert desk.does("runbook", runbook="no-such", expect=422)["code"] == "field.runbook"

    back = undo(desk, "runbook.changed")
    assert [one["text"] for one in back["steps"]] == [one["text"] for one in before]
    assert back["runbook"] is None
    desk.news()


def test_a_steps_number_is_given_once_so_another_runbook_is_taken_back_whatever_was_done_since(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=QUEUE)
    before = [one["n"] for one in desk.incident()["steps"]]
    steps = desk.does("runbook", runbook="database-connection-failure", reason="It is the database")["steps"]
    mine = next(one["n"] for one in steps if one["state"] == "waiting")
    assert mine > max(before)
    desk.does(f"steps/{mine}", outcome="done")

    back = undo(desk, "runbook.changed")

    assert [one["n"] for one in back["steps"]] == [*before, mine]
    desk.news()


def test_a_false_alarm_closes_tells_and_proposes_a_rule(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DISK)
    desk.forward(minutes=1)
    desk.news()
    desk.does("false-alarm", expect=422)
    closed = desk.does("false-alarm", reason="The backup fills it every night", by="cy")

    assert (closed["status"], closed["closed_reason"]) == ("closed", "false_alarm")
    assert closed["proposal"] == ('- {when: ["alertname=\\"DiskFull\\"", "service=\\"files\\""], decide: suggest}')
    told = desk.news()
    assert sorted((one.purpose, one.to) for one in told) == [("tell", "ada"), ("tell", "ben")]
    assert "It was a false alarm, and it is closed." in told[0].text
    [one] = desk.api("GET", "/proposals")["items"]
    assert (one["incidents"], one["reasons"]) == (["INC-001"], ["The backup fills it every night"])
    desk.forward(minutes=30)
    assert desk.news() == []


def test_a_proposed_rule_is_one_that_the_policy_takes_and_that_would_have_woken_nobody(open_desk: OpenDesk) -> None:
    desk = open_desk()
    desk.alertmanager_says("firing", labels=DISK)
    rule = desk.does("false-alarm", reason="No")["proposal"]
    later = open_desk(more=f"open:\n  {rule}\n  - {{decide: open, wait: 60s}}\n")
    later.alertmanager_says("firing", labels={**DISK, "disk": "c"})

    assert [one["decision"] for one in later.alerts() if one["labels"]["disk"] == "c"] == ["suggest"]
    later.forward(minutes=1)


def test_a_false_alarm_is_undone_and_then_proposes_nothing(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DISK)
    desk.forward(minutes=1)
    desk.does("false-alarm", reason="No")
    desk.news()
    undo(desk, "false_alarm")

    assert desk.incident()["status"] == "active"
    assert ("page", "ada") in desk.heard()
    assert desk.api("GET", "/proposals")["items"] == []
    desk.forward(minutes=1)
    desk.news()


def test_a_false_alarm_is_undone_while_somebody_has_it_and_whoever_was_still_to_hear_hears_in_fresh_minutes(
    open_desk: OpenDesk,
) -> None:
    desk = open_desk(runbooks={"shop-down": P0_RUNBOOK})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.press("ada", "acknowledge")
    desk.forward(minutes=1)
    desk.does("false-alarm", reason="It looked like a test")
    desk.forward(minutes=1)
    desk.news()
    undo(desk, "false_alarm")
    assert desk.incident()["taken_by"]["id"] == "ada"

    desk.forward(minutes=31)

    told = [one for one in desk.news() if one.to in ("lea", "acme")]
    assert sorted((one.purpose, one.to, one.minute) for one in told) == [("tell", "acme", 26.0), ("tell", "lea", 26.0)]
    assert all("Ada has it since 14:37" in one.text for one in told)
