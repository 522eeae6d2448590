"""Signing in: passwords, sessions, throttling, and what a forged or stolen one opens (nothing)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from console.doors import own_path
from firedoor.settings import Settings
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import accounts, tables, throttle
from incidents.press import Actor
from ports.passwords import hash_password
from tests.fixtures.desk import Desk, OpenDesk, add_token

PASSWORD = "four quiet words together"
HASHED = hash_password(PASSWORD)
ADMIN = Actor("ada", "Ada", "console", "admin", (), "ada")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def desk(open_desk: OpenDesk) -> Iterator[Desk]:
    desk = open_desk()
    desk.house.database.alone(lambda work: accounts.set_password(work.session, "ada", HASHED, by=ADMIN, now=work.now))
    yield desk
    desk.news()


def browser(desk: Desk) -> FlaskClient:
    return create_app(desk.house).test_client()


def types(client: FlaskClient, login: str = "ada", password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/signin", data={"login": login, "password": password, **more.pop("data", {})}, **more)


def slips(desk: Desk, times: int, *, login: str = "ada", of: str = "203.0.113.9") -> None:
    """So many wrong tries of before, counted as the page counts them."""

    def count(work: Any) -> None:
        for n in range(times):
            throttle.tried(work.session, login.format(n), of, now=work.now)

    desk.house.database.alone(count)


def is_in(client: FlaskClient) -> bool:
    return client.get("/tokens").status_code == 200


def csrf_of(client: FlaskClient, path: str = "/password") -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).get_data(as_text=True))
    assert found
    return found[1]


def told(answer: Any) -> str:
    return str(answer.get_data(as_text=True))


# --- passwords --------------------------------------------------------------------------------------------------------


def test_a_password_signs_in_and_leads_to_the_page_that_was_asked_for(desk: Desk) -> None:
    client = browser(desk)
    asked = client.get("/alerts?status=firing")
    assert asked.status_code == 401
    assert 'name="next" value="/alerts?status=firing"' in told(asked)

    answer = types(client, "ADA", data={"next": "/alerts?status=firing"})

    assert (answer.status_code, answer.location) == (303, "/alerts?status=firing")
    assert is_in(client)


def test_an_unknown_login_and_a_wrong_password_get_the_same_answer(desk: Desk) -> None:
    wrong = types(browser(desk), password="another password")
    unknown = types(browser(desk), login="zoe")
    without = types(browser(desk), login="ben")

    assert wrong.status_code == unknown.status_code == without.status_code == 401
    pages = [re.sub(r'value="(ada|zoe|ben)"', "", told(answer)) for answer in (wrong, unknown, without)]
    assert pages[0] == pages[1] == pages[2]
    assert "do not belong together" in pages[0]
    assert PASSWORD not in told(unknown)


def test_a_disabled_account_gets_the_answer_of_a_wrong_password_and_its_sessions_are_over(desk: Desk) -> None:
    add_token(desk.house, "ben")
    client = browser(desk)
    types(client)
    ben = Actor("ben", "Ben", "console", "admin", (), "ben")
    desk.house.database.alone(lambda work: accounts.disable(work.session, "ada", by=ben, now=work.now))

    assert not is_in(client)
    assert "do not belong together" in told(types(browser(desk)))


def test_after_ten_tries_an_account_waits_and_the_one_time_link_still_leads_in(desk: Desk) -> None:
    client = browser(desk)
    slips(desk, 9)
    assert types(client, password="wrong").status_code == 401
    refused = types(client)
    assert refused.status_code == 429
    assert "Too many tries" in told(refused)
    assert types(client, login="zoe").status_code == 401, "another login counts for itself"

    link = add_token(desk.house, "ada", "signin")
    assert client.post("/signin", data={"token": link}).status_code == 303
    assert is_in(client)

    desk.forward(minutes=16)
    assert types(browser(desk)).status_code == 303


def test_an_address_that_tries_many_logins_waits_and_others_do_not(desk: Desk) -> None:
    client = browser(desk)
    slips(desk, 49, login="user{}", of="127.0.0.1")
    assert types(client, login="user50", password="x").status_code == 401
    assert types(client, login="user51").status_code == 429

    elsewhere = {"REMOTE_ADDR": "203.0.113.7"}
    assert types(client, environ_base=elsewhere).status_code == 303
    with desk.house.database.read() as work:
        names = work.session.execute(select(tables.throttle.c.name)).scalars().all()
    assert not any("user" in name for name in names), "what is typed is kept as a digest"


def test_a_forwarded_address_is_believed_from_this_machine_alone(desk: Desk) -> None:
    client = browser(desk)
    outside = {"REMOTE_ADDR": "203.0.113.7"}
    slips(desk, 49, login="user{}", of="203.0.113.7")
    for n in range(2):
        told_by = {"X-Forwarded-For": f"198.51.100.{n}"}
        last = types(client, login="zoe", environ_base=outside, headers=told_by)
    assert last.status_code == 429

    proxied = {"X-Forwarded-For": "10.0.0.1, 198.51.100.99"}
    assert types(client, login="zoe", headers=proxied).status_code == 401


def test_ipv4_behind_a_listener_of_both_kinds_is_as_many_addresses_as_it_is(desk: Desk) -> None:
    client = browser(desk)
    slips(desk, 50, login="user{}", of="203.0.113.7")

    assert types(client, login="zoe", environ_base={"REMOTE_ADDR": "::ffff:203.0.113.7"}).status_code == 429
    assert types(client, environ_base={"REMOTE_ADDR": "::ffff:203.0.113.8"}).status_code == 303
    through = {"X-Forwarded-For": "203.0.113.7"}
    proxy = {"REMOTE_ADDR": "::ffff:127.0.0.1"}
    assert types(client, login="zoe", environ_base=proxy, headers=through).status_code == 429, "a proxy of this machine"


def test_ten_tries_of_an_account_are_ten_by_whichever_of_its_names(desk: Desk) -> None:
    def add(work: Any) -> None:
        accounts.add(
            work.session, "cy@example.com", role="responder", person="cy", by=ADMIN, book=desk.house.book(),
            now=work.now,
        )  # fmt: skip
        accounts.set_password(work.session, "cy@example.com", HASHED, by=ADMIN, now=work.now)

    desk.house.database.alone(add)
    for n in range(10):
        assert types(browser(desk), login=("cy", "cy@example.com")[n % 2], password="wrong").status_code == 401
    assert types(browser(desk), login="cy").status_code == 429
    assert types(browser(desk), login="CY@example.com").status_code == 429


def test_one_account_s_slips_at_its_own_password_keep_nobody_else_from_theirs(desk: Desk) -> None:
    add_token(desk.house, "ben")
    desk.house.database.alone(lambda work: accounts.set_password(work.session, "ben", HASHED, by=ADMIN, now=work.now))

    def changes(login: str, present: str) -> Any:
        client = browser(desk)
        assert types(client, login=login).status_code == 303
        wanted = {"present": present, "wanted": f"{PASSWORD} of {login}", "again": f"{PASSWORD} of {login}"}
        return lambda: client.post("/password", data={"csrf": csrf_of(client), **wanted})

    ben = changes("ben", "wrong")
    said = [told(ben()) for _ in range(55)]
    assert "Too many tries" in said[-1]
    assert changes("ada", PASSWORD)().status_code == 303


def test_a_refusal_writes_as_much_for_a_login_that_nobody_has(desk: Desk) -> None:
    def refusals() -> int:
        with desk.house.database.read() as work:
            c = tables.counter.c
            return int(work.session.execute(select(c.value).where(c.name == "signin.refused")).scalar() or 0)

    for login in ("ada", "zoe", "ben"):
        before = refusals()
        types(browser(desk), login=login, password="wrong")
        assert refusals() == before + 1, "else the wait for the disk would tell which logins there are"


def test_signing_in_clears_the_slips_of_its_account(desk: Desk) -> None:
    for _ in range(3):
        slips(desk, 9)
        assert types(browser(desk)).status_code == 303


def test_changing_the_password_ends_every_other_session_and_renews_this_one(desk: Desk) -> None:
    mine, other = browser(desk), browser(desk)
    types(mine)
    types(other)
    link = add_token(desk.house, "ada", "signin")
    before, wanted = mine.get_cookie("firedoor").value, "another four quiet words"
    form = {"csrf": csrf_of(mine), "present": PASSWORD, "wanted": wanted, "again": wanted}

    assert mine.post("/password", data={**form, "present": "wrong"}).status_code == 422
    assert mine.post("/password", data={**form, "again": "different words here"}).status_code == 422
    assert mine.post("/password", data={**form, "wanted": "short", "again": "short"}).status_code == 422
    assert is_in(other)
    answer = mine.post("/password", data=form)

    assert answer.status_code == 303
    assert mine.get_cookie("firedoor").value != before
    assert is_in(mine)
    assert not is_in(other)
    assert browser(desk).post("/signin", data={"token": link}).status_code == 401
    assert types(browser(desk)).status_code == 401
    assert types(browser(desk), password=wanted).status_code == 303


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_the_session_cookie_is_for_this_site_and_out_of_reach_of_scripts(open_desk: OpenDesk) -> None:
    desk = open_desk()
    cookie = browser(desk).post("/signin", data={"token": add_token(desk.house, "ada", "signin")}).headers["Set-Cookie"]
    assert re.fullmatch(r"firedoor=[\w-]{43}; HttpOnly; Path=/; SameSite=Lax", cookie)

    settings = Settings.from_env({**desk.house.settings.environ, "FIREDOOR_PUBLIC_URL": "https://firedoor.example.com"})
    house = House.open(settings, clock=desk.clock, role="desk")
    answer = create_app(house).test_client().post("/signin", data={"token": add_token(house, "ada", "signin")})
    house.close()
    assert re.fullmatch(
        r"__Host-firedoor=[\w-]{43}; Secure; HttpOnly; Path=/; SameSite=Lax", answer.headers["Set-Cookie"]
    )


def test_a_session_id_that_somebody_planted_is_never_signed_in(desk: Desk) -> None:
    client = browser(desk)
    client.set_cookie("firedoor", "planted-by-somebody")
    types(client)
    assert client.get_cookie("firedoor").value != "planted-by-somebody"

    first = client.get_cookie("firedoor").value
    types(client)
    assert client.get_cookie("firedoor").value != first
    thief = browser(desk)
    thief.set_cookie("firedoor", first)
    assert not is_in(thief), "signing in again ends the session before"


def test_a_session_in_use_lives_on_and_an_idle_one_ends_after_twelve_hours(desk: Desk) -> None:
    client = browser(desk)
    types(client)
    for _ in range(4):
        desk.clock.set(desk.clock.now() + accounts.timedelta(hours=6))
        assert is_in(client)
    desk.clock.set(desk.clock.now() + accounts.timedelta(hours=12, minutes=1))
    assert not is_in(client)


def test_another_role_ends_the_sessions_that_the_role_before_began(desk: Desk) -> None:
    add_token(desk.house, "ben")
    client = browser(desk)
    client.post("/signin", data={"token": add_token(desk.house, "ben", "signin")})
    assert client.get("/accounts").status_code == 200

    book = desk.house.book()
    desk.house.database.alone(lambda work: accounts.change(
        work.session, "ben", role="responder", person="ben", teams=(), by=ADMIN, book=book, now=work.now
    ))  # fmt: skip

    assert not is_in(client)
    client.post("/signin", data={"token": add_token(desk.house, "ben", "signin", role="responder")})
    assert client.get("/accounts").status_code == 403


# --- forms and redirects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "foreign",
    [{"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_no_other_site_signs_anybody_in_or_presses_for_them(desk: Desk, foreign: dict[str, str]) -> None:
    client = browser(desk)
    assert types(client, headers=foreign).status_code == 403
    types(client)
    form = {"csrf": csrf_of(client), "name": "theirs", "scope": "admin"}
    assert client.post("/tokens", data=form, headers=foreign).status_code == 403


@pytest.mark.parametrize(
    "path", ["/tokens", "/password", "/accounts", "/accounts/ben/disable", "/silences", "/declare"]
)
def test_a_form_without_this_session_s_mark_does_nothing(desk: Desk, path: str) -> None:
    mine, other = browser(desk), browser(desk)
    types(mine)
    types(other)

    for csrf in ("", "0" * 64, csrf_of(other), csrf_of(mine).upper(), "é"):
        assert mine.post(path, data={"csrf": csrf}).status_code == 403


ELSEWHERE = (
    "https://evil.example.com", "//evil.example.com", "///evil.example.com", "/\\evil.example.com",
    "\\\\evil.example.com", "http:evil.example.com", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x",
    " //evil.example.com", "\t//evil.example.com", "/\t/evil.example.com", "/\n/evil.example.com",
    "/%0d%0aSet-Cookie:x=1\r\nX: y", "evil.example.com", "https:/evil.example.com", "/signin?token=x", "/signout",
    "//user@evil.example.com", "/ /evil", "", "?x", "#x", "/\x00", "//[::1", "ftp://evil.example.com/",
)  # fmt: skip


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_no_other_site_is_taken_for_a_path_of_ours(wanted: str) -> None:
    assert own_path(wanted) == "/"


def test_signing_in_never_leads_to_another_site(desk: Desk) -> None:
    client = browser(desk)
    for wanted in ELSEWHERE:
        answer = types(client, data={"next": wanted})
        assert (answer.status_code, answer.location) == (303, "/"), wanted


@pytest.mark.parametrize("wanted", ["/", "/i/INC-001", "/alerts?status=firing&q=a%20b", "/silences?alert=1#new"])
def test_a_path_of_ours_is_kept(wanted: str) -> None:
    assert own_path(wanted) == wanted


def test_no_page_can_be_framed_and_none_is_kept(desk: Desk) -> None:
    client = browser(desk)
    types(client)
    for path in ("/", "/signin", "/tokens", "/password", "/accounts", "/audit"):
        headers = client.get(path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("text", ["x\r\nSet-Cookie: evil=1", "x\nLocation: https://evil", "\x00", "a\u2028b", "é" * 50])
def test_no_text_of_a_person_becomes_a_header(desk: Desk, text: str) -> None:
    client = browser(desk)
    types(client)
    csrf = csrf_of(client)
    for path, form in (("/tokens", {"name": text, "scope": "read"}), ("/accounts", {"login": text, "role": "viewer"}),
                       ("/accounts/" + "x", {"login": text})):  # fmt: skip
        answer = client.post(path, data={"csrf": csrf, **form})
        assert "evil" not in str(answer.headers)
        assert answer.status_code < 500
    answer = types(browser(desk), login=text, data={"next": text})
    assert "evil" not in str(answer.headers)


# --- the first start, links, tokens, pages ----------------------------------------------------------------------------


def test_the_first_account_of_a_database_is_an_admin_by_its_link_alone(desk: Desk, sqlite_url: str) -> None:
    with desk.house.database.work() as work:
        for table in (tables.credential, tables.account):
            work.session.execute(table.delete())
        assert accounts.ensure(work.session, "cy", now=work.now) == "cy"
        assert accounts.ensure(work.session, "ben", now=work.now) == "ben"
        found = {row.login: (row.role, row.password_hash) for row in accounts.everyone(work.session)}

    assert found == {"cy": ("admin", None), "ben": ("responder", None)}
    assert types(browser(desk), "cy", "").status_code == 401


def test_an_admin_adds_an_account_and_gives_it_a_link_once(desk: Desk) -> None:
    client = browser(desk)
    types(client)
    csrf = csrf_of(client)
    assert client.post("/accounts", data={"csrf": csrf, "login": "ben", "role": "responder"}).status_code == 422
    added = client.post("/accounts", data={"csrf": csrf, "login": "ben@shop", "role": "responder", "person": "ben"})
    assert added.status_code == 303

    page = told(client.post("/accounts/ben@shop/signin", data={"csrf": csrf}))
    token = re.search(r"/signin\?token=([\w-]{43})", page)
    assert token
    assert token[1] not in told(client.get("/accounts"))
    ben = browser(desk)
    assert ben.post("/signin", data={"token": token[1]}).status_code == 303
    assert ben.get("/accounts").status_code == 403
    assert "Your account may not do that" in told(ben.get("/audit"))
    assert browser(desk).post("/signin", data={"token": token[1]}).status_code == 401

    audited = told(client.get("/audit?on=ben"))
    for what in ("account.add", "account.link", "signin"):
        assert what in audited


def test_the_last_admin_can_neither_be_disabled_nor_lowered(desk: Desk) -> None:
    client = browser(desk)
    types(client)
    csrf = csrf_of(client)

    assert client.post("/accounts/ada/disable", data={"csrf": csrf}).status_code == 409
    lowered = client.post("/accounts/ada/role", data={"csrf": csrf, "role": "viewer", "person": "ada"})
    assert lowered.status_code == 409
    assert "is the only admin" in told(lowered)


def test_a_token_is_shown_once_listed_with_its_last_use_and_revoked(desk: Desk) -> None:
    client = browser(desk)
    types(client)
    csrf = csrf_of(client)
    page = told(client.post("/tokens", data={"csrf": csrf, "name": "grafana", "scope": "read", "days": "90"}))
    token = re.search(r"<code>([\w-]{43})</code>", page)
    assert token
    assert token[1] not in told(client.get("/tokens"))
    ask = {"Authorization": f"Bearer {token[1]}"}

    assert client.get("/api/v1/incidents", headers=ask).status_code == 200
    assert client.post("/api/v1/incidents", json={}, headers=ask).status_code == 403, "it only reads"
    assert "0 s ago" in told(client.get("/tokens"))
    number = re.search(r"/tokens/(\d+)/revoke", told(client.get("/tokens")))
    assert number
    assert client.post(f"/tokens/{number[1]}/revoke", data={"csrf": csrf}).status_code == 303
    assert client.get("/api/v1/incidents", headers=ask).status_code == 401
    assert client.post(f"/tokens/{number[1]}/revoke", data={"csrf": csrf}).status_code == 404


def test_nobody_but_an_admin_sees_or_revokes_another_s_token(desk: Desk) -> None:
    add_token(desk.house, "cy")
    ben = browser(desk)
    ben.post("/signin", data={"token": add_token(desk.house, "ben", "signin", role="responder")})
    with desk.house.database.read() as work:
        c = tables.credential.c
        theirs = work.session.execute(select(c.id).where(c.person == "cy", c.kind == "api")).scalar()

    assert "of cy" not in told(ben.get("/tokens"))
    assert ben.post(f"/tokens/{theirs}/revoke", data={"csrf": csrf_of(ben)}).status_code == 404
    ada = browser(desk)
    types(ada)
    assert "of cy" in told(ada.get("/tokens"))
    assert ada.post(f"/tokens/{theirs}/revoke", data={"csrf": csrf_of(ada)}).status_code == 303


def test_the_audit_pages_back_to_its_first_line(desk: Desk) -> None:
    client = browser(desk)
    types(client)
    for n in range(60):
        desk.does("notes", incident="INC-404", expect=404, text="x") if n == 0 else None
        desk.house.database.alone(lambda work, n=n: accounts.auditlog.write(
            work.session, at=work.now, actor="ada", door="api", what="note", on=f"INC-{n:03}"
        ))  # fmt: skip
    first = told(client.get("/audit?what=note"))
    more = re.search(r'href="(/audit\?[^"]*cursor=\d+)"', first)
    assert more
    second = told(client.get(more[1].replace("&amp;", "&")))

    assert "INC-059" in first
    assert "INC-000" not in first
    assert "INC-000" in second
    assert "INC-059" not in second
