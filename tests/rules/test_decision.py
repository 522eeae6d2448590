"""What belongs together, and what is done about an alert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from incidents import decision
from incidents.book import Book as WholeBook
from incidents.decision import Decisions, decide, facts_of, facts_of_row, group_key
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


# Whatever a condition can look at is looked at by one of these.
CHOOSY = """
sources: {grafana: {kind: grafana, severity_from: level}, quiet: {kind: generic, mode: shadow}}
services: {mail: {team: default, match: ['app="mail"', 'annotation:owner=~"m.*"']}}
heartbeats: {backup: {every: 1h, when: ['kind="beat"']}}
open:
  - {when: ["value > 5"], decide: open, wait: 1m}
  - {when: ["count(10m) >= 2"], decide: record}
  - {severity: [P1], decide: open, wait: 0s}
  - {decide: suggest}
"""
REGIONAL = LADDER.replace("owner: default", "owner: default\ngroup_by: [region]")


def whole_book() -> WholeBook:
    policy = load_policy(CHOOSY, "firedoor.yaml", lookup=lambda _: None)
    return WholeBook(policy, Library([parse_runbook(REGIONAL, "shop-down"), parse_runbook(DRAFT, "draft")]))


def alert(source: str, labels: Mapping[str, str], owner: str, value: str | None, fired: int) -> Any:
    recent = [(NOW - timedelta(minutes=n)).isoformat() for n in range(fired)]
    return SimpleNamespace(source=source, labels=labels, annotations={"owner": owner}, value=value, recent=recent)


def many_alerts() -> Iterator[Any]:
    choices = {
        "alertname": ("ShopDown", "Other"), "app": ("mail", "web"), "region": ("eu", "us"), "kind": ("beat", ""),
        "severity": ("critical", "info"), "level": ("critical", ""), "instance": ("a", "b"),
    }  # fmt: skip
    for source, owner, value, fired in product(
        ("alertmanager", "grafana", "quiet"), ("me", "you"), (None, "7"), (1, 3)
    ):
        for said in product(*choices.values()):
            yield alert(source, dict(zip(choices, said, strict=True)), owner, value, fired)


def test_alerts_that_are_decided_together_are_decided_as_each_would_be_alone() -> None:
    book, alerts = whole_book(), list(many_alerts())
    decisions = Decisions(book, NOW)

    assert [decisions.about(one) for one in alerts] == [decide(facts_of_row(one, NOW), book) for one in alerts]
    assert len({book.seen_of(one) for one in alerts}) == len(alerts) / 2, "of all labels, nothing looks at the instance"


class Watched(dict[str, str]):
    """Labels that note which of them were asked for by name."""

    asked: set[str]

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


@pytest.mark.parametrize("source", ["alertmanager", "grafana", "heartbeat"])
def test_a_decision_asks_for_no_label_that_may_differ_between_alerts_that_are_decided_alike(source: str) -> None:
    book = whole_book()
    labels = Watched({"alertname": "ShopDown", "severity": "critical", "instance": "a", "heartbeat": "backup"})
    labels.asked = set()
    decide(facts_of_row(alert(source, labels, "me", "7", 1), NOW), book)

    plain = dict.fromkeys(labels.asked, "x")
    seen = {name for name, _ in book.seen_of(alert(source, plain, "me", "7", 1))[1]}
    assert labels.asked == seen
