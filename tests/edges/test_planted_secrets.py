"""S8, S15: secrets that are planted everywhere come out nowhere: not in rows, pages, answers, logs or commands."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from firedoor.checking import check
from firedoor.doctor import examine
from firedoor.logs import set_up_logs
from firedoor.settings import Settings
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import tables
from tests.fixtures.desk import CAST, Desk, OpenDesk, add_token

PLANTED = {
    "FIREDOOR_SECRET_KEY": "canary-secret-key-0123456789-0123456789",
    "FIREDOOR_ALERTMANAGER_TOKEN": "canary-token-new",
    "FIREDOOR_ALERTMANAGER_TOKEN_PREVIOUS": "canary-token-old",
    "FIREDOOR_SENTRY_SECRET": "canary-sentry-signs-with-this",
    "FIREDOOR_SMTP_URL": "smtp://mailer:canary-mail-password@127.0.0.1:1/",
    "FIREDOOR_TOKEN": "canary-command-line-token",
    "FIREDOOR_HEARTBEAT_URL": "https://watch.example.com/ping/canary-in-a-path",
    "PAGER_KEY": "canary-named-by-the-policy",
}
IN_FILES = {"DEPLOY_KEY": "canary-in-a-file", "SYSTEMD_KEY": "canary-of-systemd"}
POLICY = (
    CAST
    + """
sources:
  alertmanager: {kind: alertmanager}
  pipeline: {kind: generic, secret: {env: DEPLOY_KEY}}
  cron: {kind: generic, secret: {env: SYSTEMD_KEY}}
"""
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield stream
    logging.getLogger().handlers[:] = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def desk(open_desk: OpenDesk, tmp_path: Path, logged: io.StringIO) -> Iterator[Desk]:
    """A desk whose environment, files and systemd credentials all hold secrets."""
    plain = open_desk(POLICY.replace('secret: "SECRET"', 'secret: "env:PAGER_KEY"'))
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "SYSTEMD_KEY").write_text(IN_FILES["SYSTEMD_KEY"])
    (tmp_path / "deploy_key").write_text(IN_FILES["DEPLOY_KEY"] + "\n")
    told = {
        **plain.house.settings.environ,
        **PLANTED,
        "DEPLOY_KEY_FILE": str(tmp_path / "deploy_key"),
        "CREDENTIALS_DIRECTORY": str(folder),
    }
    settings = Settings.from_env(told)
    set_up_logs("web", hide=settings.secret_values(), stream=logged)
    house = House.open(settings, clock=plain.clock, role="desk")
    yield Desk(
        house, plain.clock, create_app(house).test_client(), plain.recorder, add_token(house, "ada"), plain.began
    )
    house.close()
    plain.news()


def found_in(text: str) -> list[str]:
    return [value for value in (*PLANTED.values(), *IN_FILES.values()) if value in text] + re.findall(
        r"canary-[\w-]+", text
    )


def rows(desk: Desk) -> str:
    with desk.house.database.read() as work:
        return "\n".join(
            str(tuple(row)) for table in tables.metadata.sorted_tables for row in work.session.execute(select(table))
        )


def addresses(desk: Desk) -> list[str]:
    """Every GET of the URL map, with what there is."""
    values = {
        "name": "INC-001",
        "alert_id": "1",
        "id": "1",
        "silence_id": "1",
        "delivery": "1",
        "token": "x",
        "digest": "x",
    }
    found = []
    for rule in desk.client.application.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.rule.endswith("/live"):
            found.append(re.sub(r"<(?:[a-z]+(?:\([^)]*\))?:)?([a-z_]+)>", lambda m: values.get(m[1], "x"), rule.rule))
    return sorted(found)


def test_no_planted_secret_comes_out_anywhere(desk: Desk, logged: io.StringIO) -> None:
    told: dict[str, str] = {}
    for token in ("canary-token-new", "canary-token-old"):
        desk.post(
            json.dumps(desk.payload([("firing", {"alertname": "Down", "severity": "critical"})])).encode(), token=token
        )
        desk.settle()
    desk.client.post("/hooks/pipeline", data=b"{", headers={"Authorization": "Bearer canary-in-a-file"})
    desk.client.post("/hooks/cron", data=b'{"title": "x"}', headers={"Authorization": "Bearer canary-of-systemd"})
    desk.client.post("/hooks/alertmanager", data=b"{}", headers={"Authorization": "Bearer canary-token-wrong"})
    desk.settle()
    signed_in = desk.client.post("/signin", data={"token": add_token(desk.house, "ada", "signin")})
    assert signed_in.status_code == 303
    ask = {"Authorization": f"Bearer {desk.api_token}"}
    for path in addresses(desk):
        told[path] = desk.client.get(path, headers=ask).get_data(as_text=True)
    for path in ("/i/INC-001/nothing", "/declare", "/silences", "/tokens", "/signin", "/nowhere"):
        told[f"POST {path}"] = desk.client.post(path, data={"csrf": "x"}).get_data(as_text=True)
    for path in ("/incidents", "/simulate", "/resume", "/nowhere"):
        told[f"POST /api/v1{path}"] = desk.client.post(f"/api/v1{path}", json={"x": 1}, headers=ask).get_data(
            as_text=True
        )
    settings = desk.house.settings
    told["doctor"] = str(list(examine(settings, now=desk.clock.now())))
    told["check"] = str(check(settings).facts())
    told["settings"] = repr(settings)
    told["policy"] = repr(desk.house.book().policy) + str(desk.house.book().policy.rules())
    told["rows"] = rows(desk)
    told["log"] = logged.getvalue()

    assert "INC-001" in told["rows"], "an incident was opened, paged and recorded"
    assert [(name, found) for name, text in told.items() if (found := found_in(text))] == []


def test_both_tokens_of_a_source_count_while_one_is_replaced_and_no_other_does(desk: Desk) -> None:
    body = json.dumps(desk.payload([("firing", {"alertname": "Down", "severity": "warning"})])).encode()

    desk.post(body, token="canary-token-new")
    desk.post(body, token="canary-token-old")
    desk.post(body, token="canary-token-older", expect=401)


def test_a_secret_named_by_the_policy_is_replaced_the_same_way(tmp_path: Path) -> None:
    from firedoor.shelf import Shelf

    path = tmp_path / "firedoor.yaml"
    sources = "a: {kind: generic, secret: {env: A_KEY}}", f"b: {{kind: generic, secret: {{file: {tmp_path / 'b'}}}}}"
    path.write_text("version: 1\nsources:\n  " + "\n  ".join(sources) + "\n")
    (tmp_path / "b").write_text("b-new")
    (tmp_path / "b.previous").write_text("b-old")
    told = {"FIREDOOR_HOME": str(tmp_path), "FIREDOOR_POLICY": str(path), "A_KEY": "a-new", "A_KEY_PREVIOUS": "a-old"}

    policy: Any = Shelf(Settings.from_env(told)).current().policy

    assert policy.secrets_of("a") == [b"a-new", b"a-old"]
    assert policy.secrets_of("b") == [b"b-new", b"b-old"]


def test_a_credential_of_systemd_is_read_where_nothing_else_is_told(tmp_path: Path) -> None:
    for name in ("FIREDOOR_SECRET_KEY", "FIREDOOR_SENTRY_SECRET", "ADA_PHONE"):
        (tmp_path / name).write_text(f"{name.lower()}-of-systemd-which-is-long-enough\n")
    told = {"FIREDOOR_HOME": str(tmp_path / "home"), "CREDENTIALS_DIRECTORY": str(tmp_path)}

    read = Settings.from_env(told)

    assert read.secret_key == "firedoor_secret_key-of-systemd-which-is-long-enough"
    assert read.source_secrets("sentry") == [b"firedoor_sentry_secret-of-systemd-which-is-long-enough"]
    assert read.lookup("env:ADA_PHONE") == "ada_phone-of-systemd-which-is-long-enough"
    assert read.lookup("env:../home/x") is None
    assert set(read.secret_values()) >= {read.secret_key, "ada_phone-of-systemd-which-is-long-enough"}
    assert Settings.from_env({**told, "FIREDOOR_SECRET_KEY": "k" * 40}).secret_key == "k" * 40
