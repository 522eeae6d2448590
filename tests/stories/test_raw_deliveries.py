"""A delivery that nobody understands pages a person, and that person can read what came (U32)."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, update

from firedoor.web import create_app
from incidents import tables
from incidents.rawbody import LIMIT
from tests.fixtures.desk import TOKEN, Desk, add_token
from tests.fixtures.signingin import signed_in

NO_ALERTS = b'{"receiver":"firedoor","note":"a new version of the sender"}'
HOSTILE = (
    b"<script>document.title='owned'</script></code></pre><img src=x onerror=alert(1)>{{ 7*7 }}"
    b"\x1b[2J\x1b]0;owned\x07\x9b31m\0 \xed\xa0\x80 \r\xff" + "\u202e\u009b\u2028<!--/t-->".encode()
)
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def came(desk: Desk, body: bytes) -> None:
    desk.post(body)
    desk.settle()
    desk.news()


def page(client: FlaskClient, path: str, expect: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == expect, path
    return str(answer.get_data(as_text=True))


def body_on(html: str) -> str:
    """What stands where the body is shown, and that it is one text without a tag."""
    found = re.search(r'<pre tabindex="0" dir="ltr" aria-labelledby="body"><code>(.*?)</code></pre>', html, re.DOTALL)
    assert found
    assert "<" not in found[1]
    return unescape(found[1])


def as_role(desk: Desk, role: str, person: str, *, teams: tuple[str, ...] = ()) -> tuple[FlaskClient, dict[str, str]]:
    """A browser and the header of a token, of one account of that role."""
    client = create_app(desk.house).test_client()
    token = add_token(desk.house, person, "signin", role=role, teams=teams)
    assert client.post("/signin", data={"token": token}).status_code == 303
    bearer = add_token(desk.house, person, role=role, teams=teams)
    return client, {"Authorization": f"Bearer {bearer}"}


def test_whoever_is_paged_for_an_unreadable_alert_comes_from_its_incident_to_what_came(desk: Desk) -> None:
    came(desk, NO_ALERTS)
    ada = signed_in(desk)

    incident = page(ada, "/i/INC-001")
    assert incident.count('<a href="/inbox/1">Read what came: delivery 1</a>') == 2, "at its entry, and as its alert"
    assert '<a href="/inbox/1">Delivery 1</a>' in page(ada, "/inbox")

    shown = page(ada, "/inbox/1")
    assert json.loads(body_on(shown)) == json.loads(NO_ALERTS)
    assert body_on(shown).startswith('{\n  "receiver": "firedoor",\n')
    assert "Delivery 1 of alertmanager" in shown
    assert "60 bytes" in shown
    assert "tried 1 time" in shown
    assert 'action="/inbox/1/replay"' in shown


def test_the_api_says_it_too_with_the_reason_and_what_became_of_it(desk: Desk) -> None:
    came(desk, NO_ALERTS)

    found = desk.api("GET", "/inbox/1")
    assert found["body"] == '{\n  "receiver": "firedoor",\n  "note": "a new version of the sender"\n}'
    assert (found["source"], found["state"], found["attempts"], found["bytes"]) == ("alertmanager", "unreadable", 1, 60)
    assert found["why"] == desk.api("GET", "/inbox")["items"][0]["why"] != ""
    assert (found["cut"], found["laid_out"], found["escaped"], found["can_replay"]) == (False, True, 0, True)

    assert desk.incident()["delivery"] == 1
    entries = desk.api("GET", "/incidents/INC-001/timeline")["items"]
    assert [one["delivery"] for one in entries if one["kind"] == "opened.unreadable"] == [1]
    assert {one["delivery"] for one in entries if one["kind"] != "opened.unreadable"} == {None}


def test_a_second_one_of_the_same_sender_is_one_more_entry_and_the_incident_names_the_newest(desk: Desk) -> None:
    came(desk, NO_ALERTS)
    came(desk, b"{not json")

    assert desk.incident()["delivery"] == 2
    assert len(desk.incidents()) == 1
    shown = page(signed_in(desk), "/i/INC-001")
    assert 'href="/inbox/1"' in shown
    assert 'href="/inbox/2"' in shown


def test_what_was_taken_in_can_be_read_from_its_alert_and_is_not_offered_again(desk: Desk) -> None:
    desk.alertmanager_says()
    desk.news()

    assert desk.incident()["delivery"] is None
    number = desk.api("GET", "/alerts/1")["delivery"]
    found = desk.api("GET", f"/inbox/{number}")
    assert (found["state"], found["can_replay"], found["why"]) == ("taken", False, "")
    ada = signed_in(desk)
    assert f'href="/inbox/{number}"' in page(ada, "/alerts/1")
    shown = page(ada, f"/inbox/{number}")
    assert "DBConnectionErrors" in body_on(shown)
    assert f"/inbox/{number}/replay" not in shown


def test_a_hostile_body_is_text_on_the_page_and_in_the_api(desk: Desk) -> None:
    came(desk, HOSTILE)

    shown = page(signed_in(desk), "/inbox/1")
    text = body_on(shown)
    assert "<script>document.title='owned'</script></code></pre><img src=x onerror=alert(1)>{{ 7*7 }}" in text
    assert r"\x1b[2J\x1b]0;owned\x07\x9b31m\x00 \xed\xa0\x80 \x0d\xff\u202e\u009b\u2028<!--/t-->" in text
    assert not STEERS.search(shown)
    assert "13 of its bytes or characters" in shown

    answer = desk.client.get("/api/v1/inbox/1", headers={"Authorization": f"Bearer {desk.api_token}"})
    assert answer.content_type == "application/json"
    assert answer.get_json()["body"] == text
    assert not STEERS.search(answer.get_json()["body"])


def test_of_ten_mebibytes_the_first_sixteen_kibibytes_are_shown_and_the_page_says_so(desk: Desk) -> None:
    came(desk, b'"<b>\x1b",' * (10 * 2**20 // 7))

    found = desk.api("GET", "/inbox/1")
    assert found["cut"]
    assert found["bytes"] == 10 * 2**20 - 5
    assert len(found["body"]) - 3 * found["escaped"] == LIMIT
    shown = page(signed_in(desk), "/inbox/1")
    assert "Only the first 16 KiB of its 10,485,755 bytes are shown." in shown
    assert body_on(shown) == found["body"]


def test_an_empty_body_is_said_to_be_empty(desk: Desk) -> None:
    came(desk, b"")

    assert desk.api("GET", "/inbox/1")["body"] == ""
    assert "Its body is empty." in page(signed_in(desk), "/inbox/1")


def test_no_header_of_the_request_is_shown(desk: Desk) -> None:
    answer = desk.client.post(
        "/hooks/alertmanager", data=b"{", headers={"Authorization": f"Bearer {TOKEN}", "User-Agent": "canary-agent"}
    )
    assert answer.status_code == 202
    desk.settle()
    desk.news()

    assert "canary-agent" in str(rows(desk))
    told = json.dumps(desk.api("GET", "/inbox/1")) + page(signed_in(desk), "/inbox/1")
    assert "canary-agent" not in told
    assert TOKEN not in told


def rows(desk: Desk) -> list[Any]:
    with desk.house.database.read() as work:
        return list(work.session.execute(tables.inbox.select()))


def test_a_viewer_is_refused_and_led_nowhere_and_a_responder_of_any_team_reads(desk: Desk) -> None:
    came(desk, NO_ALERTS)
    pia, token = as_role(desk, "viewer", "pia")

    refused = page(pia, "/inbox/1", expect=403)
    assert "This needs the role responder; yours is viewer." in refused
    assert "a new version of the sender" not in refused
    answer = desk.client.get("/api/v1/inbox/1", headers=token)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "permission.role")
    assert desk.client.get("/api/v1/inbox/99", headers=token).status_code == 403, "nor whether it is there"
    for path in ("/inbox", "/i/INC-001"):
        assert 'href="/inbox/1"' not in page(pia, path)
    assert "A responder can read what came: delivery 1." in page(pia, "/i/INC-001")

    ben, token = as_role(desk, "responder", "ben", teams=("other",))
    shown = page(ben, "/inbox/1")
    assert "a new version of the sender" in body_on(shown)
    assert "This needs the role operator; yours is responder." in shown
    assert "/inbox/1/replay" not in shown
    assert desk.client.get("/api/v1/inbox/1", headers=token).status_code == 200


@pytest.mark.parametrize("number", ["2", "9223372036854775807"])
def test_what_is_not_there_is_said_to_be_not_there(desk: Desk, number: str) -> None:
    came(desk, NO_ALERTS)

    assert f"There is no delivery {number} in the inbox" in page(signed_in(desk), f"/inbox/{number}", expect=404)
    assert desk.api("GET", f"/inbox/{number}", expect=404)["detail"].startswith(f"There is no delivery {number} ")
    page(signed_in(desk), "/inbox/99999999999999999999", expect=404)
    assert desk.api("GET", "/inbox/99999999999999999999", expect=404)["code"] == "not_found"


def test_what_was_deleted_when_its_time_was_over_is_said_to_be_gone(desk: Desk) -> None:
    came(desk, NO_ALERTS)
    with desk.house.database.work() as work:
        work.session.execute(delete(tables.inbox))

    assert "its time was over and it was deleted" in page(signed_in(desk), "/inbox/1", expect=404)
    assert "its time was over and it was deleted" in desk.api("GET", "/inbox/1", expect=404)["detail"]
    assert desk.incident()["delivery"] == 1, "the record still says which it was"


def test_reading_changes_nothing_and_leaves_no_line(desk: Desk) -> None:
    came(desk, NO_ALERTS)
    ada = signed_in(desk)
    before = everything(desk)

    page(ada, "/inbox/1")
    desk.api("GET", "/inbox/1")

    assert everything(desk) == before


def everything(desk: Desk) -> list[Any]:
    with desk.house.database.read() as work:
        return [work.session.execute(one.select()).all() for one in (tables.inbox, tables.audit, tables.timeline)]


def test_one_of_shadow_is_linked_as_well(desk: Desk) -> None:
    came(desk, NO_ALERTS)
    with desk.house.database.work() as work:
        work.session.execute(update(tables.incident).values(group_key='["shadow","unreadable","alertmanager"]'))

    assert desk.incident()["delivery"] == 1
