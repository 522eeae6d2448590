"""The real peers that the tests run against: each behaves as the tests believe."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
import redis
from sqlalchemy import NullPool, create_engine, insert, select

from incidents.tables import counter
from tests.fixtures.postgresql import Cluster
from tests.fixtures.smtp import Mailbox
from tests.fixtures.valkey import Valkey


def count_once(url: str) -> int:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as session:
        session.execute(insert(counter).values(name="seen", value=1))
        rows = session.execute(select(counter)).all()
    engine.dispose()
    return len(rows)


@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_gets_a_fresh_database(database_url: str, time: str) -> None:
    assert count_once(database_url) == 1


def test_a_crashed_postgresql_keeps_what_it_committed(private_postgres: Cluster) -> None:
    private_postgres.run("CREATE TABLE kept (n int)")

    private_postgres.kill()
    private_postgres.start()

    private_postgres.run("INSERT INTO kept VALUES (1)")


def test_valkey_starts_each_test_empty(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_a_frozen_valkey_does_not_answer_until_it_goes_on(private_valkey: Valkey) -> None:
    private_valkey.stop()
    with redis.Redis.from_url(private_valkey.url, socket_timeout=0.2, retry=None) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        private_valkey.cont()

    with redis.Redis.from_url(private_valkey.url, socket_timeout=5) as client:
        assert client.ping()


def mail() -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Prüfung", "firedoor@example.org", "ada@example.org"
    message.set_content("Tür zu")
    return message


def test_smtp_takes_and_refuses_as_told(smtp: Mailbox) -> None:
    with smtplib.SMTP(smtp.host, smtp.port) as client:
        client.send_message(mail())
        smtp.refuse("451 4.3.0 later", at="DATA", times=1)
        with pytest.raises(smtplib.SMTPDataError):
            client.send_message(mail())
        client.send_message(mail())

    assert [message["Subject"] for message in smtp.wait_for(2)] == ["Prüfung", "Prüfung"]


def test_smtp_speaks_starttls_with_a_login(start_smtp: Callable[..., Mailbox]) -> None:
    box = start_smtp(tls=True, user="firedoor", password="pa:ss@word")

    with smtplib.SMTP(box.host, box.port) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(box.certificate)))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(box.user, "wrong")
        client.login(box.user, box.password)
        client.send_message(mail())

    assert box.wait_for(1)[0].get_content().strip() == "Tür zu"


@pytest.mark.expects_errors("the lever broke")
def test_an_expected_error_line_is_let_pass() -> None:
    logging.getLogger("firedoor").error("the lever broke")


def test_a_real_alertmanager_becomes_ready(alertmanager: Callable[..., Any]) -> None:
    sender = alertmanager({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]})

    sender.post([{"labels": {"alertname": "Watchdog"}}])

    assert "error" not in sender.log().lower()
