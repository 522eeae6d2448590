"""The apprise channel against a local server that `json://` reaches: results, masked secrets, the missing extra."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ports.clock import SystemClock
from tests.edges.test_channels import Lines, a_message
from tests.edges.test_cli import Shell, shell  # noqa: F401
from tests.fixtures.provider import Answer, Trouble, serving
from tests.fixtures.waiting import free_port
from worker.channels.apprise import AppriseChannel

SECRET = "hunter2hunter2"


class Service:
    """Takes what `json://` posts, if the password is right."""

    def __init__(self) -> None:
        self.trouble = Trouble()
        self.taken: list[dict[str, Any]] = []
        self.address = ""

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        if not str(headers.get("Authorization", "")).startswith("Basic "):
            return 401, b"{}"
        self.taken.append(json.loads(body))
        return 200, b"{}"


@pytest.fixture
def service() -> Iterator[Service]:
    fake = Service()
    with serving(fake.trouble, fake.answer) as url:
        fake.address = f"json://ada:{SECRET}@{url.removeprefix('http://')}/pages"
        yield fake


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What reaches the process's own log; pytest's own capture would also see what goes no further."""
    seen: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    handler = Keeping(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield seen
    logging.getLogger().removeHandler(handler)


def channel() -> AppriseChannel:
    return AppriseChannel("other", {}, log=Lines(), clock=SystemClock())


def test_a_page_arrives_as_plain_text_of_firedoor_and_of_nobody_else(service: Service) -> None:
    outcome = channel().send(a_message(text="500s {{ 7 * 7 }}\n"), service.address)

    assert (outcome.result, outcome.channel, outcome.delivered) == ("yes", "other", False)
    [said] = service.taken
    assert said["title"] == "[P1] INC-042 checkout: 500s 12%"
    assert (said["message"], said["type"]) == ("500s {{ 7 * 7 }}", "failure")
    assert "github" not in json.dumps(said)


@pytest.mark.parametrize(
    ("code", "result", "permanent"),
    [(400, "no", True), (404, "no", True), (429, "no", False), (500, "no", False), (504, "ambiguous", False)],
)
def test_each_status_has_its_class(service: Service, code: int, result: str, permanent: bool) -> None:
    service.trouble.code = code

    outcome = channel().send(a_message(), service.address)

    assert (outcome.result, outcome.permanent) == (result, permanent)


def test_without_a_code_nobody_can_tell_whether_it_left(service: Service) -> None:
    service.trouble.hang_up = True
    assert channel().send(a_message(), service.address).result == "ambiguous"
    assert channel().send(a_message(), f"json://127.0.0.1:{free_port()}").result == "ambiguous"


@pytest.mark.expects_errors("Unsupported URL", "Unparseable")
@pytest.mark.parametrize("address", ["", f"pigeon://{SECRET}", "json://", f"{SECRET}", "http://["])
def test_an_address_that_apprise_does_not_know_is_a_final_no(
    address: str, lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = channel().send(a_message(), address)

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert SECRET not in outcome.detail + "".join(lines) + "".join(capfd.readouterr())


def test_no_log_and_no_record_holds_the_secret(
    service: Service, lines: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    service.trouble.code = 403

    outcome = channel().send(a_message(), service.address)

    assert SECRET not in repr(outcome) + "".join(lines) + "".join(capfd.readouterr())


def test_the_missing_extra_is_a_fault_of_check_with_what_to_do(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    (shell.folder / "firedoor.yaml").write_text("channels: {other: {kind: apprise}}\n")

    told = " ".join(shell("check", code=1).stdout.split())

    assert "channel other: the package apprise is not installed: pip install 'firedoor[apprise]'." in told


def test_an_address_in_clear_is_a_fault_and_doctor_never_shows_it(shell: Shell) -> None:  # noqa: F811
    people = "people: {{ada: {{contacts: [{{channel: other, address: {}, wakes: true}}]}}}}\n"
    rest = "teams: {default: {roles: {oncall: [ada]}}}\nroles: {}\nchannels: {other: {kind: apprise}}\n"
    policy = shell.folder / "firedoor.yaml"
    policy.write_text(people.format(f"'json://{SECRET}@x'") + rest)
    [fault] = shell.json("check", code=1)["faults"]
    assert (fault["line"], fault["what"]) == (1, "The address of `ada` on `other` is a secret.")

    shell.environ["ADA_URL"] = f"json://ada:{SECRET}@127.0.0.1/x"
    policy.write_text(people.format("env:ADA_URL") + rest)
    assert shell.json("check")["ok"]
    assert SECRET not in shell("doctor", code=1).stdout
