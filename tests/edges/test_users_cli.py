"""Accounts and tokens by the command line, and the doctor who proves the audit: without a web process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import create_engine, select, update

from firedoor.cli import main
from incidents import auditlog, tables
from ports.clock import SystemClock
from ports.database import Database
from tests.fixtures.desk import CAST

Told = Callable[..., Any]


@pytest.fixture
def told(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """A command of this installation: its JSON, or what it was refused with."""
    policy = tmp_path / "firedoor.yaml"
    policy.write_text(CAST.replace("URL", "http://127.0.0.1:9").replace("SECRET", "x"))
    for name, value in (("HOME", tmp_path), ("POLICY", policy), ("DATABASE_URL", sqlite_url)):
        monkeypatch.setenv(f"FIREDOOR_{name}", str(value))

    def tell(*words: str, typed: str = "", code: int = 0) -> Any:
        answer = CliRunner().invoke(main, [*words, "--json"], input=typed)
        assert answer.exit_code == code, answer.output
        found = json.loads(answer.stdout)
        return found["detail"] if code and "detail" in found else found

    yield tell
    structlog.reset_defaults()


def test_accounts_are_added_changed_and_disabled(told: Told) -> None:
    assert "/signin?token=" in told("users", "signin", "ada")["url"]
    told("users", "add", "ben", "--team", "default")
    assert "acts as a person of the policy" in told("users", "add", "zoe", code=1)
    told("users", "add", "zoe", "--role", "viewer", "--name", "Zoe of the auditors")
    told("users", "role", "ben", "operator")
    told("users", "password", "ben", typed="four quiet words together\n")
    assert "at least 12" in told("users", "password", "ben", typed="short\n", code=1)
    told("users", "disable", "zoe")
    assert "the only admin" in told("users", "disable", "ada", code=1)
    assert "no account nobody" in told("users", "enable", "nobody", code=1)

    found = {
        one["login"]: (one["role"], one["teams"], bool(one["disabled_at"])) for one in told("users", "list")["items"]
    }
    assert found == {"ada": ("admin", [], False), "ben": ("operator", [], False), "zoe": ("viewer", [], True)}


def test_tokens_are_made_listed_and_revoked(told: Told) -> None:
    assert len(told("tokens", "new", "ada", "--name", "grafana", "--scope", "read", "--days", "7")["token"]) == 43
    listed = told("tokens", "list", "ada")["items"]
    assert [(one["login"], one["name"], one["scopes"], one["revoked_at"]) for one in listed] == [
        ("ada", "grafana", ["read"], None)
    ]

    told("tokens", "revoke", str(listed[0]["id"]))
    assert told("tokens", "list")["items"][0]["revoked_at"] is not None
    assert "revoked already" in told("tokens", "revoke", str(listed[0]["id"]), code=1)


def test_a_disabled_account_gets_neither_a_link_nor_a_token_and_a_link_is_in_the_audit(
    told: Told, sqlite_url: str
) -> None:
    told("users", "signin", "ada")
    told("users", "add", "ben")
    told("users", "disable", "ben")

    assert "ben is disabled. No link was made." in told("users", "signin", "ben", code=1)
    assert "ben is disabled. No token was made." in told("tokens", "new", "ben", code=1)
    with create_engine(sqlite_url).connect() as session:
        made = session.execute(select(tables.credential.c.kind, tables.credential.c.person)).all()
        lines = session.execute(select(tables.audit.c.what, tables.audit.c.actor, tables.audit.c.subject)).all()
    assert [tuple(one) for one in made] == [("signin", "ada")]
    assert [(one.what, one.subject) for one in lines if one.what == "account.link"] == [("account.link", "ada")]
    assert all(one.actor.startswith("machine") for one in lines)


def test_the_doctor_names_the_line_of_the_audit_that_was_changed(told: Told, sqlite_url: str) -> None:
    told("users", "signin", "ada")
    told("users", "add", "ben")
    told("users", "role", "ben", "operator")
    database = Database(sqlite_url, SystemClock())
    database.alone(lambda work: auditlog.seal(work.session))

    assert audit_of(told("doctor"))["verdict"] == "ok"
    database.alone(
        lambda work: work.session.execute(update(tables.audit).where(tables.audit.c.seq == 3).values(why="x"))
    )
    database.close()

    found = audit_of(told("doctor", code=1))
    assert found["verdict"] == "fault"
    assert found["why"].startswith("line 3 (account.add on ben by machine:")


def test_the_doctor_names_who_is_paged_and_may_not_acknowledge(told: Told) -> None:
    told("users", "signin", "ada")
    told("users", "add", "ben", "--role", "viewer", "--person", "ben")
    told("users", "add", "cy")
    told("users", "disable", "cy")

    found = [one["why"] for one in told("doctor")["findings"] if one["what"] == "accounts"]

    assert [why.split(" ")[0] for why in found] == ["ben", "cy"]
    assert "can't acknowledge" in found[0]


def audit_of(told: Any) -> dict[str, str]:
    return next(one for one in told["findings"] if one["what"] == "audit")
