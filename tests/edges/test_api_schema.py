"""Schemathesis reads the OpenAPI document and tries every route with a real token: examples, edges, chance, sequences.

`make schema TRIES=200` tries longer than a test run has time for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import pytest
from werkzeug.serving import make_server

from console.answers import SHAPES
from console.openapi import document
from console.routes import ROUTES
from console.shapes import example_of
from firedoor.web import create_app
from tests.fixtures.desk import Desk

ASKED = os.environ.get("SCHEMA_EXAMPLES")
EVERYTHING = "examples,coverage,fuzzing,stateful"
SHORTER = "examples,fuzzing"  # the edges of each field are the same on both databases
# What fits the schema may still be refused: an unknown service, a verb that is not allowed now.
NOT_OURS = "positive_data_acceptance"


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    """A desk with something in every list, on loopback."""
    desk.alertmanager_says("firing")
    desk.alertmanager_says(labels={"alertname": "DiskFills", "service": "shop", "severity": "warning"})
    desk.post(b'{"this is": "no alert"}')
    desk.settle()
    desk.api("POST", "/silences", expect=201, matchers=['service="x"'], **{"for": "2h"}, reason="It moves")
    server = make_server("127.0.0.1", 0, create_app(desk.house), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    desk.news()


@pytest.mark.slow
@pytest.mark.timeout(3600 if ASKED else 600)
def test_no_route_answers_what_its_document_does_not_say(desk: Desk, address: str, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
    done = subprocess.run(
        [
            *program, f"{address}/api/openapi.json", "--header", f"Authorization: Bearer {desk.api_token}",
            "--exclude-checks", NOT_OURS, "--max-examples", ASKED or "1", "--generation-deterministic",
            "--phases", EVERYTHING if ASKED or desk.house.database.dialect == "sqlite" else SHORTER,
            "--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--warnings", "off",
        ],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": "", "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-2_000:]}"


def test_every_example_of_an_answer_fits_its_own_schema() -> None:
    told = document()
    for name, shape in SHAPES.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": told["components"]}
        jsonschema_rs.validate(schema, example_of(shape, SHAPES))


def test_every_answer_and_every_refusal_has_an_example() -> None:
    told = document()
    for route in ROUTES:
        for status, answer in told["paths"][route.path][route.method.lower()]["responses"].items():
            if status == "304":
                assert "content" not in answer
                continue
            (content,) = answer["content"].values()
            for reference in content["examples"].values():
                name = reference["$ref"].rpartition("/")[2]
                assert told["components"]["examples"][name]["value"], (route.name, status)


def test_an_incident_has_every_key_of_the_document_and_no_other(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.deploys("webapp-prod", "v42")
    desk.does("acknowledge")
    facts = desk.incident()

    assert set(facts) == set(SHAPES["Incident"])
    told = document()
    for name, answer in (
        ("Incident", facts),
        ("IncidentList", desk.api("GET", "/incidents")),
        ("AlertList", desk.api("GET", "/alerts")),
        ("OneAlert", desk.api("GET", "/alerts/1")),
        ("Timeline", desk.api("GET", "/incidents/INC-001/timeline")),
        ("Pages", desk.api("GET", "/incidents/INC-001/pages")),
        ("OneDelivery", desk.api("GET", "/inbox/1")),
        ("ShadowReport", desk.api("GET", "/shadow/report")),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": told["components"]}
        jsonschema_rs.validate(schema, answer)
    desk.settle()
    desk.news()
