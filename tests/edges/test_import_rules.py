"""`firedoor import rules`: what a team's alerting rules become, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firedoor.alertrules import AlertRule, NotRules, read_rules
from firedoor.drafting import draft_rules, named, runbook_of
from incidents.alerts import clean_line
from incidents.library import facts_of_example
from incidents.policy import load_policy
from incidents.runbooks import Library, Runbook, parse_runbook
from tests.edges.test_cli import Shell, shell  # noqa: F401
from tests.fixtures.desk import CAST, Desk, OpenDesk

POLICY = load_policy(None, "", lookup=lambda _: None)
CLUSTER = """
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: cluster, namespace: monitoring}
spec:
  groups:
  - name: apps
    rules:
    - alert: KubePodCrashLooping
      annotations:
        description: 'Pod {{ $labels.namespace }}/{{ $labels.pod }} waits.'
        runbook_url: https://runbooks.example.com/pod-crash-looping
        summary: Pod is crash looping.
        dashboard: https://graphs.example.com/d/1
      expr: |
        max_over_time(kube_pod_waiting{reason="CrashLoopBackOff"}[5m])
          >= 1
      for: 15m
      labels: {severity: warning}
    - record: pods:sum
      expr: sum(pods)
    - alert: VolumeFillingUp
      expr: free < 0.03
      labels: {severity: critical}
    - alert: VolumeFillingUp
      expr: free < 0.15
      labels: {severity: warning}
"""
PLAIN = """
groups:
  - name: shop
    labels: {team: shop}
    rules:
      - alert: ShopDown
        expr: up == 0
        for: 5m
        labels: {severity: sev1, cell: "{{ $labels.cell }}"}
        annotations: {summary: "{{ $labels.job }} is down", runbook_url: "{{ $wiki }}/down"}
---
groups:
  - name: more
    rules: [{alert: Slow, expr: latency > 1, labels: {severity: critical}}]
"""


def rules_of(text: str, folder: Path) -> list[AlertRule]:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return read_rules(path)


def drafted(rule: AlertRule) -> Runbook:
    return parse_runbook(runbook_of(rule, POLICY), "it")


def test_a_rule_of_a_cluster_becomes_a_draft_with_its_matchers_severity_and_runbook(tmp_path: Path) -> None:
    runbook = drafted(rules_of(CLUSTER, tmp_path)[0])

    assert runbook.faults == ()
    assert runbook.warnings == ()
    assert (runbook.title, runbook.severity, runbook.draft, runbook.armed) == (
        "Pod is crash looping",
        "P3",
        True,
        False,
    )
    assert [str(one) for clause in runbook.when for one in clause] == [
        'alertname="KubePodCrashLooping"',
        'severity="warning"',
    ]
    first, *_, last = runbook.worklist()
    assert 'kube_pod_waiting{reason="CrashLoopBackOff"}[5m]) >= 1' in str(first.command)
    assert last.phase == "verify"
    assert any("https://runbooks.example.com/pod-crash-looping" in step.text for step in runbook.worklist())
    assert "Pod {{ $labels.namespace }}/{{ $labels.pod }} waits." in runbook.body, "a template is kept as text"
    assert "- annotation dashboard: https://graphs.example.com/d/1" in runbook.body
    assert "<https://runbooks.example.com/pod-crash-looping>" in runbook.body


def test_what_a_template_fills_is_no_matcher_and_is_kept_as_text(tmp_path: Path) -> None:
    shop, slow = rules_of(PLAIN, tmp_path)
    runbook = drafted(shop)

    assert runbook.faults == ()
    assert runbook.title == "ShopDown", "a title with a template in it says nothing"
    assert sorted(str(one) for clause in runbook.when for one in clause) == [
        'alertname="ShopDown"',
        'severity="sev1"',
        'team="shop"',
    ]
    assert runbook.severity is None, "sev1 is mapped nowhere"
    assert "“sev1”, which `severity_map` maps nowhere" in runbook_of(shop, POLICY)
    assert "- label cell, which is no matcher: {{ $labels.cell }}" in runbook.body
    assert "- annotation runbook_url: {{ $wiki }}/down" in runbook.body
    assert drafted(slow).severity == "P1"
    assert drafted(slow).escalation[0].page == "tech_lead", "the policy's path of its severity"


def test_alerts_of_one_name_get_files_of_their_own_the_same_at_every_run(tmp_path: Path) -> None:
    rules = rules_of(CLUSTER, tmp_path)

    names = [name for name, _ in named(rules)]

    assert names == ["kube-pod-crash-looping", "volume-filling-up-critical", "volume-filling-up-warning"]
    assert [name for name, _ in named(rules + rules)] == names, "a rule that stands in two files is one"


@pytest.mark.parametrize(
    ("alert", "name"),
    [
        ("HTTPErrorsHigh", "http-errors-high"),
        ("DB Connection Errors", "db-connection-errors"),
        ("../../etc/passwd", "etc-passwd"),
        ("README", "readme-alert"),
        ("Ölstand", "olstand"),
        ("漢字", "alert"),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_file_is_named_as_its_alert(alert: str, name: str) -> None:
    assert named([AlertRule(alert, "", "up == 0")])[0][0] == name


@pytest.mark.parametrize(
    "text",
    [
        "kind: List\nitems:\n  - {kind: PrometheusRule, spec: {groups: [{name: a, rules: [{alert: A, expr: x}]}]}}",
        "kind: ConfigMap\ndata:\n  a.yaml: |\n    groups: [{name: a, rules: [{alert: A, expr: x}]}]\n  other.txt: '{{'",
        '{"groups": [{"name": "a", "rules": [{"alert": "A", "expr": "x", "for": 300, "labels": null}, 3, null]}]}',
        "groups: [{name: a, rules: [{alert: A, expr: x, labels: {severity: off, 5: x, y: [1]}}]}, 7]",
    ],
)
def test_rules_are_found_in_every_wrapping(text: str, tmp_path: Path) -> None:
    [rule] = rules_of(text, tmp_path)

    assert (rule.name, rule.group, rule.expression) == ("A", "a", "x")
    assert drafted(rule).faults == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("groups: [{{ .Values.rules }}", "it is not YAML"),
        ("groups:\n{{- range .rules }}\n  - x\n{{- end }}\n", "helm template"),
        ("groups: []", "no alerting rule"),
        ("- 1\n- 2", "no alerting rule"),
        ("", "no alerting rule"),
        ("a: &a [*a]", "it is not YAML|no alerting rule"),
        ("[" * 5000, "it is not YAML"),
    ],
)
def test_what_holds_no_rules_is_refused_with_the_reason(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotRules, match=why):
        rules_of(text, tmp_path)


words = st.text(max_size=60)
texts = st.dictionaries(words.filter(bool), words, max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    name=words.filter(lambda one: bool(clean_line(one))), group=words, expression=words, labels=texts, annotations=texts
)
def test_whatever_is_in_a_rule_its_draft_is_a_runbook_that_opens_nothing(
    name: str, group: str, expression: str, labels: dict[str, str], annotations: dict[str, str]
) -> None:
    rule = AlertRule(clean_line(name), group, expression, "5m", labels, annotations)

    runbook = drafted(rule)

    assert not runbook.armed
    assert runbook.draft or runbook.faults, "one that can't be read is not armed either"
    if not runbook.faults:
        assert all(runbook.holds(facts_of_example(one)) for one in runbook.examples.match)
        assert Library([runbook]).match(facts_of_example(runbook.examples.match[0])) is None


# --- the command ---


def test_it_says_what_it_wrote_and_never_overwrites(shell: Shell) -> None:  # noqa: F811
    (shell.folder / "rules.yaml").write_text(CLUSTER)

    told = shell("import", "rules", "rules.yaml").stdout

    assert "wrote runbooks/kube-pod-crash-looping.md" in told
    assert "wrote runbooks/containment-checklist.md" in told, "a folder of one's own needs its checklist"
    assert "4 written, 0 kept" in told
    mine = shell.folder / "runbooks" / "kube-pod-crash-looping.md"
    mine.write_text(mine.read_text().replace("draft: true", "draft: false"))
    again = shell.json("import", "rules", "rules.yaml")
    assert again["written"] == []
    assert len(again["kept"]) == 3
    assert "draft: false" in mine.read_text()
    checked = shell.json("check")
    assert checked["ok"]
    assert not any("volume" in one for one in checked["warnings"])


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_drafted(shell: Shell) -> None:  # noqa: F811
    (shell.folder / "rules.yaml").write_text(CLUSTER)
    (shell.folder / "chart.yaml").write_text("groups:\n{{- range .rules }}\n")

    done = shell("import", "rules", "chart.yaml", "rules.yaml", "gone.yaml", "--into", "drafts", code=1)

    assert "chart.yaml: it is not YAML" in done.stderr
    assert "gone.yaml: it can't be read" in done.stderr
    assert (shell.folder / "drafts" / "volume-filling-up-critical.md").exists()


def test_three_hundred_drafts_are_three_lines_of_check(shell: Shell) -> None:  # noqa: F811
    rules = [AlertRule(f"Alert{n}", "", "up == 0", labels={"severity": "warning"}) for n in range(300)]
    folder = shell.folder / "runbooks"
    folder.mkdir()
    for name, rule in named(rules):
        (folder / f"{name}.md").write_text(runbook_of(rule, POLICY))

    told = shell.json("check")

    assert told["ok"]
    assert sum("not armed" in one for one in told["notes"]) == 6
    assert "295 more runbooks are not armed" in told["notes"]


def test_a_draft_never_opens_and_lends_its_steps(open_desk: OpenDesk, tmp_path: Path) -> None:
    rules = rules_of(CLUSTER, tmp_path)
    folder = tmp_path / "runbooks"
    draft_rules([tmp_path / "rules.yaml"], folder, policy=POLICY)
    desk: Desk = open_desk(CAST, runbooks={path.stem: path.read_text() for path in folder.glob("*.md")})

    desk.alertmanager_says(labels={"alertname": "KubePodCrashLooping", **rules[0].fixed})
    assert [one["decision"] for one in desk.alerts()] == ["suggest"]
    assert desk.incidents() == []

    desk.api("POST", f"/alerts/{desk.alerts()[0]['id']}/open", expect=201)
    incident = desk.incident()
    assert (incident["severity"], incident["runbook"]) == ("P3", None)
    assert any("runbooks.example.com" in step["text"] for step in incident["steps"])
    desk.news()
