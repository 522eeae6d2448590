"""The command line: local commands in a folder of their own, people's commands against a real server on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from firedoor.cli import main
from firedoor.doctor import examine
from firedoor.settings import Settings
from ports.clock import SystemClock
from tests.fixtures.desk import Desk
from tests.fixtures.smtp import Mailbox
from tests.fixtures.waiting import free_port

PAYLOAD = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "DiskFills", "service": "a[/prod]", "severity": "critical"},
            "annotations": {"summary": "Disk of [/prod] is full :fire: \x1b[31m"},
            "startsAt": "2026-01-05T14:30:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "4f2a1c9b7d3e6a80",
        }
    ],
}


class Shell:
    """Types commands with an environment of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.environ = {"FIREDOOR_HOME": str(folder / "var"), "COLUMNS": "80", **environ}

    def __call__(self, *words: str, code: int = 0, given: str | None = None) -> Result:
        result = CliRunner().invoke(main, words, env=self.environ, input=given)
        assert result.exit_code == code, (result.output, result.exception)
        assert "Traceback" not in result.output
        wide = [line for line in result.stdout.splitlines() if len(line) > 80 and " " in line.strip()]
        assert not wide or "--json" in words
        return result

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code).stdout)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """An empty folder: the shipped policy and runbooks, and no database yet."""
    monkeypatch.chdir(tmp_path)
    for name in ("FIREDOOR_POLICY", "FIREDOOR_URL", "FIREDOOR_TOKEN", "FIREDOOR_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path)


@pytest.fixture
def at_desk(desk: Desk, tmp_path: Path) -> Iterator[Shell]:
    """A shell whose Firedoor is the desk's, served on loopback."""
    server = make_server("127.0.0.1", 0, desk.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Shell(tmp_path, FIREDOOR_URL=f"http://127.0.0.1:{server.port}", FIREDOOR_TOKEN=desk.api_token)
    server.shutdown()
    thread.join()
    server.server_close()
    desk.settle()
    desk.news()


# --- local ------------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    heavy = "sqlalchemy,flask,rich,pydantic,requests,redis,re2"
    code = f"import sys, firedoor.cli; print([one for one in '{heavy}'.split(',') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_dash_m_firedoor_is_the_same_program(shell: Shell) -> None:
    done = subprocess.run([sys.executable, "-m", "firedoor", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == shell("--version").stdout


def test_every_command_has_help_and_every_command_that_answers_has_json() -> None:
    endless = {"up", "web", "worker", "clock", "completion"}  # and what prints a script
    for name, command in main.commands.items():
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
        assert command.help, name
        is_group = isinstance(command, click.Group)
        assert name in endless or is_group or any(one.name == "as_json" for one in command.params), name


def test_check_of_what_ships_is_good_and_lists_its_notes(shell: Shell) -> None:
    told = shell("check").stdout
    assert "are good" in told
    assert "note: email is not set up" in told
    assert shell.json("check")["ok"]


def test_check_tells_every_fault_with_its_file_and_line(shell: Shell) -> None:
    (shell.folder / "firedoor.yaml").write_text("version: 1\nseverites: {}\npeople:\n  ada: {nme: Ada}\n")

    told = shell("check", code=1).stdout

    assert "firedoor.yaml:2: " in told
    assert "firedoor.yaml:4: " in told
    assert "Nothing was changed" in told
    faults = shell.json("check", code=1)["faults"]
    assert {2, 4} <= {one["line"] for one in faults}


def test_doctor_says_that_a_refused_policy_leaves_the_running_one_in_force(shell: Shell) -> None:
    (shell.folder / "firedoor.yaml").write_text("version: 1\nnonsense: 1\n")

    found = shell.json("doctor", code=1)["findings"]

    assert ":2: " in found[0]["why"]
    assert found[-1]["why"] == "a Firedoor that runs keeps the version before; a start would fail"


def test_check_runs_the_examples_of_the_runbooks(shell: Shell) -> None:
    folder = shell.folder / "runbooks"
    folder.mkdir()
    (folder / "disk.md").write_text(
        '---\ntitle: Disk\nowner: default\nseverity: P2\nopens: open\nwhen: [alertname="Disk"]\n'
        "examples: {match: [{labels: {alertname: Other}}], no_match: []}\n---\n# Disk\n"
    )
    told = shell("check", code=1).stdout
    assert "disk.md:" in told


def test_simulate_shows_the_decision_who_hears_and_the_text(shell: Shell) -> None:
    payload = shell.folder / "payload.json"
    payload.write_text(json.dumps(PAYLOAD))

    told = shell("simulate", str(payload)).stdout

    assert "[/prod]" in told
    assert "\x1b" not in told
    assert "Decided: open" in told
    assert "database-connection-failure" in told
    assert "Who hears:" in told
    assert "The page, by log:" in told
    (alert,) = shell.json("simulate", str(payload))["alerts"]
    assert alert["texts"]["log"]["short"]
    assert len(alert["texts"]["log"]["short"]) <= 160
    assert not (shell.folder / "var").exists()


def test_simulate_reads_standard_input_and_refuses_what_it_cannot_read(shell: Shell) -> None:
    assert "Decided" in shell("simulate", "-", given=json.dumps(PAYLOAD)).stdout
    assert shell("simulate", "-", given="{", code=1).stderr.strip().endswith(".")
    assert "no source named x" in shell("simulate", "-", "--source", "x", given="{}", code=1).stderr
    shell("simulate", "no-such-file", code=2)


def test_a_wrong_setting_is_a_sentence(shell: Shell) -> None:
    shell.environ["FIREDOOR_PORT"] = "http"
    assert "FIREDOOR_PORT is 'http'" in shell("check", code=1).stderr


def test_release_makes_a_home_that_the_token_of_the_command_line_fits(shell: Shell, free: None) -> None:
    shell("release")
    assert "/signin?token=" in shell("users", "signin", "me").stdout
    assert len(shell.json("tokens", "new", "me")["token"]) >= 32
    assert "knows nobody called bob" in shell("tokens", "new", "bob", code=1).stderr
    assert shell.json("db", "upgrade")["revision"]
    shell("db", "upgrade")


@pytest.fixture
def free(shell: Shell) -> None:
    shell.environ["FIREDOOR_PORT"] = str(free_port())


def test_without_tables_a_token_is_refused_with_what_to_do(shell: Shell) -> None:
    (shell.folder / "var").mkdir()
    assert "firedoor db upgrade" in shell("tokens", "new", "me", code=3).stderr


def test_an_unreachable_firedoor_is_exit_code_3(shell: Shell, free: None) -> None:
    assert "There is no API token" in shell("incidents", code=3).stderr
    shell.environ["FIREDOOR_TOKEN"] = "x" * 40
    told = shell("ack", "INC-001", code=3).stderr
    assert "can't be reached. Nothing was done." in told


def test_a_press_that_may_have_arrived_is_not_called_undone(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        shell.environ |= {"FIREDOOR_TOKEN": "x" * 40, "FIREDOOR_PORT": str(server.getsockname()[1])}

        def take_and_die() -> None:
            connection, _ = server.accept()
            server.close()
            with connection:
                connection.recv(65536)

        thread = threading.Thread(target=take_and_die)
        thread.start()
        told = shell("escalate", "INC-001", code=3).stderr
        thread.join(5)

    assert "Whether it was done is not known: look before you repeat it." in told
    assert "Nothing was done" not in told


def test_doctor_names_what_is_missing(shell: Shell) -> None:
    verdicts = {one["what"]: one["verdict"] for one in shell.json("doctor", code=1)["findings"]}
    assert verdicts["database"] == "fault"
    assert verdicts["policy and runbooks"] == "ok"
    assert verdicts["mail"] == verdicts["redis"] == verdicts["pages"] == "warning"


def test_doctor_sends_a_test_message(shell: Shell, smtp: Mailbox) -> None:
    shell("release")
    shell.environ |= {"FIREDOOR_SMTP_URL": smtp.url, "FIREDOOR_MAIL_TO": "me@example.com"}

    found = {(one["what"], one["verdict"]) for one in shell.json("doctor", "--send", "me")["findings"]}

    assert ("test message", "ok") in found
    assert ("mail", "ok") in found
    assert ("database", "ok") in found
    (mail,) = smtp.wait_for(1)
    assert "test message" in str(mail["Subject"])
    assert ("test message", "fault") in {
        (one["what"], one["verdict"]) for one in shell.json("doctor", "--send", "bob", code=1)["findings"]
    }


def test_doctor_says_that_the_mail_server_is_away(shell: Shell) -> None:
    shell.environ |= {"FIREDOOR_SMTP_URL": f"smtp://127.0.0.1:{free_port()}", "FIREDOOR_MAIL_TO": "me@example.com"}
    told = shell.json("doctor", code=1)["findings"]
    assert any(one["what"] == "mail" and one["verdict"] == "fault" for one in told)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://ada:s3cret@127.0.0.1", 25),
        ("smtp://127.0.0.1?starttls=yes", 587),
        ("smtps://127.0.0.1", 465),
    ],
)
def test_doctor_asks_the_port_that_pages_use(shell: Shell, url: str, port: int) -> None:
    shell.environ |= {"FIREDOOR_SMTP_URL": url, "FIREDOOR_MAIL_TO": "me@example.com"}

    [mail] = [one for one in shell.json("doctor", code=1)["findings"] if one["what"] == "mail"]

    assert f"127.0.0.1:{port} " in mail["why"]


def test_doctor_names_an_address_of_the_mail_server_that_no_page_can_use(shell: Shell) -> None:
    told = replace(Settings.from_env(shell.environ), smtp_url="gopher://ada:s3cret@mail.example.com")

    [mail] = [one for one in examine(told, now=SystemClock().now()) if one.what == "mail"]

    assert mail.verdict == "fault"
    assert "must be smtp://" in mail.why
    assert "s3cret" not in mail.why


# --- on running incidents ---------------------------------------------------------------------------------------------


def test_a_person_works_an_incident_from_the_command_line(desk: Desk, at_desk: Shell) -> None:
    assert "No incident is open" in at_desk("incidents").stdout
    desk.alertmanager_says("firing")

    assert "INC-001" in at_desk("incidents").stdout
    assert "Next:" in at_desk("show", "INC-001").stdout
    assert "page" in at_desk("pages", "INC-001").stdout
    assert "Escalation has stopped" in at_desk("ack", "INC-001", "--note", "On it").stdout
    steps = at_desk.json("show", "INC-001")["steps"]
    first = next(one for one in steps if one["phase"] == "confirm" or one["phase"] == "contain")
    assert "timeline" in at_desk("step", "INC-001", str(first["n"]), "done").stdout
    at_desk("note", "INC-001", "Looks like the pool [/prod]")
    at_desk("severity", "INC-001", "P2", "--reason", "Only staff")
    at_desk("take", "INC-001", "--role", "communicator", "--person", "ben")
    at_desk("contain", "INC-001", "--note", "Pool is bigger")
    at_desk("resolve", "INC-001")
    assert "Stood down" in at_desk("stand-down", "INC-001").stdout
    told = at_desk("timeline", "INC-001").stdout
    assert "the pool [/prod]" in told
    entries = at_desk.json("timeline", "INC-001")["items"]
    assert {one["source"] for one in entries if one["actor"] == "ada"} == {"cli"}
    at_desk("reopen", "INC-001", "--reason", "It is back")


def test_a_person_declares_and_opens(desk: Desk, at_desk: Shell) -> None:
    assert "INC-001" in at_desk("declare", "Card payments fail", "--severity", "P1").stdout
    desk.alertmanager_says(labels={"alertname": "DiskFills", "service": "shop", "severity": "warning"})
    (alert,) = at_desk.json("alerts", "--decision", "suggest")["items"]
    assert "DiskFills" in at_desk("alerts").stdout
    assert "INC-002" in at_desk("open", str(alert["id"]), "--severity", "P2").stdout
    for verb in ("seen", "decline"):
        at_desk(verb, "INC-002")
    at_desk("escalate", "INC-001", "--reason", "Nobody answers")


def test_a_refusal_is_its_sentence_and_exit_code_1(desk: Desk, at_desk: Shell) -> None:
    at_desk("declare", "Card payments fail", "--severity", "P1")

    assert "INC-999" in at_desk("ack", "INC-999", code=1).stderr
    at_desk("note", "INC-001", "Somebody was faster", "--version", "1")
    assert "changed since" in at_desk("note", "INC-001", "x", "--version", "1", code=1).stderr
    assert "There is no severity" in at_desk("severity", "INC-001", "P9", code=1).stderr
    assert "no delivery 5" in at_desk("replay", "5", code=1).stderr
    at_desk("step", "INC-001", "1", "maybe", code=2)
    at_desk("no-such-command", code=2)
    at_desk.environ["FIREDOOR_TOKEN"] = "somebody else's"
    assert "unknown or has expired" in at_desk("incidents", code=1).stderr


def test_what_nobody_could_read_is_listed_and_looked_at_and_steers_no_terminal(desk: Desk, at_desk: Shell) -> None:
    desk.post(b'\x1b[31m<b>\x9b {"disk": "\xe2\x80\xaefull"}\0\n\ttail')
    desk.post(b'{"receiver":"firedoor"}')
    desk.post(b"x" * (17 * 1024))
    desk.settle()
    desk.news()

    assert "unreadable" in at_desk("inbox").stdout
    assert "firedoor inbox 3" in at_desk("show", "INC-001").stdout
    told = at_desk("inbox", "1").stdout
    assert '\\x1b[31m<b>\\x9b {"disk": "\\u202efull"}\\x00\n\ttail\n' in told
    assert not [one for one in told if not one.isprintable() and one not in "\n\t"]
    for word in ("alertmanager", "11-21 14:37:00Z", "unreadable", "1 time", "firedoor replay 1", "written as escapes"):
        assert word in told
    assert '\n{\n  "receiver": "firedoor"\n}\n' in at_desk("inbox", "2").stdout
    assert "Only the first 16 KiB are shown" in at_desk("inbox", "3").stdout
    assert at_desk.json("inbox", "1") == desk.api("GET", "/inbox/1")
    assert "no delivery 9" in at_desk("inbox", "9", code=1).stderr
    assert "Nothing was asked" in at_desk("inbox", "1", "--limit", "5", code=2).stderr
    at_desk("inbox", "one", code=2)


def test_an_address_that_is_not_firedoor_is_said(desk: Desk, at_desk: Shell) -> None:
    at_desk.environ["FIREDOOR_URL"] += "/console"
    told = at_desk("incidents", code=3).stderr
    assert "not Firedoor's API" in told


# --- silences ---------------------------------------------------------------------------------------------------------


def test_a_silence_is_added_listed_shown_and_lifted(at_desk: Shell, desk: Desk) -> None:
    assert "No silence is live." in at_desk("silence", "list").stdout
    added = at_desk("silence", "add", 'service="webapp-prod"', 'env!="dev"', "--for", "2h", "--reason", "It moves")
    assert "Silence 1 mutes what matches for 2 h, until 21 Nov 16:37 UTC." in " ".join(added.stdout.split())
    desk.alertmanager_says("firing")

    listed = at_desk("silence", "list").stdout
    assert 'service="webapp-prod", env!="dev"' in listed
    assert at_desk.json("silence", "list")["items"][0]["muted"] == 1
    assert "DBConnectionErrors" in at_desk("silence", "show", "1").stdout
    assert "silenced" in at_desk("alerts", "--decision", "silenced").stdout

    assert "is lifted" in at_desk("silence", "lift", "1").stdout
    assert "already" in at_desk("silence", "lift", "1", code=1).stderr
    assert [one["state"] for one in at_desk.json("silence", "list", "--state", "ended")["items"]] == ["lifted"]
    desk.settle()
    later = ("silence", "add", "service=x", "--for", "1h", "--reason", "Moves", "--begins")
    assert "from 22 Nov 02:00 until 22 Nov 03:00" in " ".join(at_desk(*later, "2026-11-22T02:00Z").stdout.split())
    assert "begins 11-22 02:00:00Z" in " ".join(at_desk("silence", "list").stdout.split())
    assert "is no time" in at_desk(*later, "soon", code=2).stderr
    assert ("page", "ada") in desk.heard()


def test_a_silence_that_would_mute_everything_is_refused(at_desk: Shell) -> None:
    told = at_desk("silence", "add", 'alertname=~".*"', "--for", "2h", "--reason", "quiet", code=1).stderr
    assert "would mute every alert" in told
    at_desk("silence", "add", "--for", "2h", "--reason", "quiet", code=2)
