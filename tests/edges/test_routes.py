"""S14: every route × every role, from the real URL map, with real accounts. A route that is not in the table fails."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from firedoor.web import create_app
from tests.edges.routes import NO_ACCOUNT, OPEN, TABLE
from tests.fixtures.desk import Desk, OpenDesk, add_token

ROLES = ("viewer", "responder", "operator", "admin")
PEOPLE = dict(zip(ROLES, ("pia", "ben", "cy", "lea"), strict=True))
VALUES = {"name": "INC-404", "verb": "acknowledge", "login": "nobody-here"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Who may do what is asked before any row: one kind of database is enough here."""
    return sqlite_url


@pytest.fixture
def desk(open_desk: OpenDesk) -> Iterator[Desk]:
    desk = open_desk()
    yield desk
    desk.news()


def routes(desk: Desk) -> list[tuple[str, str]]:
    rules = desk.client.application.url_map.iter_rules()
    return sorted((method, rule.rule) for rule in rules for method in rule.methods - {"HEAD", "OPTIONS"})


def address(rule: str) -> str:
    """The rule with its parts filled in: numbers and names that nothing has."""
    return re.sub(r"<(?:[a-z]+(?:\([^)]*\))?:)?([a-z_]+)>", lambda found: VALUES.get(found[1], "999"), rule)


class Browser:
    """A signed-in account of one role, or nobody."""

    def __init__(self, desk: Desk, role: str) -> None:
        self.client: FlaskClient = create_app(desk.house).test_client()
        self.headers: dict[str, str] = {}
        self.csrf = ""
        if role != "nobody":
            person = PEOPLE[role]
            self.headers = {"Authorization": f"Bearer {add_token(desk.house, person, role=role)}"}
            token = add_token(desk.house, person, "signin", role=role)
            assert self.client.post("/signin", data={"token": token}).status_code == 303
            page = self.client.get("/password").get_data(as_text=True)
            self.csrf = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]

    def asks(self, method: str, path: str) -> int:
        if path.startswith("/api/"):
            body = {} if method == "POST" else None
            answer = self.client.open(path, method=method, json=body, headers=self.headers)
        else:
            answer = self.client.open(path, method=method, data={"csrf": self.csrf} if method == "POST" else None)
        answer.close()  # a stream of a live page too
        return answer.status_code


def test_every_route_is_in_the_table_and_the_table_names_no_other(desk: Desk) -> None:
    assert set(routes(desk)) - set(TABLE) == set(), "routes that nobody decided about: put them into routes.py"
    assert set(TABLE) - set(routes(desk)) == set(), "routes that are gone"


@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_each_role_comes_as_far_as_the_table_says_and_no_further(desk: Desk, role: str) -> None:
    browser = Browser(desk, role)
    wrong = []
    for method, rule in routes(desk):
        needed = TABLE.get((method, rule), "admin")
        if needed == OPEN:
            continue
        found = browser.asks(method, address(rule))
        wanted_in = role != "nobody" and ROLES.index(role) >= ROLES.index(needed)
        refused = found == (401 if role == "nobody" else 403)
        if wanted_in and found in (401, 403, 500):
            wrong.append(f"{method} {rule} refused {role} with {found}")
        if not wanted_in and not refused:
            wrong.append(f"{method} {rule} answered {role} with {found}")
    assert wrong == []


def test_what_is_open_asks_for_no_account(desk: Desk) -> None:
    nobody = Browser(desk, "nobody")
    for (method, rule), why in NO_ACCOUNT.items():
        if method == "GET" and "ack" not in rule:
            assert nobody.asks(method, address(rule)) not in (401, 403), why


@pytest.mark.parametrize("path", ["/hooks/alertmanager", "/hooks/slack", "/hooks/pagerduty", "/hooks/nobody-here"])
def test_no_session_and_no_api_token_opens_a_hook(desk: Desk, path: str) -> None:
    browser = Browser(desk, "admin")

    answer = browser.client.post(path, data=b"{}", headers=browser.headers)

    assert answer.status_code in (401, 404)
