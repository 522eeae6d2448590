"""`firedoor up`, started as a person starts it: from an empty folder to a page, through deaths, to a clean end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from http.client import parse_headers
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.chaos.whole_box import receivers
from tests.edges.installation import Installation, processes_of, send_printed_sample, sign_in_link, until

PARTS = ("valkey", "web", "page", "act", "clock")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    yield installation
    installation.end()
    until(lambda: not processes_of(tmp_path), seconds=5, why=lambda: str(processes_of(tmp_path)))


def test_from_an_empty_folder_to_an_incident_and_a_page(installation: Installation) -> None:
    running = installation.up()

    assert send_printed_sample(running.said()) == 202
    until(lambda: installation.incidents(), why=running.log)
    assert len(installation.incidents()) == 1
    assert requests.get(sign_in_link(running.said()), timeout=5).status_code == 200
    assert "group_wait: 5s" in running.said()
    assert "send_resolved: true" in running.said()

    assert running.interrupt() < 5
    assert not processes_of(installation.folder)


def test_the_printed_receiver_in_a_real_alertmanager_brings_a_page_by_mail(
    installation: Installation, alertmanager: Callable[[str], Any], smtp: Any
) -> None:
    installation.environ |= {"FIREDOOR_SMTP_URL": smtp.url, "FIREDOOR_MAIL_TO": "ada@example.com"}
    running = installation.up()

    sender = alertmanager(receivers(running.said()))
    sender.post([{"labels": {"alertname": "DBConnectionErrors", "service": "webapp-prod", "severity": "critical"}}])

    page = smtp.wait_for(1, timeout=40)[0]
    assert page["To"] == "ada@example.com"
    assert "INC-001" in page["Subject"]
    assert running.interrupt() < 5


def test_a_sender_that_keeps_its_connection_is_answered_each_time(installation: Installation) -> None:
    running = installation.up()
    console = sign_in_link(running.said())
    server = urlsplit(console)
    ask = f"GET /healthz HTTP/1.1\r\nHost: {server.netloc}\r\n\r\n".encode()

    address = (server.hostname, server.port)
    with socket.create_connection(address, timeout=5) as sender, sender.makefile("rb") as answers:
        sender.sendall(ask)
        assert answer_of(answers) == 200
        sender.sendall(ask + ask)  # the second is read with the first
        assert [answer_of(answers), answer_of(answers)] == [200, 200]
        assert requests.get(console, timeout=5).ok  # longer than a thread waits for the next one
        sender.sendall(ask)
        assert answer_of(answers) == 200
        assert running.interrupt() < 5, "a connection that says nothing more holds nobody up"


def answer_of(answers: Any) -> int:
    """The status of the next answer of this connection; its body is read too."""
    status = int(answers.readline().split()[1])
    headers = parse_headers(answers)
    answers.read(int(headers["Content-Length"]))
    return status


def test_no_log_line_holds_a_secret(installation: Installation) -> None:
    running = installation.up()
    send_printed_sample(running.said())
    until(lambda: installation.incidents(), why=running.log)
    running.interrupt()

    for file in (installation.folder / "var/secrets").iterdir():
        assert file.read_text().strip() not in running.log()
    assert sign_in_link(running.said()).partition("token=")[2] not in running.log()


def test_a_second_up_on_the_same_home_is_refused_and_names_the_first(installation: Installation) -> None:
    running = installation.up()

    second = installation.run("up", FIREDOOR_PORT="1")

    assert second.returncode == 1
    assert f"already runs on {installation.folder}/var (process {running.process.pid})" in second.stdout + second.stderr
    assert installation.is_ready()


def test_a_taken_port_is_refused_with_a_sentence(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = installation.run("up", FIREDOOR_PORT=port)

    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 can't be used" in refused.stdout + refused.stderr


def test_a_faulty_policy_starts_nothing_and_says_all_its_faults(installation: Installation) -> None:
    (installation.folder / "firedoor.yaml").write_text("organisaton:\n  name: x\nversion: 7\n")

    refused = installation.run("up")

    said = refused.stdout + refused.stderr
    assert refused.returncode == 1
    assert "firedoor.yaml:1" in said
    assert "firedoor.yaml:3" in said
    assert not (installation.folder / "var/firedoor.db").exists()


def test_a_wrong_setting_starts_nothing(installation: Installation) -> None:
    refused = installation.run("up", FIREDOOR_DATABASE_URL="mysql://x")

    assert refused.returncode != 0
    assert "FIREDOOR_DATABASE_URL" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("words", [["worker"], ["worker", "--lane", "act"]])
def test_a_worker_alone_without_a_redis_is_refused(installation: Installation, words: list[str]) -> None:
    installation.run("release")

    refused = installation.run(*words)

    assert refused.returncode == 1
    assert "FIREDOOR_REDIS_URL is empty" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("word", ["web", "clock"])
def test_a_part_without_a_release_is_refused(installation: Installation, word: str) -> None:
    refused = installation.run(word)

    assert refused.returncode == 1
    assert "Run `firedoor release` first" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_whatever_is_killed_comes_back_and_alerts_are_taken_again(installation: Installation) -> None:
    running = installation.up()
    before = {part: running.pid_of(part) for part in PARTS}

    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    until(lambda: all(running.pid_of(part) != before[part] for part in PARTS), why=running.log)
    until(installation.is_ready, why=running.log)
    assert send_printed_sample(running.said()) == 202
    until(lambda: installation.incidents(), why=running.log)


def test_nothing_outlives_a_supervisor_that_was_killed(installation: Installation) -> None:
    running = installation.up()

    running.process.kill()

    until(lambda: not processes_of(installation.folder), seconds=5, why=lambda: str(processes_of(installation.folder)))


def test_a_frozen_web_process_is_replaced(installation: Installation) -> None:
    running = installation.up()
    before = running.pid_of("web")

    for pid in [before, *children_of(before)]:
        os.kill(pid, signal.SIGSTOP)

    until(lambda: running.pid_of("web") != before, why=running.log)
    until(installation.is_ready, why=running.log)


def test_starting_again_goes_on_with_every_open_incident(installation: Installation) -> None:
    first = installation.up()
    send_printed_sample(first.said())
    until(lambda: installation.incidents(), why=first.log)
    incident = installation.incidents()[0]["id"]
    first.process.kill()
    until(lambda: not processes_of(installation.folder), seconds=5)

    second = installation.up()

    assert [one["id"] for one in installation.incidents()] == [incident]
    assert send_printed_sample(second.said()) == 202, "the sender's token is the same"


def test_the_procfile_runs_the_same_parts_one_by_one(installation: Installation, valkey: object) -> None:
    lines = (Path(__file__).resolve().parents[2] / "Procfile").read_text().splitlines()
    commands = {name: command.split()[1:] for name, _, command in (line.partition(": ") for line in lines)}
    installation.environ["FIREDOOR_REDIS_URL"] = valkey.url  # type: ignore[attr-defined]

    released = installation.run(*commands.pop("release"))
    assert released.returncode == 0, released.stderr
    running = [installation.start(*words) for words in commands.values()]
    until(installation.is_ready, why=lambda: "".join(one.log() for one in running))

    token = (installation.folder / "var/secrets/alertmanager_token").read_text().strip()
    answer = requests.post(
        f"{installation.url}/hooks/alertmanager",
        json={"version": "4", "status": "firing", "alerts": [
            {"status": "firing", "labels": {"alertname": "X", "severity": "critical"}, "annotations": {},
             "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )  # fmt: skip
    assert answer.status_code == 202
    until(lambda: installation.incidents(), why=lambda: "".join(one.log() for one in running))
    for one in running:
        assert one.process.poll() is None
        one.process.terminate()
        assert one.process.wait(60) == 0, one.log()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
