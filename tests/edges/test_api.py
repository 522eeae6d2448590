"""The JSON API as a program uses it: by token, with versions, repeats and problems, on both databases."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from console.api import api as api_blueprint
from console.openapi import document
from console.routes import ROUTES
from incidents import tables
from ports.database import Database
from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.waiting import free_port

CHECKOUT = {"title": "Card payments fail", "severity": "P1", "service": "checkout", "summary": "Since lunch"}


@pytest.fixture
def api(desk: Desk) -> Api:
    return Api(desk)


class Api:
    """A program with Ada's token."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.token = desk.api_token

    def get(self, path: str, **headers: str) -> Any:
        return self.desk.client.get(f"/api/v1{path}", headers=self.headers(headers))

    def post(self, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
        told = self.headers({"Content-Type": "application/json", **headers})
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        return self.desk.client.post(f"/api/v1{path}", data=content, headers=told)

    def headers(self, more: dict[str, str]) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): text for name, text in more.items()},
        }

    def declared(self) -> dict[str, Any]:
        answer = self.post("/incidents", CHECKOUT)
        assert answer.status_code == 201, answer.get_data(as_text=True)
        content: dict[str, Any] = answer.get_json()
        return content

    def count(self, table: Any) -> int:
        with self.desk.house.database.read() as work:
            return int(work.session.execute(select(func.count()).select_from(table)).scalar_one())


def is_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/problem+json"
    content: dict[str, Any] = answer.get_json()
    assert content["status"] == status
    assert content["code"] == code
    assert content["type"] == f"urn:firedoor:problem:{code}"
    assert content["title"]
    assert content["detail"].endswith((".", "!", "?"))
    return content


def test_a_declared_incident_can_be_read_listed_and_worked_on(api: Api) -> None:
    made = api.declared()
    assert made["id"] == "INC-001"
    assert made["status"] == "active"

    assert api.get("/incidents/INC-001").get_json()["title"] == "Card payments fail"
    assert [one["id"] for one in api.get("/incidents?status=open").get_json()["items"]] == ["INC-001"]
    assert api.get("/incidents?severity=P0").get_json()["items"] == []

    done = api.post("/incidents/INC-001/acknowledge", {"note": "On it"}).get_json()
    assert done["taken_by"]["id"] == "ada"
    assert "Escalation has stopped" in done["said"]
    texts = [entry["text"] for entry in api.get("/incidents/INC-001/timeline").get_json()["items"]]
    assert any("On it" in text for text in texts)
    api.desk.news()


def test_every_verb_of_the_table_is_answered_by_a_done_or_a_sentence(api: Api) -> None:
    api.declared()
    for route in ROUTES:
        if not route.versioned:
            continue
        path = route.path.replace("{name}", "INC-001").replace("{n}", "1")
        answer = api.post(path, dict(route.example))
        content = answer.get_json()
        assert answer.status_code in (200, 404, 409, 422), (route.name, content)
        if answer.status_code == 200:
            assert content["said"]
        else:
            assert content["detail"].endswith("."), (route.name, content)
    api.desk.settle()
    api.desk.news()


def test_without_a_known_token_nothing_is_told(api: Api) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Cookie": "firedoor=x"},
    ):
        for method, path in (("GET", "/incidents"), ("POST", "/incidents"), ("GET", "/incidents/INC-001")):
            answer = api.desk.client.open(f"/api/v1{path}", method=method, headers=headers)
            is_problem(answer, 401, "not_authentic")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_asks_for_a_token(api: Api) -> None:
    for route in ROUTES:
        path = route.path.replace("{name}", "INC-001").replace("{n}", "1").replace("{id}", "1")
        is_problem(api.desk.client.open(f"/api/v1{path}", method=route.method), 401, "not_authentic")


def test_a_session_cookie_is_no_way_into_the_api(api: Api) -> None:
    with api.desk.house.database.work() as work:
        work.session.execute(tables.credential.update().values(kind="session"))
    is_problem(api.get("/incidents"), 401, "not_authentic")


def test_a_token_of_somebody_who_left_the_policy_or_that_expired_opens_nothing(api: Api) -> None:
    with api.desk.house.database.work() as work:
        work.session.execute(tables.account.update().values(person="zoe"))
    content = is_problem(api.get("/incidents"), 401, "not_authentic")
    assert "zoe" in content["detail"]
    with api.desk.house.database.work() as work:
        work.session.execute(tables.account.update().values(person="ada"))
        work.session.execute(tables.credential.update().values(expires_at=work.now))
    is_problem(api.get("/incidents"), 401, "not_authentic")


def test_broken_json_is_400_and_another_type_is_415(api: Api) -> None:
    for raw in (b"{", b"[1", b"NaN", b'{"a": NaN}', b'{"title": 1, "title": 2}', b"\xff", b"[" * 100_000):
        is_problem(api.post("/incidents", raw=raw), 400, "not_json")
    is_problem(api.post("/incidents", raw=b"title=x", Content_Type="text/plain"), 415, "wrong_content_type")
    is_problem(api.post("/incidents", raw=b"[]"), 422, "malformed")
    is_problem(api.post("/incidents", raw=b"x" * 300_000), 413, "request_entity_too_large")


def test_all_faults_of_the_fields_are_told_at_once(api: Api) -> None:
    content = is_problem(api.post("/incidents", {"title": 7, "service": "a\0b", "colour": "red"}), 422, "malformed")

    assert {one["field"] for one in content["errors"]} == {"title", "severity", "service", "colour"}
    assert api.count(tables.incident) == 0


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\udfffb"])
def test_text_that_no_database_keeps_is_refused_and_never_breaks_us(api: Api, text: str) -> None:
    api.declared()
    is_problem(api.post("/incidents/INC-001/notes", {"text": text}), 422, "malformed")
    api.desk.settle()
    api.desk.news()


def test_strange_addresses_and_queries_get_a_problem(api: Api) -> None:
    is_problem(api.get("/nothing"), 404, "not_found")
    is_problem(api.get("/incidents/INC-999"), 404, "not_found")
    is_problem(api.get("/incidents/%00"), 404, "not_found")
    is_problem(api.get("/alerts/99999999999999999999"), 404, "not_found")
    is_problem(api.get("/alerts/9223372036854775807"), 404, "not_found")
    for query in (
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=;",
        "cursor=1x",
        "since=yesterday",
        "since=2026-01-05T14:30:00",
        "status=%00",
        "q=%00",
        "colour=red",
    ):
        is_problem(api.get(f"/incidents?{query}"), 422, "malformed")
    assert api.get("/incidents?q=%25%5C'%22&since=2026-01-05T14:30:00Z&team=&limit=3").status_code == 200


def test_a_wrong_method_is_told_which_are_right(api: Api) -> None:
    answer = api.desk.client.delete("/api/v1/incidents/INC-001", headers=api.headers({}))
    is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "GET" in answer.get_json()["detail"]


def test_whoever_read_an_older_version_gets_the_incident_as_it_is_now(api: Api) -> None:
    api.declared()
    etag = api.get("/incidents/INC-001").headers["ETag"]
    api.post("/incidents/INC-001/notes", {"text": "Somebody else was faster"})

    conflict = is_problem(api.post("/incidents/INC-001/notes", {"text": "me"}, If_Match=etag), 409, "version_conflict")
    assert conflict["incident"]["version"] == api.get("/incidents/INC-001").get_json()["version"]
    stale = int(etag.strip('"').partition(".")[0])
    is_problem(api.post("/incidents/INC-001/notes", {"text": "me", "version": stale}), 409, "version_conflict")

    fresh = api.get("/incidents/INC-001").headers["ETag"]
    assert api.post("/incidents/INC-001/notes", {"text": "me"}, If_Match=fresh).status_code == 200
    is_problem(api.post("/incidents/INC-001/notes", {"text": "me"}, If_Match="W/x"), 422, "malformed")
    api.desk.settle()
    api.desk.news()


def test_what_has_nothing_new_to_read_is_answered_without_a_body(api: Api) -> None:
    api.declared()
    for path in ("/incidents/INC-001", "/incidents?status=open", "/incidents/INC-001/timeline", "/alerts"):
        tag = api.get(path).headers["ETag"]
        for same in (tag, f"W/{tag}", f'"other", {tag}'):
            answer = api.get(path, If_None_Match=same)
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag), path

    before = api.get("/incidents/INC-001").headers["ETag"]
    api.desk.forward(minutes=3)  # pages left: nobody changed the incident, and yet there is news
    api.desk.alertmanager_says(labels={"alertname": "Other", "severity": "info"})
    assert api.get("/incidents/INC-001", If_None_Match=before).status_code == 200
    assert api.get("/alerts", If_None_Match=tag).status_code == 200
    api.desk.news()


def test_a_conflict_shows_what_was_read_what_stands_now_and_who_did_what_in_between(api: Api) -> None:
    api.declared()
    read = api.get("/incidents/INC-001").get_json()
    token, api.token = api.token, api.desk.token_of("ben")
    api.post("/incidents/INC-001/acknowledge")
    api.post("/incidents/INC-001/notes", {"text": "It is the disk"})
    api.token = token

    asked = {"severity": "P2", "reason": "Only staff", "version": read["version"]}
    told = is_problem(api.post("/incidents/INC-001/severity", asked), 409, "version_conflict")

    assert told["yours"] == {
        "version": read["version"], "status": "active", "severity": "P1", "taken_by": None, "verb": "severity",
        "fields": {"severity": "P2", "reason": "Only staff"},
    }  # fmt: skip
    assert told["theirs"]["taken_by"] == {"id": "ben", "name": "Ben"}
    assert told["theirs"]["version"] == told["incident"]["version"] > read["version"]
    assert next(one["text"] for one in told["since"] if one["actor"] == "ben") == "Ben has it. Escalation has stopped."
    assert told["since"][-1]["text"] == "It is the disk"
    api.desk.settle()
    api.desk.news()


def test_the_worst_first_are_walked_by_their_cursor_too(api: Api) -> None:
    for n, severity in enumerate(("P3", "P1", "P2", "P1", "P3")):
        api.post("/incidents", {"title": f"Number {n}", "severity": severity, "service": f"s{n}"})
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/incidents?status=open&limit=2&cursor={cursor}").get_json()
        seen += [one["severity"] for one in page["items"]]
        cursor = page["next"]
    assert seen == ["P1", "P1", "P2", "P3", "P3"]
    for path in ("/incidents?cursor=1-2-3", "/alerts?cursor=5", "/silences?cursor=1-2", "/inbox?cursor=x"):
        is_problem(api.get(path), 422, "malformed")
    api.desk.settle()
    api.desk.news()


def test_alerts_are_found_by_team_severity_and_time(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more="services: {shop: {name: Shop, team: default, match: ['service=\"shop\"']}}\n")
    desk.alertmanager_says(labels={"alertname": "DiskFills", "service": "shop", "severity": "warning"})
    desk.alertmanager_says(labels={"alertname": "QueueGrows", "service": "else", "severity": "warning"})
    found = {
        query: [one["title"] for one in desk.api("GET", f"/alerts?{query}")["items"]]
        for query in (
            "team=default",
            "team=nobody",
            "severity=P3",
            "since=2026-11-21T14:38:00Z",
            "until=2026-11-21T14:38:00Z",
        )
    }
    disk, queue = "DiskFills is wrong", "QueueGrows is wrong"
    assert found == {
        "team=default": [disk],
        "team=nobody": [],
        "severity=P3": [queue, disk],
        "since=2026-11-21T14:38:00Z": [],
        "until=2026-11-21T14:38:00Z": [queue, disk],
    }


def test_the_document_can_be_read_as_a_page_before_there_is_a_token(api: Api) -> None:
    for path in ("/api", "/api/docs"):
        answer = api.desk.client.get(path)
        page = answer.get_data(as_text=True)
        assert answer.status_code == 200
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert all(f'id="{route.name}"' in page for route in ROUTES)


def test_a_repeat_with_the_same_key_gets_the_first_answer_and_does_nothing(api: Api) -> None:
    first = api.post("/incidents", CHECKOUT, Idempotency_Key="one")
    again = api.post("/incidents", CHECKOUT, Idempotency_Key="one")

    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert again.headers["Location"] == first.headers["Location"] == "/api/v1/incidents/INC-001"
    assert api.count(tables.incident) == 1
    is_problem(api.post("/incidents", {**CHECKOUT, "title": "Other"}, Idempotency_Key="one"), 422, "malformed")
    is_problem(api.post("/incidents", CHECKOUT, Idempotency_Key="a b"), 422, "malformed")

    note = {"text": "the same key counts for another address anew"}
    assert api.post("/incidents/INC-001/notes", note, Idempotency_Key="one").status_code == 200
    api.token = api.desk.token_of("ben")
    assert api.post("/incidents", {**CHECKOUT, "title": "Ben's"}, Idempotency_Key="one").status_code == 201
    api.desk.settle()
    api.desk.news()


def test_of_two_posts_with_one_key_at_the_same_moment_one_is_done_and_both_get_its_answer(api: Api) -> None:
    app = api.desk.client.application
    headers = api.headers({"Idempotency_Key": "twins"})
    start = threading.Barrier(6)

    def post(_n: int) -> tuple[int, Any]:
        client = app.test_client()
        start.wait()
        answer = client.post("/api/v1/incidents", json=CHECKOUT, headers=headers)
        return answer.status_code, answer.get_json()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(6)))

    assert {status for status, _ in answers} == {201}, answers
    assert len({json.dumps(content) for _, content in answers}) == 1
    assert api.count(tables.incident) == 1
    api.desk.settle()
    api.desk.news()


def test_a_first_answer_is_kept_for_a_week(api: Api) -> None:
    silence = {"matchers": ["service=x"], "for": "2h", "reason": "It moves"}
    api.post("/silences", silence, Idempotency_Key="k")
    api.desk.forward(hours=6 * 24)
    api.desk.audit()
    assert api.count(tables.idempotency) == 1
    api.desk.forward(hours=25)
    api.desk.audit()
    assert api.count(tables.idempotency) == 0


def test_a_refusal_is_not_remembered(api: Api) -> None:
    is_problem(api.post("/incidents/INC-001/notes", {"text": "too early"}, Idempotency_Key="k"), 404, "not_found")
    api.declared()
    assert api.post("/incidents/INC-001/notes", {"text": "too early"}, Idempotency_Key="k").status_code == 200
    api.desk.settle()
    api.desk.news()


def test_a_suggested_alert_is_opened_by_one_call(desk: Desk, api: Api) -> None:
    desk.alertmanager_says(labels={"alertname": "DiskFills", "service": "shop", "severity": "warning"})
    (alert,) = api.get("/alerts?decision=suggest").get_json()["items"]
    assert alert["why"]
    assert api.get(f"/alerts/{alert['id']}").get_json()["title"] == alert["title"]

    opened = api.post(f"/alerts/{alert['id']}/open", {"severity": "P2"})

    assert opened.status_code == 201
    assert opened.get_json()["severity"] == "P2"
    desk.settle()
    assert api.get("/incidents/INC-001/pages").get_json()["items"]
    desk.news()


def test_simulate_says_what_would_happen_and_stores_nothing(desk: Desk, api: Api) -> None:
    body = json.dumps(desk.payload([("firing", {"alertname": "x", "severity": "critical"})])).encode()

    (found,) = api.post("/simulate", raw=body).get_json()["alerts"]

    assert found["decision"] == "open"
    assert found["why"]
    assert found["hears"]
    assert api.count(tables.inbox) == api.count(tables.alert) == api.count(tables.incident) == 0
    is_problem(api.post("/simulate", raw=b"{"), 422, "malformed_payload")
    is_problem(api.post("/simulate?source=nobody", raw=body), 404, "not_found")


def test_an_unreadable_delivery_can_be_replayed_once_it_is_understood(desk: Desk, api: Api) -> None:
    desk.post(b'{"this is": "no alert"}')
    desk.settle()
    with desk.house.database.work() as work:
        good = json.dumps(desk.payload([("firing", {"alertname": "Late", "severity": "warning"})])).encode()
        work.session.execute(tables.inbox.update().values(body=good))

    answer = api.post("/inbox/1/replay")
    assert answer.status_code == 202
    assert answer.get_json()["state"] == "new"
    desk.settle()

    assert [one["title"] for one in api.get("/alerts").get_json()["items"] if one["decision"] == "suggest"]
    is_problem(api.post("/inbox/1/replay"), 409, "replay.taken")
    is_problem(api.post("/inbox/77/replay"), 404, "not_found")
    desk.news()


def test_the_lists_are_walked_by_their_cursor(api: Api) -> None:
    for n in range(5):
        api.desk.forward(seconds=1)
        api.post("/incidents", {"title": f"Number {n}", "severity": "P3", "service": f"s{n}"})
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/incidents?limit=2&cursor={cursor}").get_json()
        seen += [one["title"] for one in page["items"]]
        cursor = page["next"]
    assert seen == [f"Number {n}" for n in (4, 3, 2, 1, 0)]
    api.desk.settle()
    api.desk.news()


def test_a_store_that_is_down_is_told_as_503_with_a_time_to_come_back(desk: Desk) -> None:
    house = desk.house
    nowhere = {
        "sqlite": "sqlite:////nowhere/secret-name.db",
        "postgresql": f"postgresql://u:secret@127.0.0.1:{free_port()}/x",
    }
    database = Database(nowhere[house.database.dialect], desk.clock)
    app = Flask("down")
    app.register_blueprint(api_blueprint(database=database, book=house.book, parse=lambda source, body: []))

    answer = app.test_client().get("/api/v1/incidents", headers={"Authorization": "Bearer x"})

    told = is_problem(answer, 503, "store_down")
    assert answer.headers["Retry-After"]
    assert "secret" not in str(told)
    database.close()


def test_no_answer_may_be_kept_by_a_cache(api: Api) -> None:
    assert api.get("/incidents").headers["Cache-Control"] == "no-store"


def test_the_openapi_document_describes_every_route_with_an_example(api: Api) -> None:
    told = api.desk.client.get("/api/openapi.json").get_json()

    assert told == json.loads(json.dumps(document()))
    assert told["openapi"].startswith("3.1")
    for route in ROUTES:
        operation = told["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.name
        assert operation["summary"]
        if route.method == "POST":
            assert "example" in operation["requestBody"]["content"]["application/json"]
    for reference in _references(told):
        _, _, kind, name = reference.split("/")
        assert name in told["components"][kind], reference


def test_every_example_is_accepted_by_its_own_schema() -> None:
    schemas = document()["components"]["schemas"]
    for route in ROUTES:
        if route.method != "POST" or route.raw:
            continue
        body = document()["paths"][route.path]["post"]["requestBody"]["content"]["application/json"]
        schema = schemas[body["schema"]["$ref"].rsplit("/", 1)[1]]
        assert set(route.example) <= set(schema["properties"]), route.name
        assert set(schema.get("required", ())) <= set(route.example), route.name


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _references(inner)]
    return []


def test_a_silence_is_made_once_however_often_it_is_sent(api: Api) -> None:
    body = {"matchers": ['service="checkout"'], "for": "2h", "reason": "The database moves"}

    made = [api.post("/silences", body, Idempotency_Key="move") for _ in range(2)]

    assert [one.status_code for one in made] == [201, 201]
    assert made[0].headers["Location"] == "/api/v1/silences/1"
    assert made[0].get_json() == made[1].get_json()
    assert api.count(tables.silence) == 1
    lifted = [api.post("/silences/1/lift", Idempotency_Key="lift") for _ in range(2)]
    assert [one.status_code for one in lifted] == [200, 200]
    is_problem(api.post("/silences/1/lift"), 409, "silence.over")
    is_problem(api.get("/silences/2"), 404, "not_found")


def test_the_matchers_of_a_silence_are_a_list_of_texts(api: Api) -> None:
    for wrong in ("service=x", ["service=x", 7], [None], [["service=x"]], ["\0"], ["x=y"] * 101, {}):
        body = {"matchers": wrong, "for": "2h", "reason": "why"}
        told = is_problem(api.post("/silences", body), 422, "malformed")
        assert [one["field"] for one in told["errors"]] == ["matchers"], wrong
    is_problem(api.post("/silences", {"matchers": [], "for": "2h", "reason": "why"}), 422, "field.matchers")


def test_silences_are_listed_a_page_at_a_time(api: Api) -> None:
    for n in range(3):
        assert api.post("/silences", {"matchers": [f"service=s{n}"], "for": "2h", "reason": "why"}).status_code == 201

    first = api.get("/silences?limit=2").get_json()
    rest = api.get(f"/silences?limit=2&cursor={first['next']}").get_json()

    assert [one["id"] for one in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next"] is None
    assert api.get("/silences?state=ended").get_json()["items"] == []
