"""The door for alerts: who gets in, what is stored, and what each sender must be answered."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Row, select

from incidents.errors import MalformedPayload
from incidents.tables import counter, inbox
from ports.clock import SettableClock
from ports.database import Database
from webhooks.body import KEPT, LIMIT
from webhooks.inbox import RETRY_AFTER, Hooks
from webhooks.sources import OVERSIZED, SOURCES, Source, alertmanager

PAYLOADS = Path(__file__).parent.parent / "payloads" / "alertmanager"
FIRING = (PAYLOADS / "single_firing.json").read_bytes()
TOKEN, NEXT_TOKEN = b"s3cr3t-token-of-32-bytes-or-more", "p:ä ss-with-colon:and-umlaut-0123".encode()
BEARER = {"Authorization": f"Bearer {TOKEN.decode()}", "Content-Type": "application/json"}


@dataclass
class Setting:
    """A source as the policy names it."""

    kind: str = "alertmanager"
    enabled: bool = True


@dataclass
class Rung:
    """A bell that remembers who rang."""

    bells: list[tuple[str, int]] = field(default_factory=list)

    def ring(self, bells: Iterable[tuple[str, int]]) -> None:
        self.bells.extend(bells)


@dataclass
class Door:
    """The hooks on an application of their own, with the store behind them."""

    client: FlaskClient
    database: Database
    rung: Rung

    def post(self, body: bytes | None = FIRING, path: str = "/hooks/alertmanager", **options: Any) -> Any:
        return self.client.post(path, **{"data": body, "headers": BEARER, **options})

    def rows(self) -> list[Row[Any]]:
        with self.database.read() as work:
            return list(work.session.execute(select(inbox).order_by(inbox.c.id)))

    def refused(self) -> dict[str, int]:
        with self.database.read() as work:
            return {row.name: row.value for row in work.session.execute(select(counter))}


def numbered(headers: Any) -> str | None:
    key: str | None = headers.get("X-Delivery")
    return key


@pytest.fixture
def door(database_url: str, clock: SettableClock) -> Iterator[Door]:
    rung = Rung()
    database = Database(database_url, clock, rung, wait=0.2)
    sources = {
        "alertmanager": Setting(),
        "old": Setting(enabled=False),
        "unheard-of": Setting(kind="carrier-pigeon"),
        "without-secret": Setting(),
        "numbered": Setting(kind="numbered"),
        "deploys/argocd": Setting(),
    }
    secrets = {"without-secret": [b""]}
    kinds = {**SOURCES, "numbered": Source("numbered", alertmanager.parse, numbered)}
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000  # whatever the console allows, the door takes more
    app.wsgi_app = Hooks(  # type: ignore[method-assign]
        app.wsgi_app,
        database=database,
        sources=lambda: sources,
        secrets=lambda name: secrets.get(name, [TOKEN, NEXT_TOKEN]),
        kinds=kinds,
    )
    yield Door(app.test_client(), database, rung)
    database.close()


def test_an_authentic_delivery_is_stored_and_rings_once(door: Door, clock: SettableClock) -> None:
    answer = door.post()

    (row,) = door.rows()
    assert (answer.status_code, answer.get_json()) == (202, {"accepted": row.id})
    assert (row.source, row.body, row.state, row.attempts) == ("alertmanager", FIRING, "new", 0)
    assert row.received_at == clock.now()
    assert row.delivery_key is None
    assert door.rung.bells == [("intake", row.id)]


def test_two_equal_deliveries_are_both_stored(door: Door) -> None:
    ids = [door.post().get_json()["accepted"] for _ in range(2)]

    assert [row.id for row in door.rows()] == ids


def test_a_delivery_that_its_sender_numbered_is_stored_once(door: Door) -> None:
    numbers = {**BEARER, "X-Delivery": "d-1"}

    first = door.post(path="/hooks/numbered", headers=numbers)
    again = door.post(path="/hooks/numbered", headers=numbers)

    assert first.get_json() == again.get_json()
    assert len(door.rows()) == len(door.rung.bells) == 1


def test_neither_credentials_nor_cookies_are_stored(door: Door) -> None:
    door.client.set_cookie("session", "canary")
    door.post(headers={**BEARER, "User-Agent": "Alertmanager/0.25.0", "X-Api-Key": "canary", "X-Long": "x" * 9999})

    assert door.rows()[0].headers == {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.25.0"}


@pytest.mark.parametrize("path", ["/hooks/alertmanager", "/hooks/alertmanager/", "/hooks/alertmanager?token=q&x=1"])
def test_no_spelling_of_the_address_is_redirected(door: Door, path: str) -> None:
    assert door.post(path=path).status_code == 202


@pytest.mark.parametrize("path", ["/hooks//alertmanager", "/hooks/alertmanager//", "/hooks/./alertmanager"])
def test_a_misspelt_address_is_taken_or_refused_and_never_redirected(door: Door, path: str) -> None:
    assert door.post(path=path).status_code in (202, 404)


def test_a_source_may_have_a_name_of_two_parts(door: Door) -> None:
    assert door.post(path="/hooks/deploys/argocd").status_code == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("name", ["alertmanager", "nobody"])
def test_only_post_is_answered(door: Door, method: str, name: str) -> None:
    answer = door.client.open(f"/hooks/{name}", method=method, headers=BEARER)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert not door.rows()


@pytest.mark.parametrize(
    "name", ["nobody", "old", "unheard-of", "Alertmanager", "alertmanager/../old", "\u202e", "%00"]
)
def test_an_unknown_or_disabled_source_is_not_found(door: Door, name: str) -> None:
    answer = door.post(path=f"/hooks/{name}")

    assert answer.status_code == 404
    assert "Nothing was stored" in answer.text
    assert not door.rows()


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {TOKEN.decode()}",
        f"bearer   {TOKEN.decode()}  ",
        f"BEARER {NEXT_TOKEN.decode('latin-1')}",
        basic(b"am:" + TOKEN),
        basic(b"am:" + NEXT_TOKEN),
        basic(b":" + TOKEN),
        basic("jürgen:".encode() + NEXT_TOKEN),
    ],
)
def test_both_live_secrets_open_by_bearer_and_by_basic(door: Door, authorization: str) -> None:
    assert door.post(environ_overrides={"HTTP_AUTHORIZATION": authorization}, headers={}).status_code == 202


T = TOKEN.decode()
FORGED = [
    *[None, "", " ", "Bearer", "Bearer ", "Bearer  ", "Basic", "Basic ", "Basic Og==", "Basic =", "Basic !!!!"],
    *["Bearer null", "Bearer None", "Bearer undefined", "Bearer true", "Bearer 0", 'Bearer ""', "Bearer \x00"],
    *[T, f"Token {T}", f"GenieKey {T}", f"Digest {T}", f"Bearer{T}", f"Bearer:{T}", f"Bearer={T}", f"Bearer\u00a0{T}"],
    *[f"Bearer {T[:-1]}", f"Bearer {T}x", f"Bearer {T[1:]}", f"Bearer {T.upper()}", f"Bearer {T[::-1]}"],
    *[f"Bearer {T}, Bearer {T}", f"Bearer {T},", f"Bearer {T}\x00", f"Bearer {T} {T}", f'Bearer "{T}"', f"Basic {T}"],
    *[f"Bearer {base64.b64encode(TOKEN).decode()}", f"Bearer {TOKEN.hex()}", "Bearer é", "Bearer " + "x" * 9000],
    *[basic(TOKEN), basic(TOKEN + b":"), basic(b"am:" + TOKEN + b":"), basic(b"am: " + TOKEN), basic(b"am;" + TOKEN)],
    *[basic(b"am:"), basic(b"am::" + TOKEN), basic(b"am:" + TOKEN)[:-3], f"Bearer {basic(b'am:' + TOKEN)}"],
]


def test_forged_credentials_are_refused_and_only_counted(door: Door, clock: SettableClock) -> None:
    assert len(FORGED) >= 40

    for forged in FORGED:
        given = {} if forged is None else {"HTTP_AUTHORIZATION": forged}
        answer = door.post(headers={}, environ_overrides=given)
        assert answer.status_code == 401, forged
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), forged
        assert "Authorization header is missing or wrong" in answer.text

    assert not door.rows()
    assert not door.rung.bells
    clock.forward(timedelta(seconds=2))
    door.post()
    assert door.refused() == {"refused.alertmanager": len(FORGED)}


def test_a_source_without_a_secret_lets_nobody_in(door: Door) -> None:
    for authorization in ("Bearer ", "Bearer", basic(b"am:"), basic(b""), ""):
        answer = door.post(path="/hooks/without-secret", headers={"Authorization": authorization})
        assert answer.status_code == 401


def test_refusals_are_written_at_most_once_a_second(door: Door, clock: SettableClock) -> None:
    for _ in range(50):
        door.post(headers={})

    assert door.refused() == {"refused.alertmanager": 1}

    clock.forward(timedelta(seconds=1))
    door.post(headers={})
    assert door.refused() == {"refused.alertmanager": 51}


@pytest.mark.parametrize("name", ["auth_bearer", "auth_custom_type", "auth_oauth2", "auth_url_userinfo_and_query"])
def test_what_an_alertmanager_really_sends_is_refused_unless_it_carries_our_secret(door: Door, name: str) -> None:
    lines = (PAYLOADS / f"{name}.headers").read_text().split("\n\n")[0].splitlines()[1:]
    headers = dict(line.split(": ", 1) for line in lines if not line.startswith(("Host", "Content-Length")))

    answer = door.post((PAYLOADS / f"{name}.json").read_bytes(), headers=headers)

    assert answer.status_code == 401


POISON = {
    "empty": b"",
    "no_json": b"\x00\xff\xfe",
    "deep": b"[" * 20_000,
    "nul_label": b'{"alerts": [{"status": "firing", "labels": {"alertname": "a\\u0000b\\ud800"}}]}',
    "a_label_of_200_kB": b'{"alerts": [{"status": "firing", "labels": {"alertname": "' + b"x" * 200_000 + b'"}}]}',
    "form": b"payload=1",
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_an_authentic_body_is_stored_byte_for_byte_whatever_it_is(door: Door, body: bytes, content_type: str) -> None:
    assert door.post(body, headers={**BEARER, "Content-Type": content_type}).status_code == 202
    assert door.rows()[0].body == body


def test_a_body_of_ten_mebibytes_is_taken_whole(door: Door) -> None:
    body = b"x" * LIMIT

    assert door.post(body).status_code == 202
    assert door.rows()[0].body == body
    assert OVERSIZED not in door.rows()[0].headers


@pytest.mark.parametrize("chunked", [False, True], ids=["with_length", "chunked"])
def test_of_a_larger_body_the_beginning_is_kept_and_it_is_still_accepted(door: Door, *, chunked: bool) -> None:
    body = b"y" * (LIMIT + 70_000)
    chunks: dict[str, Any] = {
        "input_stream": io.BytesIO(body),
        "environ_overrides": {"wsgi.input_terminated": True},
        "data": None,
    }

    answer = door.post(body, **(chunks if chunked else {}))

    (row,) = door.rows()
    assert answer.status_code == 202
    assert row.body == body[:KEPT]
    assert str(len(body)) in row.headers[OVERSIZED]
    with pytest.raises(MalformedPayload, match="too large"):
        SOURCES["alertmanager"].parse("alertmanager", row.body, row.headers)


def test_a_chunked_body_is_read_to_its_end(door: Door) -> None:
    answer = door.post(data=None, input_stream=io.BytesIO(FIRING), environ_overrides={"wsgi.input_terminated": True})

    assert answer.status_code == 202
    assert door.rows()[0].body == FIRING


def test_half_a_body_is_not_stored(door: Door) -> None:
    answer = door.post(
        data=None, input_stream=io.BytesIO(FIRING[:100]), environ_overrides={"CONTENT_LENGTH": str(len(FIRING))}
    )

    assert answer.status_code == 400
    assert not door.rows()


GZIP = {**BEARER, "Content-Encoding": "gzip"}


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_gzipped_body_is_stored_unpacked(door: Door, encoding: str) -> None:
    packed = gzip.compress(FIRING[:500]) + gzip.compress(FIRING[500:])

    assert door.post(packed, headers={**BEARER, "Content-Encoding": encoding}).status_code == 202
    assert door.rows()[0].body == FIRING
    assert "Content-Encoding" not in door.rows()[0].headers


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(FIRING)[:-9], gzip.compress(FIRING) + b"rest"])
def test_a_body_that_cannot_be_unpacked_is_stored_as_it_came(door: Door, packed: bytes) -> None:
    assert door.post(packed, headers=GZIP).status_code == 202
    assert door.rows()[0].body == packed


@pytest.mark.parametrize("members", [1, 300], ids=["one_member", "many_members"])
def test_a_gzip_bomb_is_kept_packed(door: Door, members: int) -> None:
    bomb = gzip.compress(bytes(40 * 2**20 // members)) * members

    answer = door.post(bomb, headers=GZIP)

    (row,) = door.rows()
    assert answer.status_code == 202
    assert row.body == bomb[:KEPT]
    assert "inflate" in row.headers[OVERSIZED]


def test_a_store_that_is_down_is_a_503_and_works_again_afterwards(
    door: Door, store_down: Callable[[], AbstractContextManager[None]]
) -> None:
    door.post()
    with store_down():
        answer = door.post()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, str(RETRY_AFTER))
    assert "send it again" in answer.text
    assert door.post().status_code == 202
    assert len(door.rows()) == 2


def test_refusals_of_a_store_that_is_down_are_counted_when_it_is_back(
    door: Door, clock: SettableClock, store_down: Callable[[], AbstractContextManager[None]]
) -> None:
    with store_down():
        assert door.post(headers={}).status_code == 401

    clock.forward(timedelta(seconds=2))
    door.post(headers={})
    assert door.refused() == {"refused.alertmanager": 2}
