"""Any JSON by a mapping of the policy: what it reads, what it misses, and which of its faults a person is told of."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given

from firedoor.cli import main
from incidents.alerts import Alert
from incidents.errors import FaultsFound, MalformedPayload
from incidents.mapping import Mapping
from incidents.policy import load_policy
from tests.fixtures.anything import VALUE, assert_storable, tried
from tests.fixtures.desk import CAST, OpenDesk
from webhooks.sources import SOURCES

CHECKS = {
    "each": "$.checks",
    "title": ["$.summary", "$.name"],
    "fingerprint": "$['host','name']",
    "status": "$.state",
    "resolved": ["fine"],
    "severity": "$.level",
    "severities": {"sev1": "critical"},
    "labels": {"service": "$.tags[?@[0]=='service'][1]", "team": "shop"},
    "labels_from": "$.tags",
    "annotations": {"runbook_url": "$.help"},
    "starts_at": "$.since",
    "ends_at": "$.until",
    "link": "$.url",
    "value": "$.measured",
}
CHECK = {
    "host": "web-3",
    "name": "disk",
    "state": "broken",
    "level": "sev1",
    "tags": [["service", "till"], ["env", "prod"]],
    "since": "2026-11-21T14:00:00+01:00",
    "until": "2026-11-21T15:00:00+01:00",
    "url": "https://checks.example.com/7",
    "help": "https://wiki.example.com/disk",
    "measured": 97,
}


def parse(body: Any, mapping: dict[str, Any] | None = None) -> list[Alert]:
    source = SOURCES["generic"].mapped_by(None if mapping is None else Mapping.model_validate(mapping))
    return source.parse("lab", body if isinstance(body, bytes) else json.dumps(body).encode(), {})


def one(mapping: dict[str, Any] | None = None, **changes: Any) -> Alert:
    (alert,) = parse({"checks": [{**CHECK, **changes}]}, {**CHECKS, **(mapping or {})})
    return alert


def test_every_field_is_read_from_where_the_mapping_says() -> None:
    alert = one()

    assert alert == Alert(
        source="lab",
        fingerprint="web-3, disk",
        status="firing",
        labels={"service": "till", "env": "prod", "team": "shop", "severity": "critical"},
        annotations={"runbook_url": "https://wiki.example.com/disk"},
        title="disk",
        value=97.0,
        starts_at=datetime(2026, 11, 21, 13, tzinfo=UTC),
        link="https://checks.example.com/7",
    )


def test_the_first_path_that_finds_something_counts() -> None:
    assert one(summary="Disk is full").title == "Disk is full"
    assert one(summary="", name="disk").title == "disk"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("fine", "resolved"),
        (" FINE ", "resolved"),
        ("broken", "firing"),
        ("", "firing"),
        (None, "firing"),
        (7, "firing"),
    ],
)
def test_only_a_value_that_means_resolved_resolves(state: Any, status: str) -> None:
    alert = one(state=state)

    assert alert.status == status
    assert (alert.ends_at is None) is (status == "firing")


def test_without_a_status_it_fires() -> None:
    assert one({"status": []}, state="fine").status == "firing"


@pytest.mark.parametrize(
    ("level", "severity"), [("sev1", "critical"), ("warning", "warning"), (3, "3"), (None, None), ("", None)]
)
def test_severity_is_a_label_in_our_words(level: Any, severity: str | None) -> None:
    assert one(level=level).labels.get("severity") == severity


@pytest.mark.parametrize(
    "tags",
    [
        {"env": "prod", "shard": 3},
        [["env", "prod"], ["shard", 3], ["odd"], "odd", 4, [4, "four"]],
        [{"name": "env", "value": "prod"}, {"key": "shard", "value": 3}, {}],
        "env:prod, shard:3, odd",
        ["env:prod", "shard:3"],
    ],
    ids=["object", "pairs", "names_and_values", "text", "texts"],
)
def test_many_labels_come_in_the_shapes_that_senders_have(tags: Any) -> None:
    labels = one({"labels": {}}, tags=tags).labels

    assert labels == {"env": "prod", "shard": "3", "severity": "critical"}


@pytest.mark.parametrize("since", ["2026-11-21T13:00:00Z", 1795266000, "1795266000", 1795266000000, "1795266000000"])
def test_a_time_is_text_or_seconds_or_milliseconds(since: Any) -> None:
    assert one(since=since).starts_at == datetime(2026, 11, 21, 13, tzinfo=UTC)


@pytest.mark.parametrize("since", ["yesterday", 0, -5, 10**40, 9e307, True, [], {"at": 5}])
def test_what_is_no_time_is_left_out(since: Any) -> None:
    assert one(since=since).starts_at is None


def test_a_fingerprint_of_any_text_becomes_a_key() -> None:
    odd = one(host="büro\u0000", name="x" * 500).fingerprint

    assert len(odd) == 32
    assert odd == one(host="büro\u0000", name="x" * 500).fingerprint != one(host="büro", name="x" * 500).fingerprint


@pytest.mark.parametrize(
    ("each", "body"),
    [
        ([], CHECK),
        ([], [CHECK]),
        ("$.checks", {"checks": [CHECK]}),
        ("$.checks[*]", {"checks": [CHECK]}),
        ("$.checks", {"checks": CHECK}),
        ("$", [CHECK]),
        ("$.a[*].checks", {"a": [{"checks": []}, {"checks": [CHECK]}, {}]}),
        (["$.absent", "$.checks"], {"checks": [CHECK]}),
    ],
)
def test_a_body_may_be_one_alert_or_a_list_or_have_a_list_somewhere(each: Any, body: Any) -> None:
    assert [alert.title for alert in parse(body, {**CHECKS, "each": each})] == ["disk"]


def test_an_empty_list_has_no_alerts() -> None:
    assert parse({"checks": []}, CHECKS) == parse([], {**CHECKS, "each": []}) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"checks": [{"host": "web-3"}]}, r"`title` finds nothing at `\$.summary` or `\$.name`"),
        ({"checks": [{"summary": "x"}]}, r"`fingerprint` finds nothing at `\$\['host','name'\]`"),
        ({"other": []}, r"`each` finds no alerts at `\$.checks`"),
        ({"checks": ["disk"]}, "`title` finds nothing"),
        (b"{", "not JSON"),
    ],
)
def test_a_body_that_lacks_what_must_be_there_is_refused_with_the_path(body: Any, said: str) -> None:
    with pytest.raises(MalformedPayload, match=said):
        parse(body, CHECKS)


def test_without_a_mapping_our_own_names_are_read() -> None:
    body = {"title": "Backup failed", "severity": "critical", "service": "till", "labels": {"env": "prod"}}
    (fired,), (ended,) = parse(body), parse([{**body, "status": "resolved"}])

    assert fired.title == "Backup failed"
    assert fired.labels == {"severity": "critical", "service": "till", "env": "prod"}
    assert (fired.status, ended.status) == ("firing", "resolved")
    assert fired.fingerprint == ended.fingerprint


@pytest.mark.parametrize("text", ["[", '{"title": "t", "fingerprint": "f"}'])
def test_a_text_is_never_read_as_json_once_more(text: str) -> None:
    with pytest.raises(MalformedPayload, match="`title` finds nothing"):
        parse(text)
    with pytest.raises(MalformedPayload, match="`each` finds no alerts"):
        parse(text, {**CHECKS, "each": "$.title"})


@tried(100, share=50)
@given(VALUE, VALUE)
def test_any_json_becomes_alerts_that_can_be_stored_or_is_refused(value: Any, other: Any) -> None:
    anything = {"checks": [{name: value if len(name) % 2 else other for name in CHECK}, value]}
    for body, mapping in ((value, None), (anything, CHECKS), (value, {"title": "t", "fingerprint": "$..*"})):
        with suppress(MalformedPayload):
            for alert in parse(body, mapping):
                assert_storable(alert)


# --- the policy ---


def faults_of(mapping: str) -> list[str]:
    with pytest.raises(FaultsFound) as found:
        load_policy(f"sources:\n  lab:\n    kind: generic\n    mapping:\n{mapping}", "p.yaml", lookup=lambda _: "")
    return [str(fault) for fault in found.value.faults]


@pytest.mark.parametrize(
    ("written", "line", "said"),
    [
        ("title: $.a[", 5, "`sources.lab.mapping.title`: `$.a[` is no JSON path"),
        ("title: [$.a, $.b c]", 5, "`$.b c` is no JSON path"),
        ("title: {a: b}", 5, "a map is no path"),
        ("labels: {x: '$[?nope(@.a)]'}", 5, "function 'nope' is not defined"),
        ("titel: $.a", 5, "did you mean `title`?"),
        ("resolved: ok", 5, "must be a list"),
    ],
)
def test_a_fault_of_a_mapping_is_a_fault_of_the_policy_with_its_line(written: str, line: int, said: str) -> None:
    needed = "".join(f"      {name}: $.{name}\n" for name in ("title", "fingerprint") if not written.startswith(name))
    faults = faults_of(f"      {written}\n{needed}")

    assert [fault for fault in faults if fault.startswith(f"p.yaml:{line}:") and said in fault], faults


def test_what_a_mapping_needs_is_asked_for() -> None:
    faults = faults_of("      severity: high\n")

    assert [name for name in ("title", "fingerprint") if f"`sources.lab.mapping.{name}` is missing" in str(faults)] == [
        "title",
        "fingerprint",
    ]


def test_only_generic_takes_a_mapping() -> None:
    with pytest.raises(FaultsFound, match="is read without a mapping of yours"):
        load_policy(
            "sources:\n  lab: {kind: datadog, mapping: {title: a, fingerprint: b}}\n", "p.yaml", lookup=lambda _: ""
        )


# --- through the door, and on the screen ---


POLICY = """
sources:
  generic:
    kind: generic
    secret: {file: SECRET_FILE}
    mapping: {title: $.what, fingerprint: $.what, status: $.state, severity: $.level, labels: {service: $.on}}
"""


def test_a_mapped_delivery_opens_and_one_that_misses_its_title_is_told_with_the_path(
    open_desk: OpenDesk, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-token-of-the-lab-that-is-long-enough")
    desk = open_desk(more=POLICY.replace("SECRET_FILE", str(tmp_path / "token")))
    headers = {"Authorization": "Bearer a-token-of-the-lab-that-is-long-enough"}

    for body in ({"what": "Tills are offline", "level": "critical", "on": "till"}, {"level": "critical"}):
        assert desk.client.post("/hooks/generic", json=body, headers=headers).status_code == 202
    desk.settle()

    assert [one["severity"] for one in desk.incidents() if one["service"] == "till"] == ["P1"]
    (unreadable,) = [one for one in desk.incidents() if one["service"] != "till"]
    assert "`title` finds nothing at `$.what`" in str(desk.incident(unreadable["id"])) + str(
        desk.timeline(unreadable["id"])
    )
    desk.news()


@pytest.fixture
def simulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "firedoor.yaml").write_text(CAST + POLICY.replace("SECRET_FILE", "nowhere"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIREDOOR_HOME", str(tmp_path / "home"))

    def run(body: Any, *options: str, code: int = 0) -> str:
        (tmp_path / "body.json").write_text(json.dumps(body))
        done = CliRunner().invoke(main, ["simulate", "--source", "generic", "body.json", *options])
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_simulate_shows_the_mapping_at_work(simulate: Any) -> None:
    told = simulate({"what": "Tills are offline", "level": "critical"})

    assert "$.what" in told
    assert told.index("Tills are offline") < told.index("Decided")
    fields = json.loads(simulate({"what": "Tills are offline"}, "--json"))["mapping"]
    assert fields[0][0] == {"field": "title", "path": "$.what", "found": "Tills are offline"}
    assert {"field": "labels.service", "path": "$.on", "found": None} in fields[0]


def test_simulate_names_the_path_that_finds_nothing(simulate: Any) -> None:
    told = simulate({"state": "ok"}, code=1)

    assert "nothing" in told
    assert "`title` finds nothing at `$.what`" in told
