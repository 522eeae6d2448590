"""Every runbook that ships holds what it says: its own examples, read from the files."""

from datetime import date
from pathlib import Path

import pytest

from incidents.library import claimed_twice, facts_of_example
from incidents.runbookkeys import Example
from incidents.runbooks import Library, check_library, parse_runbook

FOLDER = Path(__file__).parents[2] / "runbooks"
SHIPPED = [
    parse_runbook(path.read_text(encoding="utf-8"), path.stem)
    for path in sorted(FOLDER.glob("*.md"))
    if path.stem != "README"
]
LIBRARY = Library(SHIPPED)
EXAMPLES = [
    (runbook, kind, example)
    for runbook in SHIPPED
    for kind in ("match", "no_match")
    for example in getattr(runbook.examples, kind)
]


@pytest.mark.parametrize("runbook", SHIPPED, ids=lambda runbook: runbook.name)
def test_a_shipped_runbook_has_no_fault_and_no_warning(runbook):
    assert (runbook.faults, runbook.warnings) == ((), ())
    assert runbook.review_warning(date(2026, 11, 21)) is None


@pytest.mark.parametrize(("runbook", "kind", "example"), EXAMPLES, ids=lambda one: getattr(one, "name", None))
def test_an_example_opens_its_own_runbook_or_must_not(runbook, kind, example):
    found = LIBRARY.match(facts_of_example(example))

    assert (found is runbook) == (kind == "match")


def test_the_library_fits_the_default_policy():
    roles = {"oncall", "tech_lead", "product_owner", "leadership", "affected_clients"}

    assert check_library(LIBRARY, roles=roles, teams={"default"}, severities={"P0", "P1", "P2", "P3"}) == []


def test_eight_ship_and_the_checklist_is_the_fallback():
    assert [one.name for one in SHIPPED if one.armed] == [
        "certificate-expiry",
        "checkout-error-rate",
        "database-connection-failure",
        "disk-full",
        "payment-gateway-timeout",
        "queue-backlog",
        "slo-burn",
    ]
    assert LIBRARY.fallback is not None
    assert LIBRARY.fallback.name == "containment-checklist"


@pytest.mark.parametrize("runbook", SHIPPED, ids=lambda runbook: runbook.name)
def test_a_shipped_runbook_contains_safest_first_and_says_what_to_type(runbook):
    steps = runbook.worklist()
    ranks = [step.rank for step in steps if step.lever]

    assert runbook.owner == "default"
    assert ranks
    assert ranks == sorted(ranks)
    assert any(step.command for step in steps)
    assert all(step.expect for step in steps if step.phase != "diagnose" and step.facts.get("verdict") != "skip")


@pytest.mark.parametrize("runbook", [one for one in SHIPPED if one.armed], ids=lambda runbook: runbook.name)
def test_an_armed_one_says_what_must_match_and_what_must_not(runbook):
    assert runbook.examples.match
    assert len(runbook.examples.no_match) >= 2


def test_no_example_is_claimed_by_two_runbooks():
    assert claimed_twice(LIBRARY) == []


STOCK = [  # of kube-prometheus, as they come: without an `env` that says production
    {"alertname": "NodeFilesystemAlmostOutOfSpace", "severity": "critical", "instance": "n1:9100", "mountpoint": "/"},
    {"alertname": "KubePersistentVolumeFillingUp", "severity": "critical", "namespace": "a", "job": "kubelet"},
    {"alertname": "KubeAPIErrorBudgetBurn", "severity": "critical", "long": "1h", "short": "5m"},
    {"alertname": "AlertmanagerClusterDown", "severity": "critical", "namespace": "monitoring"},
]


@pytest.mark.parametrize("labels", STOCK, ids=lambda labels: labels["alertname"])
def test_the_stock_alerts_of_a_cluster_match_none_that_ships(labels):
    assert LIBRARY.match(facts_of_example(Example(labels=labels))) is None


def test_the_checklist_offers_the_four_levers_in_order():
    levers = [step.lever for step in LIBRARY.fallback.worklist() if step.lever]

    assert levers == ["flag_off", "roll_back_deploy", "roll_back_migration", "correct_data"]


def test_the_database_runbook_has_the_seeds_five_steps():
    steps = LIBRARY.get("database-connection-failure").worklist()

    assert [step.phase for step in steps] == ["confirm", "confirm", "contain", "diagnose", "fix"]
    assert steps[1].expect == "It answers HEALTHY."
    assert steps[2].lever == "restart"
