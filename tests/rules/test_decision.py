"""What belongs together, and what is done about an alert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from incidents import decision
from incidents.decision import decide, facts_of, group_key
from incidents.policy import load_policy
from incidents.runbookfile import parse_runbook
from incidents.runbooks import Library
from tests.stories.test_containment import DRAFT, LADDER

NOW = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)


class Book:
    def __init__(self, *runbooks: str) -> None:
        self.policy = load_policy(None, "firedoor.yaml", lookup=lambda _: None)
        self.runbooks = Library([parse_runbook(text, f"book-{n}") for n, text in enumerate(runbooks)])


def facts(**labels: str) -> Any:
    return facts_of(source="alertmanager", labels=labels, annotations={}, value=None, recent=[NOW], now=NOW)


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({"alertname": "A"}, '["alert","alertmanager","","A"]'),
        ({"alertname": "A", "env": "prod"}, '["alert","alertmanager","","A","prod"]'),
        ({"alertname": "A", "env": ""}, '["alert","alertmanager","","A",""]'),
        ({"alertname": "A", "severity": "warning", "instance": "b"}, '["alert","alertmanager","","A"]'),
        ({"alertname": 'A","b'}, '["alert","alertmanager","","A\\",\\"b"]'),
    ],
)
def test_without_a_runbook_the_key_is_source_service_and_alertname(labels: dict[str, str], key: str) -> None:
    assert group_key(facts(**labels), None, None) == key


def test_with_a_runbook_the_key_is_the_runbook_and_its_group_by() -> None:
    runbook = parse_runbook(LADDER.replace("owner: default", "owner: default\ngroup_by: [region]"), "shop-down")

    assert group_key(facts(region="eu", instance="b"), runbook, "shop") == '["runbook","shop-down","eu"]'
    assert group_key(facts(), runbook, "shop") == '["runbook","shop-down",""]'


@pytest.mark.parametrize(
    ("labels", "books", "expected"),
    [
        ({"alertname": "Other", "severity": "critical"}, [], ("open", "P1", 60, None)),
        ({"alertname": "Other", "severity": "error"}, [], ("suggest", "P2", 0, None)),
        ({"alertname": "Other", "severity": "info"}, [], ("record", None, 0, None)),
        ({"alertname": "Other", "severity": "odd"}, [], ("suggest", None, 0, None)),
        ({"alertname": "Other"}, [], ("suggest", None, 0, None)),
        ({"alertname": "ShopDown", "severity": "info"}, [LADDER], ("open", "P1", 0, "book-0")),
        ({"alertname": "ShopDown"}, [DRAFT], ("suggest", None, 0, None)),
    ],
)
def test_what_is_decided(labels: dict[str, str], books: list[str], expected: tuple[Any, ...]) -> None:
    found = decide(facts(**labels), Book(*books))  # type: ignore[arg-type]

    name = found.runbook.name if found.runbook else None
    assert (found.decide, found.severity, found.wait.total_seconds(), name) == expected
    assert found.why.endswith(".")


def test_a_draft_lends_and_proposes_and_decides_nothing() -> None:
    found = decide(facts(alertname="ShopDown", severity="warning"), Book(DRAFT))  # type: ignore[arg-type]

    assert (found.runbook, found.decide, found.severity) == (None, decision.SUGGEST, "P3")
    assert found.lends is not None
    assert found.proposed == "P2"
    assert "ShopDown" in found.group_key


def test_what_opens_by_itself_takes_no_severity_from_a_draft() -> None:
    found = decide(facts(alertname="ShopDown", severity="critical"), Book(DRAFT))  # type: ignore[arg-type]

    assert (found.decide, found.severity, found.proposed) == ("open", "P1", "P1")


def test_the_why_names_the_rules_that_made_the_severity_and_the_decision() -> None:
    found = decide(facts(alertname="Other", severity="critical"), Book())  # type: ignore[arg-type]

    assert found.why.startswith("No armed runbook matches, and rule 1 of `severity_map` says P1. Rule ")
    assert found.why.endswith(
        "of `open` decides (the severity is P1): it opens, and pages after 1 min unless it clears."
    )
