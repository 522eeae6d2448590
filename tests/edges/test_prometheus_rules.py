"""The rules that ship, tested by Prometheus' own promtool; and every metric that they name is in /metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from firedoor.greeting import RULES, greeting, second_receiver
from firedoor.settings import Settings
from tests.fixtures.desk import Desk

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is missing: apt-get install -y --no-install-recommends prometheus"
)

WELL = {
    'up{job="firedoor"}': "1x40",
    "firedoor_database_up": "1x40",
    'firedoor_part_age_seconds{kind="clock"}': "1x40",
    'firedoor_counter_total{name="page.failed"}': "0x40",
    'firedoor_promises_overdue_oldest_seconds{lane="page"}': "0x40",
    "firedoor_pages_unsent_oldest_seconds": "0x40",
    "firedoor_canary_age_seconds": "100x40",
}
CASES = {
    "nothing is wrong": ({}, []),
    "the machine is gone": ({'up{job="firedoor"}': "0x40"}, ["FiredoorDown"]),
    "the clock stands still": (
        {'firedoor_part_age_seconds{kind="clock"}': "1 16 31 46 61 76 91 106 121 136x30"},
        ["FiredoorClockStalled"],
    ),
    "there is no clock": ({'firedoor_part_age_seconds{kind="clock"}': "_x40"}, ["FiredoorClockStalled"]),
    "a page failed for good": ({'firedoor_counter_total{name="page.failed"}': "0 0 1x38"}, ["FiredoorPagesFailing"]),
    "pages wait": ({'firedoor_promises_overdue_oldest_seconds{lane="page"}': "70x40"}, ["FiredoorPagesFailing"]),
    "a provider takes no page": (
        {"firedoor_pages_unsent_oldest_seconds": "0 130 145 0 175 190x35"},
        ["FiredoorPagesFailing"],
    ),
    "the database is down": (
        {
            "firedoor_database_up": "0x40",
            'firedoor_part_age_seconds{kind="clock"}': "_x40",
            'firedoor_promises_overdue_oldest_seconds{lane="page"}': "_x40",
            "firedoor_pages_unsent_oldest_seconds": "_x40",
            "firedoor_canary_age_seconds": "_x40",
        },
        ["FiredoorDatabaseDown"],
    ),
    "no canary left": ({"firedoor_canary_age_seconds": "610x40"}, ["FiredoorPagesFailing"]),
}


@needs_promtool
def test_each_rule_fires_within_two_minutes_and_alone(tmp_path: Path) -> None:
    tests = [case(name, changed, alarms) for name, (changed, alarms) in CASES.items()]
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": tests}
    (tmp_path / "test.yml").write_text(json.dumps(whole))  # JSON is YAML

    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def case(name: str, changed: dict[str, str], alarms: list[str]) -> dict[str, Any]:
    """Every series as it is when all is well, but for those that changed; after two minutes these alarms fire."""
    return {
        "name": name,
        "interval": "15s",
        "input_series": [{"series": one, "values": values} for one, values in {**WELL, **changed}.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "2m",
                "exp_samples": [{"labels": f'{{alertname="{alarm}"}}', "value": 1} for alarm in alarms],
            }
        ],
    }


def test_every_metric_of_the_rules_is_in_metrics(desk: Desk) -> None:
    named = set(re.findall(r"\bfiredoor_[a-z_]+", re.sub(r"#.*", "", RULES.read_text())))

    told = desk.client.get("/metrics").get_data(as_text=True)

    rare = {"firedoor_canary_age_seconds", "firedoor_part_age_seconds"}  # of a clock that runs; see test_silent_death
    assert {name for name in named if f"\n{name}" not in told} <= rare
    assert 'firedoor_counter_total{name="page.failed"} 0' in told


def test_up_prints_a_second_receiver_that_does_not_pass_through_firedoor_and_the_rules(desk: Desk) -> None:
    settings = Settings.from_env({**desk.house.settings.environ, "FIREDOOR_MAIL_TO": "ada@example.com"})

    told = greeting(settings, desk.house.book(), sign_in="x")

    assert "receiver: beside-firedoor" in told
    assert "to: ada@example.com" in told
    for rule in ("FiredoorDown", "FiredoorClockStalled", "FiredoorDatabaseDown", "FiredoorPagesFailing"):
        assert f"alert: {rule}" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("smtp://ada:s3cret@mail.example.com:2525", ["smarthost: 'mail.example.com:2525'", "auth_username: ada"]),
        ("smtp://localhost:25", ["smarthost: 'localhost:25'", "require_tls: false"]),
        ("smtp://mail.example.com", ["smarthost: 'mail.example.com:25'"]),
        ("smtp://ada:s3cret@mail.example.com", ["smarthost: 'mail.example.com:25'", "auth_username: ada"]),
        ("smtp://mail.example.com?starttls=yes", ["smarthost: 'mail.example.com:587'"]),
        ("smtps://mail.example.com", ["smarthost: 'mail.example.com:465'"]),
        ("smtp://[2001:db8::25]:2525", ["smarthost: '[2001:db8::25]:2525'"]),
    ],
)
def test_the_second_receiver_is_printed_for_the_mail_server_without_its_password(url: str, told: list[str]) -> None:
    printed = second_receiver(Settings.from_env({"FIREDOOR_SMTP_URL": url, "FIREDOOR_MAIL_TO": "ada@example.com"}))

    assert all(f"\n          {line}\n" in printed for line in told)
    assert "s3cret" not in printed
