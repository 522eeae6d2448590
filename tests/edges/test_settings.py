"""The settings: what is accepted, what is refused and with which sentence, and that no secret is shown."""

from __future__ import annotations

import json
import logging
import stat
from io import StringIO
from pathlib import Path

import pytest
import structlog

from firedoor.logs import set_up_logs
from firedoor.settings import Settings, WrongSettings


def settings(home: Path, **told: str) -> Settings:
    return Settings.from_env({"FIREDOOR_HOME": str(home), **told})


def test_without_any_variable_everything_has_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    plain = Settings.from_env({})

    assert plain.home == tmp_path / "var"
    assert plain.public_url == "http://127.0.0.1:8080"
    assert plain.database_url == f"sqlite:///{tmp_path}/var/firedoor.db"
    assert plain.redis_url is None
    assert plain.policy_path is None
    assert (plain.runbooks_path / "README.md").exists() or list(plain.runbooks_path.glob("*.md"))
    assert not list(tmp_path.iterdir()), "reading the settings writes nothing"


def test_all_faults_are_said_at_once_with_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings) as refused:
        settings(
            tmp_path,
            FIREDOOR_PORT="eighty",
            FIREDOOR_PUBLIC_URL="firedoor.example.com",
            FIREDOOR_DATABASE_URL="mysql://root:hunter2hunter2@db/x",
            FIREDOOR_REDIS_URL="localhost:6379",
            FIREDOOR_POLICY="/nowhere/firedoor.yaml",
            FIREDOOR_RUNBOOKS="/nowhere",
            FIREDOOR_SMTP_URL="mail.example.com",
            FIREDOOR_MAIL_TO="oncall",
            FIREDOOR_SECRET_KEY="short",
            FIREDOOR_SENTRY_SECRET_FILE="/nowhere/sentry",
        )

    said = str(refused.value)
    for name in ("PORT", "PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "POLICY", "RUNBOOKS", "SMTP_URL", "MAIL_TO"):
        assert f"FIREDOOR_{name} " in said
    assert "FIREDOOR_SECRET_KEY is too short" in said
    assert "FIREDOOR_SENTRY_SECRET_FILE names /nowhere/sentry, which can't be read" in said
    assert "from 1 to 65535" in said
    assert "hunter2" not in said, "a refused address may hold a password"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("postgres://u:p@db:5433/fire", "postgresql+psycopg://u:p@db:5433/fire"),
        ("postgresql://u:p@db/fire?sslmode=require", "postgresql+psycopg://u:p@db/fire?sslmode=require"),
        ("sqlite:////srv/fire.db", "sqlite:////srv/fire.db"),
    ],
)
def test_both_databases_are_known_by_their_usual_addresses(tmp_path: Path, told: str, read: str) -> None:
    assert settings(tmp_path, FIREDOOR_DATABASE_URL=told).database_url == read


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("valkey://h:1/0", "redis://h:1/0"),
        ("valkeys://h:1/0", "rediss://h:1/0"),
        ("unix:///run/v.sock", "unix:///run/v.sock"),
    ],
)
def test_valkey_and_redis_are_the_same_thing(tmp_path: Path, told: str, read: str) -> None:
    assert settings(tmp_path, FIREDOOR_REDIS_URL=told).redis_url == read


def test_any_value_may_come_from_a_file(tmp_path: Path) -> None:
    key, url = tmp_path / "key", tmp_path / "url"
    key.write_text("k" * 40 + "\n")
    url.write_text("smtp://u:p@mail:25\n")

    read = settings(tmp_path, FIREDOOR_SECRET_KEY_FILE=str(key), FIREDOOR_SMTP_URL_FILE=str(url))

    assert read.secret_key == "k" * 40
    assert read.smtp_url == "smtp://u:p@mail:25"


def test_a_value_and_its_file_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40)

    with pytest.raises(WrongSettings, match="FIREDOOR_SECRET_KEY and FIREDOOR_SECRET_KEY_FILE are both set"):
        settings(tmp_path, FIREDOOR_SECRET_KEY="k" * 40, FIREDOOR_SECRET_KEY_FILE=str(tmp_path / "key"))


def test_a_sender_may_have_two_live_secrets_while_one_is_replaced(tmp_path: Path) -> None:
    read = settings(tmp_path, FIREDOOR_ALERTMANAGER_TOKEN="old,new", FIREDOOR_EU_WEST_SECRET="s")

    assert read.source_secrets("alertmanager") == [b"old", b"new"]
    assert read.source_secrets("eu-west") == [b"s"]
    assert read.source_secrets("unknown") == []
    assert read.source_secrets("../secret_key") == []


def test_missing_secrets_are_generated_once_and_for_us_alone(tmp_path: Path) -> None:
    first = settings(tmp_path).write_missing_secrets()
    again = settings(tmp_path).write_missing_secrets()

    assert len(first.secret_key) >= 32
    assert (again.secret_key, again.token) == (first.secret_key, first.token)
    assert again.source_secrets("alertmanager") == first.source_secrets("alertmanager") != []
    for file in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_was_told_wins_over_what_was_generated(tmp_path: Path) -> None:
    settings(tmp_path).write_missing_secrets()

    told = settings(tmp_path, FIREDOOR_SECRET_KEY="t" * 32, FIREDOOR_ALERTMANAGER_TOKEN="mine")

    assert told.secret_key == "t" * 32
    assert told.source_secrets("alertmanager") == [b"mine"]


def test_a_policy_looks_up_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "phone").write_text("+491701234567\n")
    read = settings(tmp_path, ADA_PHONE="+49170", BEN_PHONE_FILE=str(tmp_path / "phone"))

    assert read.lookup("env:ADA_PHONE") == "+49170"
    assert read.lookup("env:BEN_PHONE") == "+491701234567"
    assert read.lookup(f"file:{tmp_path / 'phone'}") == "+491701234567"
    assert read.lookup("env:CY_PHONE") is None
    assert read.lookup("file:/nowhere") is None


def test_mail_has_a_sender_though_nobody_named_one(tmp_path: Path) -> None:
    assert settings(tmp_path).lookup("env:FIREDOOR_MAIL_FROM") == "firedoor@localhost"
    named = settings(tmp_path, FIREDOOR_PUBLIC_URL="https://fire.example.com/")
    assert named.lookup("env:FIREDOOR_MAIL_FROM") == "firedoor@fire.example.com"
    assert named.public_url == "https://fire.example.com"


def test_the_repr_shows_no_secret(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        FIREDOOR_SECRET_KEY="s3cret-" * 8,
        FIREDOOR_DATABASE_URL="postgresql://u:s3cret-db@h/d",
        FIREDOOR_SMTP_URL="smtp://u:s3cret-mail@h",
        FIREDOOR_SENTRY_SECRET="s3cret-sentry",
    )

    assert "s3cret" not in repr(read)


def test_no_log_line_holds_a_secret_not_even_a_library_s(tmp_path: Path) -> None:
    read = settings(tmp_path, FIREDOOR_SMTP_URL="smtp://u:s3cret-mail@h", FIREDOOR_SENTRY_SECRET="s3cret-sentry")
    stream = StringIO()
    before = logging.getLogger().handlers[:], logging.getLogger().level

    set_up_logs("web", hide=read.secret_values(), stream=stream)
    structlog.get_logger().info("mail.sent", url="smtp://u:s3cret-mail@h")
    logging.getLogger("somebody").warning("it was s3cret-sentry")
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["process"] for line in lines] == ["web", "web"]
    assert lines[0]["event"] == "mail.sent"
    assert "s3cret" not in stream.getvalue()


def test_a_home_too_deep_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    deep = settings(tmp_path / ("d" * 120))

    assert len(str(deep.embedded_socket)) < 100
    assert deep.embedded_socket == settings(tmp_path / ("d" * 120)).embedded_socket
    assert settings(Path("/srv/fd")).embedded_redis_url == "unix:///srv/fd/valkey.sock"
