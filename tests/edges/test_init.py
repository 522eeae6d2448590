"""`firedoor init` and what `firedoor check` then says: the first file of a newcomer, and the warnings beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from firedoor.starting import STARTER
from incidents.policy import load_policy
from tests.edges.test_cli import Shell, shell  # noqa: F401
from tests.fixtures.desk import Desk


def test_init_writes_a_policy_that_check_passes(shell: Shell) -> None:  # noqa: F811
    told = shell("init").stdout

    assert "wrote firedoor.yaml" in told
    assert sorted(path.name for path in (shell.folder / "runbooks").iterdir()) == [
        "containment-checklist.md",
        "too-many-errors.md",
    ]
    checked = shell.json("check")
    assert checked["ok"]
    assert checked["warnings"] == []
    assert "too-many-errors" in checked["runbooks"]


def test_the_starting_policy_is_three_people_and_two_services() -> None:
    policy = load_policy(starter(), "firedoor.yaml", lookup=lambda _: None)

    assert list(policy.people) == ["ada", "ben", "cy"]
    assert list(policy.services) == ["shop", "accounts"]
    assert policy.teams["default"].roles["oncall"] == ("ada", "ben")


def test_every_example_line_of_it_may_be_used_as_it_stands() -> None:
    uncommented = re.sub(r"^#(?! \S|$)", "", starter(), flags=re.MULTILINE)
    assert uncommented.count("\n#") < starter().count("\n#")

    policy = load_policy(uncommented, "firedoor.yaml", lookup=lambda _: "set")

    shipped = load_policy(None, "", lookup=lambda _: None)
    assert policy.severity_map == shipped.severity_map, "the file says that this is what ships"
    assert policy.open == shipped.open
    assert policy.channels["pager"].fallback == "email"


def test_init_replaces_nothing_unless_told(shell: Shell) -> None:  # noqa: F811
    mine = shell.folder / "firedoor.yaml"
    mine.write_text("version: 1\n")
    (shell.folder / "runbooks").mkdir()

    said = shell("init", code=1).stderr

    assert "firedoor.yaml exists already. Nothing was written." in said
    assert mine.read_text() == "version: 1\n"
    told = shell("init", "--force").stdout
    assert "kept runbooks as it was" in told
    assert mine.read_text() == starter()
    assert list((shell.folder / "runbooks").iterdir()) == []


def test_init_writes_into_a_folder_or_to_a_path(shell: Shell) -> None:  # noqa: F811
    (shell.folder / "shop").mkdir()

    assert shell.json("init", "shop")["written"][0] == str(Path("shop/firedoor.yaml"))
    assert "kept runbooks" not in shell("init", "mine.yaml").stdout
    assert "its folder is not there" in shell("init", "nowhere/firedoor.yaml", code=1).stderr


def starter() -> str:
    return (STARTER / "firedoor.yaml").read_text(encoding="utf-8")


# --- the warnings of check ---


def runbook(title: str, *when: str, example: dict[str, str], more: str = "") -> str:
    return f"""---
title: {title}
owner: default
severity: P2
when: {json.dumps(list(when))}
examples: {{match: [{{labels: {json.dumps(example)}}}]}}
steps: [{{phase: diagnose, text: Look.}}]
escalation: [{{after: 5m, page: oncall}}]
{more}---
# {title}
## Meaning
## Impact
## First five minutes
## Containment
## When it is over
## Escalation
"""


def warnings(shell: Shell) -> list[str]:  # noqa: F811
    found: list[str] = shell.json("check")["warnings"]
    return found


def test_check_warns_of_two_runbooks_for_one_example(shell: Shell) -> None:  # noqa: F811
    folder = shell.folder / "runbooks"
    folder.mkdir()
    example = {"alertname": "DiskFull", "env": "prod"}
    (folder / "disk.md").write_text(runbook("Disk", 'alertname="DiskFull"', 'env="prod"', example=example))
    (folder / "any-prod.md").write_text(
        runbook(
            "Production", 'env="prod"', example={"alertname": "Other", "env": "prod"}, more="reviewed: 2026-11-01\n"
        )
    )

    told = warnings(shell)

    assert any("disk.md:1: “any-prod” matches `examples.match[0]` too; “disk” opens it (2 cond" in one for one in told)
    assert sum("too; “" in one for one in told) == 1
    assert any("disk.md:1: It was never reviewed." in one for one in told)


def test_check_warns_of_a_service_without_a_runbook(shell: Shell) -> None:  # noqa: F811
    shell("init")
    policy = shell.folder / "firedoor.yaml"
    policy.write_text(policy.read_text().replace("  accounts:\n", "  mail: {name: Mail}\n  accounts:\n", 1))

    assert any(one.startswith("the service mail has no armed runbook") for one in warnings(shell))
    assert "warning: the service mail has no armed runbook" in shell("check").stdout


@pytest.fixture
def beside(desk: Desk, shell: Shell) -> Shell:  # noqa: F811
    """A shell whose `check` looks into the desk's database."""
    settings: Any = desk.house.settings
    shell.environ |= {"FIREDOOR_DATABASE_URL": settings.database_url, "FIREDOOR_POLICY": str(settings.policy_path)}
    return shell


def test_check_lists_severities_that_were_seen_and_are_mapped_nowhere(desk: Desk, beside: Shell) -> None:
    for name in ("One", "Two"):
        desk.alertmanager_says(labels={"alertname": name, "severity": "sev2"})
    desk.alertmanager_says(labels={"alertname": "Bare"})
    desk.alertmanager_says(labels={"alertname": "Known", "severity": "warning"})
    desk.alertmanager_says(labels={"alertname": "Quiet", "severity": "info"})

    told = [one for one in warnings(beside) if "mapped nowhere" in one or "maps nowhere" in one]

    assert len(told) == 2
    assert told[0].startswith("2 alerts of alertmanager say the severity “sev2”")
    assert told[1].startswith("1 alert of alertmanager says no severity")

    path = desk.house.settings.policy_path
    assert path is not None
    path.write_text(path.read_text() + 'severity_map: [{when: ["severity=sev2"], severity: P3}]\n')
    assert not any("sev2" in one for one in warnings(beside)), "what is mapped now is not listed any more"
