"""The ways in, as people and programs use them: each takes a verb in its own words and says what it was answered."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import select

from console.routes import ROUTES
from firedoor.cli import main
from incidents import tables
from tests.fixtures.desk import Desk
from tests.fixtures.pagerduty import FakePagerDuty
from tests.fixtures.pagerduty import signed as signed_by_pagerduty
from tests.fixtures.slack import signed as signed_by_slack

SITE = "127.0.0.1:8080"  # of FIREDOOR_PUBLIC_URL, as PagerDuty's keys begin
BY_VERB = {route.verb: route for route in ROUTES if route.verb}
FORMS = {
    "declare": "/declare",
    "open_alert": "/alerts/{on}/open",
    "silence": "/silences",
    "lift_silence": "/silences/{on}/lift",
    "replay": "/inbox/{on}/replay",
    "resume": "/resume",
    "golive": "/shadow/golive",
}
COMMANDS: Mapping[str, tuple[str, ...]] = {  # {on} and the fields by name; what is left over becomes an option
    "acknowledge": ("ack", "{on}"),
    "unacknowledge": ("unack", "{on}"),
    "note": ("note", "{on}", "{text}"),
    "severity": ("severity", "{on}", "{severity}"),
    "override": ("override", "{on}", "{reason}"),
    "stand_down": ("stand-down", "{on}"),
    "role": ("take", "{on}"),
    "merge": ("merge", "{on}", "{into}"),
    "split": ("split", "{on}", "{alerts}"),
    "runbook": ("runbook", "{on}", "{runbook}"),
    "false_alarm": ("false-alarm", "{on}", "{reason}"),
    "undo": ("undo", "{on}", "{entry}"),
    "step": ("step", "{on}", "{n}", "{outcome}"),
    "declare": ("declare", "{title}"),
    "open_alert": ("open", "{on}"),
    "silence": ("silence", "add", "{matchers}"),
    "lift_silence": ("silence", "lift", "{on}"),
    "replay": ("replay", "{on}"),
    "resume": ("resume",),
    "golive": ("shadow", "golive", "{name}"),
}
EVENTS = {"acknowledge": "acknowledged", "resolve": "resolved", "role": "reassigned"}


@dataclass(frozen=True)
class Told:
    """What a door answered: whether it was done, the sentence, and the code where the door says one."""

    done: bool
    said: str
    code: str = ""


@dataclass
class Doors:
    """One person, Ada, at every door of one desk."""

    desk: Desk
    browser: FlaskClient
    url: str
    token: str
    person: str = "ada"
    sent: int = 0
    csrf: str = ""
    times: int = 2

    def use(self, door: str, verb: str, on: str | int, fields: Mapping[str, Any], *, times: int = 2) -> Told:
        """The verb by one door, and sent twice where a sender may do so: it must count once."""
        self.sent += 1
        self.times = times
        told: Told = DOORS[door](self, verb, on, fields)
        if told.done:
            self.desk.settle()
        return told

    # --- forms ---

    def console(self, verb: str, on: str | int, fields: Mapping[str, Any]) -> Told:
        path = FORMS.get(verb, f"/i/{{on}}/{verb}").format(on=on)
        typed = {name: _typed(value) for name, value in fields.items()}
        if verb == "step":
            path = f"/i/{on}/steps/{typed.pop('n')}"
        self.csrf = self.csrf or _hidden(self.browser.get("/preferences").get_data(as_text=True), "csrf")
        form = {**typed, "csrf": self.csrf, "once": f"mark-{self.sent}"}
        first, *again = [self.browser.post(path, data=form) for _ in range(self.times)]
        for one in again:  # the second tap of a button is the first one again
            assert (one.status_code, one.location) == (first.status_code, first.location)
        if first.status_code == 303:
            return Told(True, _text(self.browser.get("/preferences"), 'role="status"'))
        return Told(False, _text(first, 'role="alert"') or _words(first))

    def link(self, verb: str, on: str | int, fields: Mapping[str, Any]) -> Told:
        assert not fields
        self.desk._collect()
        address = self.desk.links[self.person]
        page = self.desk.client.get(address).get_data(as_text=True)
        form = {"verb": verb, "incident": str(on), "once": _hidden(page, "once") if "once" in page else "x"}
        first, *again = [self.desk.client.post(address, data=form) for _ in range(self.times)]
        assert all(one.status_code == first.status_code for one in again)
        return Told(first.status_code == 200, _text(first, 'role="status"'))

    # --- programs ---

    def api(self, verb: str, on: str | int, fields: Mapping[str, Any]) -> Told:
        route = BY_VERB[verb]
        path = route.path.replace("{name}", str(on)).replace("{id}", str(on)).replace("{n}", str(fields.get("n")))
        body = {name: value for name, value in fields.items() if name != "n"}
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": f"key-{self.sent}"}
        first, *again = [self.desk.client.post(f"/api/v1{path}", json=body, headers=headers) for _ in range(self.times)]
        told = first.get_json()
        assert all((one.status_code, one.get_json()) == (first.status_code, told) for one in again)
        done = first.status_code < 300
        return Told(done, told["said"] if done else told["detail"], "" if done else told["code"])

    def cli(self, verb: str, on: str | int, fields: Mapping[str, Any]) -> Told:
        left = dict(fields)
        words: list[str] = []
        for word in COMMANDS.get(verb, (verb.replace("_", "-"), "{on}")):
            value = on if word == "{on}" else left.pop(word[1:-1]) if word.startswith("{") else word
            words += [str(one) for one in value] if isinstance(value, list) else [str(value)]
        options = [f"--{name}={value}" for name, value in left.items()]
        environ = {"FIREDOOR_URL": self.url, "FIREDOOR_TOKEN": self.token, "COLUMNS": "80"}
        typed = [*(words[:1] if words[0] != "silence" and words[0] != "shadow" else words[:2]), *options, "--json"]
        result = CliRunner().invoke(main, [*typed, "--", *words[len(typed) - len(options) - 1 :]], env=environ)
        assert result.exit_code in (0, 1), (result.output, result.exception)
        told = json.loads(result.stdout)
        if result.exit_code == 0:
            return Told(True, told["said"])
        assert " ".join(result.stderr.split()) == " ".join(told["detail"].split())
        return Told(False, told["detail"], told["code"])

    # --- buttons elsewhere ---

    def slack(self, verb: str, on: str | int, fields: Mapping[str, Any]) -> Told:
        assert not fields
        press = {
            "type": "block_actions",
            "user": {"id": "U0ADA"},
            "channel": {"id": "C0WAR"},
            "actions": [{"action_id": f"firedoor.{verb}", "value": f"{on}/r1", "action_ts": str(self.sent)}],
        }
        body = urlencode({"payload": json.dumps(press)}).encode()
        for _ in range(self.times):
            answer = self.desk.client.post("/hooks/slack", data=body, headers=signed_by_slack(body, self._now))
            assert (answer.status_code, answer.data) == (200, b"")
        said = self._whispered()
        return Told("Nothing was changed" not in said, said)

    def pagerduty(self, verb: str, on: str | int, fields: Mapping[str, Any]) -> Told:
        assignee = "PBEN" if fields.get("person") == "ben" else ""
        body = FakePagerDuty().tells(EVENTS[verb], f"{SITE}/{on}/r1", id_=f"01{self.sent}", assignee=assignee)
        for _ in range(self.times):
            answer = self.desk.client.post("/hooks/pagerduty", data=body, headers=signed_by_pagerduty(body))
            assert (answer.status_code, answer.data) == (200, b"")
        return Told(True, "")  # PagerDuty shows nobody what we answer: what counts is what was done

    @property
    def _now(self) -> Any:
        return self.desk.clock.now()

    def _whispered(self) -> str:
        p = tables.promise.c
        with self.desk.house.database.read() as work:
            asked = select(p.facts).where(p.kind == "reply").order_by(p.id.desc()).limit(1)
            return str(work.session.execute(asked).scalar_one()["text"])


def _typed(value: Any) -> str:
    return "\n".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, name
    return found[1]


def _text(answer: Any, mark: str) -> str:
    """What a page says in the place of this mark."""
    found = re.search(rf"<(\w+)[^>]*{mark}[^>]*>(.*?)</\1>", answer.get_data(as_text=True), re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", found[2])).strip() if found else ""


def _words(answer: Any) -> str:
    return html.unescape(answer.get_data(as_text=True))


DOORS: Mapping[str, Callable[..., Told]] = {
    "console": Doors.console,
    "api": Doors.api,
    "cli": Doors.cli,
    "link": Doors.link,
    "slack": Doors.slack,
    "pagerduty": Doors.pagerduty,
}
