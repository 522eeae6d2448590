"""Every verb by every door: the same deed, the same record, the same refusal; an empty cell says why it is empty."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.serving import make_server

from firedoor.web import create_app
from incidents import door, holdmode, tables, verbs
from tests.edges.doors import DOORS, Doors, Told
from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.pagerduty import ROUTING_KEY, WEBHOOK_SECRET, FakePagerDuty
from tests.fixtures.signingin import signed_in
from tests.fixtures.slack import SIGNING_SECRET, TOKEN, FakeSlack

FORWARDED = "A message may have been forwarded: its buttons answer the page and do nothing else."
NOT_SENT = "PagerDuty tells us when somebody acknowledges, resolves or reassigns there, and of nothing else."
NO_PAGE = "It is not used on an incident that somebody was paged for: no message stands for it."
NO_BUTTONS = "While somebody has it, a chat's message has no buttons."
PEOPLE = ("console", "api", "cli")
ANSWERS = {"pagerduty": NOT_SENT}  # of a page: by its link and its buttons
DEED = {"link": FORWARDED, "slack": FORWARDED, "pagerduty": NOT_SENT}
BESIDE = {"link": NO_PAGE, "slack": NO_PAGE, "pagerduty": NO_PAGE}

Given = Callable[[Desk, int], tuple[str | int, dict[str, Any]]]


# --- what must be so before the verb, n times over: one for each door ---


def declared(desk: Desk, n: int, severity: str = "P1") -> str:
    told = desk.api("POST", "/incidents", expect=201, title=f"Number {n}", severity=severity, service=f"s{n}")
    return str(told["id"])


def fresh(**fields: Any) -> Given:
    return lambda desk, n: (declared(desk, n), fields)


def after(*done: str, **fields: Any) -> Given:
    """An incident on which Ada did these things before."""

    def given(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
        name = declared(desk, n)
        for verb in done:
            desk.does(verb, incident=name)
        return name, fields

    return given


def with_an_offer(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    name = declared(desk, n)
    desk.does("acknowledge", incident=name, by="ben")
    desk.does("roles", incident=name, by="ben", role="commander", person="ada")
    return name, {"role": "commander"}


def with_drafts(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    return declared(desk, n, "P0"), {"audience": "leadership", "text": "Half of the shops are back"}


def beside_another(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    return declared(desk, n), {"into": declared(desk, n + 1), "reason": "The same disk"}


def part_of_another(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    if not desk.incidents():
        desk.alertmanager_says(labels={"alertname": "DbDown", "service": "db", "severity": "critical"})
    desk.alertmanager_says(labels={"alertname": f"Errors{n}", "service": "api", "severity": "critical"})
    return str(desk.incidents()[0]["id"]), {}


def with_two_alerts(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    for disk in ("a", "b"):
        desk.alertmanager_says(
            labels={"alertname": f"Disk{n}", "service": f"s{n}", "severity": "critical", "disk": disk}
        )
    name = str(desk.incidents()[0]["id"])
    return name, {"alerts": [desk.incident(name)["alerts"][0]["id"]]}


def with_a_false_alarm(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    name = declared(desk, n)
    desk.does("false-alarm", incident=name, reason="The backup does that")
    entries = desk.api("GET", f"/incidents/{name}/timeline")["items"]
    return name, {"entry": [one["id"] for one in entries if one["undo"]][-1]}


def with_a_suggestion(desk: Desk, n: int) -> tuple[int, dict[str, Any]]:
    desk.alertmanager_says(labels={"alertname": f"Fills{n}", "service": f"s{n}", "severity": "warning"})
    return int(desk.alerts()[0]["id"]), {"severity": "P2"}


def with_a_silence(desk: Desk, n: int) -> tuple[int, dict[str, Any]]:
    body = {"matchers": [f'service="s{n}"'], "for": "2h", "reason": "It moves"}
    return int(desk.api("POST", "/silences", expect=201, **body)["id"]), {}


def with_an_unreadable_delivery(desk: Desk, n: int) -> tuple[int, dict[str, Any]]:
    desk.post(b'{"this is": "no alert"}')
    desk.settle()
    return int(desk.api("GET", "/inbox")["items"][0]["id"]), {}


def in_hold_mode(desk: Desk, n: int) -> tuple[str, dict[str, Any]]:
    for one in desk.api("GET", "/incidents?status=open")["items"]:
        desk.does("false-alarm", incident=one["id"], reason="Of the hold before")
    with desk.house.database.work() as work:
        holdmode.begin(work.session, work.now, book=desk.house.book(), now=work.now)
    return "", {"reason": "All of it was over"}


def nothing(**fields: Any) -> Given:
    return lambda _desk, _n: ("", fields)


# --- the table ---


@dataclass(frozen=True)
class Row:
    """One verb: how it is prepared, what no door may do, and why the doors that lack it do."""

    given: Given
    refused: Mapping[str, Any] = field(default_factory=dict)  # fields that suit, for where the state does not
    empty: Mapping[str, str] = field(default_factory=lambda: DEED)

    @property
    def doors(self) -> list[str]:
        return [name for name in DOORS if name not in self.empty]


TABLE: Mapping[str, Row] = {
    "acknowledge": Row(fresh(), empty={}),
    "unacknowledge": Row(after("acknowledge"), empty={"slack": NO_BUTTONS, "pagerduty": NOT_SENT}),
    "seen": Row(fresh(), empty=ANSWERS),
    "decline": Row(fresh(), empty=ANSWERS),
    "escalate": Row(fresh(reason="No idea")),
    "note": Row(fresh(text="It is the disk"), {"text": " "}),
    "step": Row(fresh(n=1, outcome="done"), {"n": 1, "outcome": "done"}),
    "contain": Row(fresh(note="The flag is off")),
    "resolve": Row(fresh(), empty={"link": FORWARDED, "slack": FORWARDED}),
    "reopen": Row(after("contain", reason="It is back")),
    "severity": Row(fresh(severity="P2", reason="Only staff"), {"severity": "P2"}),
    "impact": Row(fresh(scope="many", workaround="no", revenue="yes"), {"scope": "few"}),
    "role": Row(
        fresh(role="commander", person="ben"),
        {"role": "commander", "person": "ben"},
        empty={"link": FORWARDED, "slack": FORWARDED},
    ),
    "accept": Row(with_an_offer),
    "override": Row(after("acknowledge", reason="Every lever makes it worse"), {"reason": "Because"}),
    "updates": Row(with_drafts, {"text": "It was nothing"}),
    "stand_down": Row(after("acknowledge", "resolve", note="Thank you")),
    "merge": Row(beside_another, {"into": "INC-001"}),
    "separate": Row(part_of_another),
    "split": Row(with_two_alerts, {"alerts": [1]}),
    "runbook": Row(fresh(runbook="database-connection-failure"), {"runbook": "database-connection-failure"}),
    "false_alarm": Row(fresh(reason="The backup does that"), {"reason": "Twice"}),
    "undo": Row(with_a_false_alarm, {"entry": 999_999}),
    "declare": Row(nothing(title="Cards fail", severity="P1"), {"title": "Cards fail", "severity": "P9"}, empty=BESIDE),
    "open_alert": Row(with_a_suggestion, {"severity": "P2"}, empty=BESIDE),
    "silence": Row(
        nothing(matchers=['service="shop"'], **{"for": "2h"}, reason="It moves"),
        {"matchers": ['alertname=~".*"'], "for": "2h", "reason": "Quiet"},
        empty=BESIDE,
    ),
    "lift_silence": Row(with_a_silence, empty=BESIDE),
    "replay": Row(with_an_unreadable_delivery, empty=BESIDE),
    "resume": Row(in_hold_mode, {"reason": "It was over"}, empty=BESIDE),
    "golive": Row(nothing(name="source:legacy"), {"name": "source:alertmanager"}, empty=BESIDE),
}
NEVER_THERE = 999_999  # the number of no alert, silence or delivery
ON_BOTH = (
    "acknowledge",
    "unacknowledge",
    "decline",
    "role",
    "merge",
    "split",
    "undo",
    "declare",
    "open_alert",
    "silence",
    "replay",
)


def test_every_verb_has_its_cell_at_every_door_or_the_reason_why_not() -> None:
    assert set(TABLE) == {*verbs.VERBS, *door.OTHERS}
    for verb, row in TABLE.items():
        assert set(row.empty) <= set(DOORS) - set(PEOPLE), f"{verb} must be possible in console, API and CLI"
        assert all(reason.endswith(".") for reason in row.empty.values()), verb


def test_the_table_of_the_docs_is_this_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z_, ]+) \|((?: (?:yes|no) ?[¹²³⁴]? \|){6})$", text, re.MULTILINE)
    told = {
        verb: [name for name, cell in zip(DOORS, cells.split("|"), strict=False) if "yes" in cell]
        for verbs_of_row, cells in rows
        for verb in verbs_of_row.split(", ")
    }
    assert told == {verb: row.doors for verb, row in TABLE.items()}


# --- each cell for real ---


MORE = """
services:
  db: {name: Database, team: default, match: ['service="db"']}
  api: {name: API, team: default, match: ['service="api"'], depends_on: [db]}
sources: {legacy: {kind: generic, mode: shadow}}
"""


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def doors(open_desk: OpenDesk, slack: FakeSlack, pagerduty: FakePagerDuty) -> Iterator[Doors]:
    """Ada at every door; Slack and PagerDuty know her, and page nobody."""
    chat = f'{{kind: slack, token: "{TOKEN}", secret: "{SIGNING_SECRET}", url: "{slack.url}"}}'
    rota = f'{{kind: pagerduty, token: "{ROUTING_KEY}", secret: "{WEBHOOK_SECRET}", url: "{pagerduty.url}"}}'
    known = "{channel: chat, address: U0ADA}, {channel: rota, address: PADA}"
    policy = CAST.replace("channels: {", f"channels: {{chat: {chat}, rota: {rota}, ")
    policy = policy.replace('"URL/ada", for: [page, tell]}', f'"URL/ada", for: [page, tell]}}, {known}')
    policy = policy.replace(
        '"URL/ben", for: [page, tell]}', '"URL/ben", for: [page, tell]}, {channel: rota, address: PBEN}'
    )
    desk = open_desk(policy, more=MORE)
    server = make_server("127.0.0.1", 0, create_app(desk.house), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Doors(desk, signed_in(desk), f"http://127.0.0.1:{server.server_port}", desk.api_token)
    server.shutdown()
    thread.join()
    server.server_close()
    desk.news()


CELLS = [pytest.param("sqlite", verb, id=verb) for verb in TABLE if verb not in ON_BOTH]
CELLS += [pytest.param(kind, verb, id=f"{kind}-{verb}") for verb in ON_BOTH for kind in ("sqlite", "postgresql")]


@pytest.mark.parametrize(("database_url", "verb"), CELLS, indirect=["database_url"])
def test_a_verb_does_and_records_the_same_by_every_door(doors: Doors, verb: str) -> None:
    row = TABLE[verb]
    seen = {}
    for n, name in enumerate(row.doors):
        on, fields = row.given(doors.desk, n * 10)
        before = _newest(doors.desk)

        told = doors.use(name, verb, on, fields)

        assert told.done, (name, told)
        seen[name] = _trace(doors.desk, str(on), before, told, via=name)
    for name, trace in seen.items():
        if name == "pagerduty":
            trace["said"] = seen["api"]["said"]
        assert trace == seen["api"], f"{verb} by {name} differs from the API's"


def _newest(desk: Desk) -> tuple[int, int]:
    """The last entry of all timelines, and the last line of the audit."""
    with desk.house.database.read() as work:
        last = [select(func.max(table.c.id)) for table in (tables.timeline, tables.audit)]
        return tuple(int(work.session.execute(one).scalar() or 0) for one in last)  # type: ignore[return-value]


def _trace(desk: Desk, on: str, before: tuple[int, int], told: Told, *, via: str) -> dict[str, Any]:
    """What the verb left behind, without the numbers that differ from twin to twin."""
    e, a = tables.timeline, tables.audit
    with desk.house.database.read() as work:
        entries = work.session.execute(select(e).where(e.c.id > before[0], e.c.actor == "ada").order_by(e.c.id)).all()
        lines = work.session.execute(select(a).where(a.c.id > before[1]).order_by(a.c.id)).all()
    assert {one.source for one in entries} <= {via}, entries
    assert [one.door for one in lines] == [via], lines
    state = desk.incident(on) if on.startswith("INC-") else {}
    kept = ("status", "severity", "severity_by", "closed_reason", "round", "needs_human", "taken_by", "roles", "offers")
    return {
        "said": _alike(told.said),
        "record": [(one.kind, _alike(one.text)) for one in entries],
        "audit": [(one.actor, one.what, _alike(one.subject), one.why, _facts(one.facts)) for one in lines],
        "state": {name: _alike(str(state.get(name))) for name in kept},
    }


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """A form has texts where JSON has numbers and lists; and each twin has its own numbers."""
    own = ("alerts", "alert", "entry")
    return {name: "…" if name in own else _alike(str(value).strip("[]'")) for name, value in facts.items()}


def _alike(text: str) -> str:
    text = re.sub(r"INC-\d+", "INC", text)
    text = re.sub(r"(Number |[Dd]elivery |[Ss]ilence |alert |Errors|Disk|Fills)\d+", r"\1", text)
    text = re.sub(r"paging [A-Z]\w+ \([^)]+\)|\d+ promises", "…", text)  # who is next: one page lists several twins
    return re.sub(r"\bs\d+\b", "s", " ".join(text.split()))


# --- each refusal for real ---


@pytest.mark.parametrize("known", [verbs.VERBS, door.OTHERS], ids=["on an incident", "beside"])
def test_a_verb_that_is_refused_is_refused_in_the_same_words_by_every_door(doors: Doors, known: Any) -> None:
    desk = doors.desk
    name = declared(desk, 0)
    desk.does("false-alarm", incident=name, reason="The backup does that")
    before = desk.incident(name)["version"], _newest(desk)

    for verb in known:
        row = TABLE[verb]
        on = name if verb in verbs.VERBS else NEVER_THERE
        told = {one: doors.use(one, verb, on, row.refused, times=1) for one in row.doors if one != "pagerduty"}
        reference = told["api"]
        assert not reference.done, verb
        assert reference.code == told["cli"].code, verb
        for one, answer in told.items():
            assert not answer.done, (verb, one)
            assert _same(answer.said, reference.said), (verb, one, answer.said, reference.said)
        if "pagerduty" in row.doors:
            doors.use("pagerduty", verb, on, row.refused, times=1)

    assert (desk.incident(name)["version"], _newest(desk)) == before


def test_a_form_that_comes_too_late_shows_both_sides_and_keeps_what_was_wanted(doors: Doors) -> None:
    name = declared(doors.desk, 0)
    read = doors.desk.incident(name)["version"]
    doors.desk.does("acknowledge", incident=name, by="ben")

    told = doors.use("console", "severity", name, {"severity": "P2", "version": read}, times=1)

    assert not told.done
    assert f"{name} changed since you read it" in told.said
    assert "You had read" in told.said
    assert "Ben has it. Escalation has stopped." in told.said
    assert "You wanted: severity “P2”" in told.said
    assert doors.desk.incident(name)["severity"] == "P1"


@pytest.mark.parametrize("role", ["viewer", "responder"])
def test_whoever_may_not_is_refused_in_the_same_words_by_every_door(doors: Doors, role: str) -> None:
    name = declared(doors.desk, 0)
    _account_of(doors, "ada", role=role)
    before = _newest(doors.desk)
    higher = {"replay", "resume", "golive"}
    for verb in higher if role == "responder" else [*verbs.VERBS, *door.OTHERS.keys() - higher]:
        on = name if verb in verbs.VERBS else NEVER_THERE
        told = [doors.use(one, verb, on, TABLE[verb].refused, times=1) for one in PEOPLE]
        assert {one.code for one in told} == {"", "permission.role"}, verb
        told += [doors.use(one, verb, on, {}, times=1) for one in ("link", "slack") if one in TABLE[verb].doors]
        assert all(_same(one.said, told[1].said) and not one.done for one in told), (verb, told)
        if "pagerduty" in TABLE[verb].doors:
            doors.use("pagerduty", verb, on, {"role": "commander", "person": "ben"}, times=1)
    assert _newest(doors.desk) == before


def test_a_message_answers_within_the_teams_of_its_person_s_account(doors: Doors) -> None:
    name = declared(doors.desk, 0)
    _account_of(doors, "ada", role="responder", teams=["other"])
    before = _newest(doors.desk)

    told = [doors.use(one, "acknowledge", name, {}, times=1) for one in ("api", "link", "slack")]

    assert told[0].code == "permission.team"
    assert all(_same(one.said, told[0].said) and not one.done for one in told), told
    doors.use("pagerduty", "acknowledge", name, {}, times=1)
    assert _newest(doors.desk) == before


def test_a_disabled_account_answers_no_message_and_whoever_has_none_answers_as_a_responder(doors: Doors) -> None:
    name = declared(doors.desk, 0)
    _account_of(doors, "ada", disabled_at=doors.desk.clock.now())
    assert [doors.use(one, "acknowledge", name, {}, times=1).done for one in ("link", "slack")] == [False, False]

    with doors.desk.house.database.work() as work:
        work.session.execute(tables.account.delete().where(tables.account.c.person == "ada"))
    assert doors.use("slack", "acknowledge", name, {}, times=1).done
    with doors.desk.house.database.read() as work:
        assert work.session.execute(select(tables.incident.c.taken_by)).scalar_one() == "ada"


def _account_of(doors: Doors, person: str, **changed: Any) -> None:
    with doors.desk.house.database.work() as work:
        of = tables.account.c.person == person
        assert work.session.execute(tables.account.update().where(of).values(**changed)).rowcount == 1


def _same(said: str, sentence: str) -> bool:
    return " ".join(sentence.split()) in " ".join(said.split())
