"""`firedoor shadow`: the morning's report on 80 columns, as CSV, and beside the old tool's export."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from firedoor.cli import main
from firedoor.shadowing import csv_lines
from tests.fixtures.desk import Desk, OpenDesk

EXPORT = """incident_number,description,service_name,created_on,assigned_to_user_names
901,Database connection errors,webapp-prod,2026-11-21 14:39:00,Luna
902,The moon is missing,moon,2026-11-21 14:40:00,Luna
903,Last year,moon,2025-11-21 14:40:00,Luna
"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url  # the command line sees JSON, whatever keeps the rows


@pytest.fixture
def shadowed(open_desk: OpenDesk) -> Iterator[tuple[Desk, str]]:
    desk = open_desk(more="\nsources: {alertmanager: {kind: alertmanager, mode: shadow}}\n")
    server = make_server("127.0.0.1", 0, desk.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield desk, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(desk: Desk, url: str, *words: str, code: int = 0) -> str:
    environ = {"FIREDOOR_URL": url, "FIREDOOR_TOKEN": desk.api_token, "COLUMNS": "80"}
    result = CliRunner().invoke(main, ["shadow", *words], env=environ)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def test_the_report_begins_with_the_people_and_stands_beside_the_old_tool_s_list(
    shadowed: tuple[Desk, str], tmp_path: Path
) -> None:
    desk, url = shadowed
    assert "Nothing would have opened" in run(desk, url, "report")
    desk.alertmanager_says("firing")
    desk.forward(minutes=45)
    (tmp_path / "export.csv").write_text(EXPORT)

    told = run(desk, url, "report", "--since", "2h", "--beside", str(tmp_path / "export.csv"))

    assert "In shadow now: source:alertmanager" in told
    assert told.index("Ada") < told.index("INC-001")
    assert "Beside the export: 1 both, 1 missed, 0 extra, 1 told another person." in told
    assert "instead of Luna" in told
    assert max(len(line) for line in told.splitlines()) <= 80
    rows = list(csv.DictReader(io.StringIO(run(desk, url, "report", "--csv"))))
    assert (rows[0]["incident"], rows[0]["person"], rows[0]["only_if_unanswered"]) == ("INC-001", "Ada", "no")
    assert {row["only_if_unanswered"] for row in rows} == {"no", "yes"}


def test_going_live_shows_the_report_first_and_changes_nothing(shadowed: tuple[Desk, str]) -> None:
    desk, url = shadowed
    desk.alertmanager_says("firing")

    told = run(desk, url, "golive", "alertmanager")

    assert told.index("INC-001") < told.index("Nothing is live yet")
    assert "`mode: live`" in told.replace("\n  ", " ")
    assert "No source" not in run(desk, url, "golive", "nothing", code=1)


def test_a_title_that_a_spreadsheet_would_run_is_text() -> None:
    pages: list[dict[str, object]] = []
    one = {"id": "INC-1", "severity": "P1", "service": None, "team": "default", "title": "=HYPERLINK(1)",
           "opened_at": "2026-11-21T14:37:00Z", "pages": pages}  # fmt: skip

    assert "'=HYPERLINK(1)" in list(csv_lines({"opened": [one]}))[1]
