"""What the command line shows for long: a live incident; and what it says of addresses, shells and wide characters."""

from __future__ import annotations

import io
import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from rich.console import Console
from werkzeug.serving import make_server

from firedoor import screen, watching
from firedoor.cli import main
from firedoor.screen import wrapped
from tests.fixtures.desk import Desk
from tests.fixtures.waiting import free_port

WIDE = "結帳服務在所有地區都回傳錯誤而且客戶無法付款請立即查看資料庫連線數量以及最近的部署紀錄謝謝大家" * 2
LONG = "Checkout returns too many errors in every region, and customers cannot pay by card, voucher or invoice " * 2


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The command line sees answers, not databases: one kind is enough here."""
    return sqlite_url


@pytest.fixture
def server(desk: Desk) -> Iterator[str]:
    found = make_server("127.0.0.1", 0, desk.client.application, threaded=True)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{found.port}"
    found.shutdown()
    thread.join()
    found.server_close()
    desk.settle()
    desk.news()


class Typed:
    """Types commands against one address with one token."""

    def __init__(self, url: str, token: str, home: Path) -> None:
        self.environ = {"FIREDOOR_URL": url, "FIREDOOR_TOKEN": token, "FIREDOOR_HOME": str(home), "COLUMNS": "80"}

    def __call__(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, words, env=self.environ)
        assert result.exit_code == code, (result.output, result.exception)
        return result


@pytest.fixture
def typed(desk: Desk, server: str, tmp_path: Path) -> Typed:
    return Typed(server, desk.api_token, tmp_path)


# --- watching ---


def test_once_it_shows_the_incident_and_what_happened_lately(desk: Desk, typed: Typed) -> None:
    desk.alertmanager_says("firing")

    told = typed("watch", "INC-001", "--once").stdout
    answer = json.loads(typed("watch", "INC-001", "--once", "--json").stdout)

    assert "Who has it" in told
    assert "Lately:" in told
    assert answer["incident"]["id"] == "INC-001"
    assert [one["kind"] for one in answer["timeline"]] == desk.kinds()


def test_a_press_by_a_link_looks_like_one(desk: Desk, typed: Typed) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")

    for told in (typed("watch", "INC-001", "--once").stdout, typed("timeline", "INC-001").stdout):
        assert "by the link sent to ada" in " ".join(told.split())
    assert "(by the link sent to Ada)" in " ".join(typed("show", "INC-001").stdout.split())


def test_what_is_overdue_says_so(desk: Desk, typed: Typed) -> None:
    desk.alertmanager_says("firing")
    desk.clock.set(desk.clock.now() + timedelta(minutes=4, seconds=40))

    assert "pages Ben (overdue)" in typed("show", "INC-001").stdout


def test_without_a_terminal_each_entry_is_a_line_until_the_incident_is_over(
    desk: Desk, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.alertmanager_says("firing")
    acts = iter([lambda: desk.does("acknowledge"), lambda: desk.does("resolve"), lambda: desk.does("stand-down")])
    monkeypatch.setattr(watching, "_wait", lambda _seconds: next(acts)())

    told = typed("watch", "INC-001").stdout

    rows = [line for line in told.splitlines() if "Ada has it" in line]
    assert len(rows) == 1, "an entry is shown once"
    assert "INC-001 is over: Postmortem pending." in told
    assert "\x1b" not in told


def test_with_json_each_entry_is_an_object_on_a_line_and_ctrl_c_leaves(
    desk: Desk, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.alertmanager_says("firing")

    def leave(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "_wait", leave)
    told = typed("watch", "INC-001", "--json").stdout
    assert [json.loads(line)["kind"] for line in told.splitlines()] == desk.kinds()


def test_while_firedoor_is_away_it_says_so_and_goes_on_watching(
    desk: Desk, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.alertmanager_says("firing")
    looked = watching.looking_at
    away = [True]

    def leave(_seconds: float) -> None:
        if not away:
            raise KeyboardInterrupt

    def looking(incident: str) -> Any:
        look = looked(incident)
        first = [look()]

        def again() -> Any:
            if first:
                return first.pop()
            if away.pop():
                from firedoor.remote import Unreachable

                raise Unreachable("It can't be reached.")
            return look()

        return again

    monkeypatch.setattr(watching, "looking_at", looking)
    monkeypatch.setattr(watching, "_wait", leave)
    assert "It can't be reached. Still watching." in typed("watch", "INC-001").stderr


def test_the_picture_of_a_terminal_says_who_has_it_and_that_it_is_live(desk: Desk, typed: Typed) -> None:
    desk.alertmanager_says("firing")
    desk.does("acknowledge", note=WIDE)
    entries = desk.api("GET", "/incidents/INC-001/timeline")["items"]
    console = Console(width=80, force_terminal=True, no_color=True)

    with console.capture() as captured:
        console.print(watching.picture(desk.incident(), entries))
    told = captured.get()

    assert "Ada has it since" in told
    assert "Live. Ctrl-C leaves" in told
    assert all(cell_len(click.unstyle(line)) <= 80 for line in told.splitlines())


def test_in_a_terminal_it_stands_still_and_ctrl_c_leaves_it_cleanly(
    desk: Desk, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.alertmanager_says("firing")
    shown = io.StringIO()
    monkeypatch.setattr(screen, "console", lambda: Console(file=shown, force_terminal=True, width=80, height=24))
    acts = iter([lambda: desk.does("acknowledge")])

    def wait(_seconds: float) -> None:
        act = next(acts, None)
        if act is None:
            raise KeyboardInterrupt
        act()

    monkeypatch.setattr(watching, "_wait", wait)
    typed("watch", "INC-001")

    assert "Live. Ctrl-C leaves" in shown.getvalue()
    assert "Ada has it since" in shown.getvalue()


def test_what_is_not_there_can_not_be_watched(typed: Typed) -> None:
    assert "INC-999" in typed("watch", "INC-999", code=1).stderr


# --- rows that fit ---


def test_every_table_fits_80_columns_with_long_and_with_wide_titles(desk: Desk, typed: Typed) -> None:
    for title in (WIDE, LONG):
        desk.api("POST", "/incidents", expect=201, title=title[:200], severity="P1", service="a-service-of-some-name")
    matchers = ['service="a-service-of-some-name"', 'env!="development"']
    desk.api("POST", "/silences", expect=201, matchers=matchers, **{"for": "2h"}, reason=WIDE[:400])
    desk.alertmanager_says(
        labels={"alertname": "DiskFills", "service": "shop", "severity": "warning"}, annotations={"summary": WIDE}
    )
    commands = (
        ("incidents",), ("show", "INC-001"), ("timeline", "INC-001"), ("pages", "INC-001"), ("alerts",), ("inbox",),
        ("silence", "list"), ("silence", "show", "1"), ("proposals",), ("watch", "INC-002", "--once"),
        ("shadow", "report"),
    )  # fmt: skip
    for words in commands:
        for line in typed(*words).stdout.splitlines():
            assert cell_len(line) <= 80, (words, line)


def test_a_row_breaks_at_spaces_counts_wide_characters_twice_and_leaves_addresses_whole() -> None:
    address = "https://firedoor.example.com/" + "a" * 90
    assert wrapped(f"See {address} for more", 80) == ["See", f"  {address}", "  for more"]
    assert all(cell_len(row) <= 80 for row in wrapped(f"  | {WIDE}", 80))
    assert "".join(row.strip() for row in wrapped(WIDE, 80)) == WIDE
    assert wrapped("", 80) == [""]


# --- programs and shells ---


def test_every_command_that_answers_and_ends_takes_json() -> None:
    without = {"up", "web", "worker", "clock", "completion"}

    def commands(group: click.Group) -> Iterator[click.Command]:
        for command in group.commands.values():
            yield from commands(command) if isinstance(command, click.Group) else [command]

    lacking = {one.name for one in commands(main) if not any(each.name == "as_json" for each in one.params)}
    assert lacking == without


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_the_commands(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert "_FIREDOOR_COMPLETE" in script
    found = CliRunner().invoke(
        main, [], prog_name="firedoor", env={"_FIREDOOR_COMPLETE": f"{shell}_complete", "COMP_WORDS": "firedoor sta",
                                             "COMP_CWORD": "1" if shell != "fish" else "sta"},
    )  # fmt: skip
    assert "stand-down" in found.stdout


def test_the_script_for_bash_is_one_that_bash_reads() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


# --- addresses ---


class Redirecting(BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", "https://other.example.com/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


def test_a_redirect_is_said_and_not_followed(typed: Typed) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    typed.environ["FIREDOOR_URL"] = f"http://127.0.0.1:{server.server_port}"
    told = typed("incidents", code=3).stderr
    server.shutdown()
    thread.join()
    server.server_close()
    assert "sends us on to https://other.example.com/" in " ".join(told.split())
    assert "the token was not shown there" in " ".join(told.split())


@pytest.mark.expects_errors("Bad request version|Bad HTTP|Bad request syntax")
def test_https_where_none_is_spoken_is_unreachable_and_says_that_nothing_was_sent(typed: Typed) -> None:
    typed.environ["FIREDOOR_URL"] = typed.environ["FIREDOOR_URL"].replace("http://", "https://")
    assert "Nothing was sent, the token neither" in " ".join(typed("incidents", code=3).stderr.split())


def test_with_json_what_can_not_be_reached_is_an_object_too(typed: Typed) -> None:
    typed.environ["FIREDOOR_URL"] = f"http://127.0.0.1:{free_port()}"
    assert json.loads(typed("incidents", "--json", code=3).stdout)["code"] == "unreachable"


def test_the_token_of_a_home_is_shown_to_its_own_firedoor_alone(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/api_token").write_text("the-token-of-this-very-home-and-no-other")
    del typed.environ["FIREDOOR_TOKEN"]
    assert "unknown or has expired" in typed("incidents", code=1).stderr, "it was shown to its own"
    typed.environ["FIREDOOR_URL"] = "http://firedoor.invalid"
    assert "There is no API token" in " ".join(typed("incidents", code=3).stderr.split())


def test_a_token_may_stand_in_a_file(desk: Desk, typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{desk.api_token}\n")
    del typed.environ["FIREDOOR_TOKEN"]
    typed.environ["FIREDOOR_TOKEN_FILE"] = str(tmp_path / "token")
    assert "No incident is open" in typed("incidents").stdout


def test_a_conflict_shows_who_did_what_in_between(desk: Desk, typed: Typed) -> None:
    desk.alertmanager_says("firing")
    seen = desk.incident()["version"]
    desk.does("acknowledge", by="ben")

    told = typed("severity", "INC-001", "P2", "--version", str(seen), code=1).stderr

    assert "changed since you read it" in told
    assert "Ben has it. Escalation has stopped." in told
