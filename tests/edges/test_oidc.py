"""Signing in by an identity provider: a real round trip, and everything that must not come in by it."""

from __future__ import annotations

import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import select

from firedoor.settings import Settings, WrongSettings
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import accounts, tables
from incidents.press import Actor
from ports import identity
from tests.fixtures.desk import CAST, Desk, OpenDesk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the mock still uses what its own library calls old
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the mock's, in its own thread

USERS = (
    User(sub="1", claims={"email": "ada@example.com", "name": "Ada L", "email_verified": True}),
    User(sub="2", claims={"email": "guest@example.com", "email_verified": True}),
    User(sub="3", claims={"email": "ada@example.com", "email_verified": False}),
    User(sub="4", claims={"email": "x@elsewhere.com", "email_verified": True}),
)
POLICY = (
    CAST
    + """
signin:
  provider: Example ID
  roles:
    - {email: ada@example.com, role: operator, teams: [default], person: ada}
    - {email: "*@example.com", role: responder}
"""
)


@dataclass
class Site:
    desk: Desk
    issuer: str
    client: FlaskClient

    def goes(self, path: str = "/signin/oidc") -> str:
        """To the provider: the address that the browser is sent to."""
        answer = self.client.get(path)
        assert answer.status_code == 302, answer.get_data(as_text=True)
        return str(answer.location)

    def comes_back(self, url: str, sub: str) -> str:
        """Somebody signs in over there: the address that they are sent back to, as a path of ours."""
        self.desk.clock.set(real_now())  # tokens are made on the real clock
        answer = requests.post(url, data={"sub": sub}, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        parts = urlsplit(answer.headers["Location"])
        return f"{parts.path}?{parts.query}"

    def signs_in(self, sub: str, path: str = "/signin/oidc") -> Any:
        return self.client.get(self.comes_back(self.goes(path), sub))

    def account(self, login: str) -> tuple[Any, ...]:
        with self.desk.house.database.read() as work:
            row = accounts.find(work.session, login)
            return (row.role, row.person, row.teams, bool(row.subject))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread(user_claims=USERS, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def site(open_desk: OpenDesk, issuer: str) -> Iterator[Site]:
    desk = open_desk(POLICY)
    told = {"ISSUER": issuer, "CLIENT_ID": "firedoor", "CLIENT_SECRET": "between the two of us"}
    environ = {**desk.house.settings.environ, **{f"FIREDOOR_OIDC_{name}": value for name, value in told.items()}}
    house = House.open(Settings.from_env(environ), clock=desk.clock, role="desk")
    yield Site(desk, issuer, create_app(house).test_client())
    house.close()
    desk.news()


def real_now() -> Any:
    from ports.clock import SystemClock

    return SystemClock().now()


def test_a_round_trip_makes_the_account_that_the_policy_says(site: Site) -> None:
    assert "Sign in with Example ID" in site.client.get("/signin").get_data(as_text=True)

    answer = site.signs_in("1", "/signin/oidc?next=/alerts")

    assert (answer.status_code, answer.location) == (303, "/alerts")
    assert site.client.get("/tokens").status_code == 200
    assert site.client.get("/accounts").status_code == 403
    assert site.account("ada") == ("admin", "ada", [], False), "the desk's own account is another one"
    assert site.account("ada@example.com") == ("operator", "ada", ["default"], True)


def test_the_provider_is_asked_with_pkce_a_nonce_and_a_state(site: Site) -> None:
    asked = parse_qs(urlsplit(site.goes()).query)

    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["nonce"][0]) == 43
    assert len(asked["state"][0]) >= 30
    assert asked["redirect_uri"] == ["http://127.0.0.1:8080/signin/oidc/back"]
    assert "HttpOnly" in str(site.client.get("/signin/oidc").headers["Set-Cookie"])


def test_whoever_acts_without_being_anybody_of_the_policy_only_looks(site: Site) -> None:
    assert site.signs_in("2").status_code == 303
    assert site.account("guest@example.com") == ("viewer", None, [], True)


@pytest.mark.parametrize("sub", ["3", "4", "5"])
def test_an_unverified_a_foreign_and_an_unknown_address_come_no_further(site: Site, sub: str) -> None:
    answer = site.signs_in(sub)

    assert answer.status_code == 403
    assert "no line of `signin.roles`" in answer.get_data(as_text=True)
    assert site.client.get("/tokens").status_code == 401


def test_a_second_sign_in_is_the_same_account_and_follows_the_policy(site: Site) -> None:
    site.signs_in("1")
    with site.desk.house.database.work() as work:
        of = tables.account.c.login == "ada@example.com"
        work.session.execute(tables.account.update().where(of).values(role="admin", teams=[]))

    site.signs_in("1")

    assert site.account("ada@example.com") == ("operator", "ada", ["default"], True)
    with site.desk.house.database.read() as work:
        a = tables.audit.c
        whats = work.session.execute(select(a.what).where(a.subject == "ada@example.com").order_by(a.id)).scalars()
        assert list(whats) == ["account.add", "signin", "account.role", "signin"]


def test_a_disabled_account_stays_out(site: Site) -> None:
    site.signs_in("2")
    by = Actor("ada", "Ada", "console", "admin", (), "ada")
    site.desk.house.database.alone(
        lambda work: accounts.disable(work.session, "guest@example.com", by=by, now=work.now)
    )

    assert site.client.get("/tokens").status_code == 401
    assert "Your account is disabled" in site.signs_in("2").get_data(as_text=True)


def test_a_code_counts_once_in_the_browser_that_asked_and_with_its_state(site: Site) -> None:
    back = site.comes_back(site.goes(), "1")

    other = site.client.application.test_client()
    assert other.get(back).status_code == 401, "another browser has no such cookie"
    assert site.client.get(back.replace("state=", "state=x")).status_code == 401
    assert site.client.get(back).status_code == 401, "a failed return uses the state up"

    good = site.comes_back(site.goes(), "1")
    assert site.client.get(good).status_code == 303
    assert site.client.get(good).status_code == 401, "nothing comes in twice"
    assert site.client.get("/signin/oidc/back?error=access_denied").status_code == 401
    site.goes()
    assert site.client.get("/signin/oidc/back?code=x&state=é").status_code == 401


def test_a_token_for_another_nonce_issuer_or_client_is_refused(site: Site, issuer: str) -> None:
    from ports.identity import NotSignedIn, Provider

    now = real_now()
    ours = Provider(issuer, "firedoor", "s", "http://127.0.0.1:8080/signin/oidc/back")
    begun = ours.begin(now)

    def code() -> str:
        return parse_qs(urlsplit(site.comes_back(ours.begin(now).url, "1")).query)["code"][0]

    first = parse_qs(urlsplit(site.comes_back(begun.url, "1")).query)["code"][0]
    with pytest.raises(NotSignedIn, match="ID token was not accepted"):
        ours.finish(first, verifier=begun.verifier, nonce="another", now=now)
    with pytest.raises(NotSignedIn):
        ours.finish(code(), verifier=begun.verifier, nonce=begun.nonce, now=now)  # another browser's code
    with pytest.raises(NotSignedIn, match="did not take the code"):
        ours.finish("no-such-code", verifier=begun.verifier, nonce=begun.nonce, now=now)
    late = ours.begin(now)
    token = parse_qs(urlsplit(site.comes_back(late.url, "1")).query)["code"][0]
    from datetime import timedelta

    with pytest.raises(NotSignedIn, match="ExpiredTokenError"):
        ours.finish(token, verifier=late.verifier, nonce=late.nonce, now=now + timedelta(hours=2))
    with pytest.raises(NotSignedIn, match="does not answer as it should"):
        Provider(f"{issuer}/another", "firedoor", "s", "http://x").begin(now)
    with pytest.raises(NotSignedIn, match="does not answer"):
        Provider("http://localhost:9", "firedoor", "s", "http://x").begin(now)


def test_without_the_extra_a_start_is_refused_with_what_to_install(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk()
    told = {"ISSUER": "https://id.example.com", "CLIENT_ID": "firedoor", "CLIENT_SECRET": "x"}
    environ = {**desk.house.settings.environ, **{f"FIREDOOR_OIDC_{name}": value for name, value in told.items()}}
    house = House.open(Settings.from_env(environ), clock=desk.clock, role="desk")
    monkeypatch.setitem(sys.modules, "authlib.integrations.requests_client", None)

    with pytest.raises(WrongSettings, match=r"pip install 'firedoor\[oidc\]'"):
        create_app(house)
    house.close()


def test_half_a_provider_or_one_in_clear_is_a_wrong_setting() -> None:
    with pytest.raises(WrongSettings, match="belong together"):
        Settings.from_env({"FIREDOOR_OIDC_ISSUER": "https://id.example.com"})
    told = {"FIREDOOR_OIDC_CLIENT_ID": "a", "FIREDOOR_OIDC_CLIENT_SECRET": "b"}
    with pytest.raises(WrongSettings, match="must begin with https"):
        Settings.from_env({"FIREDOOR_OIDC_ISSUER": "http://id.example.com", **told})


def test_a_provider_that_does_not_answer_keeps_no_more_than_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "TIMEOUT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider = identity.Provider(f"http://127.0.0.1:{silent.getsockname()[1]}", "us", "secret", "http://x/back")
        now = datetime(2026, 11, 21, tzinfo=UTC)
        turned_away: list[None] = []

        def come() -> None:
            with pytest.raises(identity.NotSignedIn, match="does not answer"):
                provider.begin(now)
            turned_away.append(None)

        crowd = [threading.Thread(target=come) for _ in range(10)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join(20)
        come()

        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert len(turned_away) == 11
