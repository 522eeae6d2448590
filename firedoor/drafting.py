"""`firedoor import rules`: a runbook for each alerting rule, as a draft: it opens nothing until a person ends it."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from firedoor.alertrules import AlertRule, NotRules, is_template, read_rules
from firedoor.settings import PACKAGE_RUNBOOKS
from firedoor.starting import CHECKLIST
from incidents.alerts import clean_line, clean_text, web_link
from incidents.conditions import Facts
from incidents.policy import Policy

LONGEST_NAME = 80
SOURCE = "alertmanager"


@dataclass
class Drafted:
    """What was written, what was there already and stays, and the files that could not be read, with the reason."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)


def draft_rules(files: Sequence[Path], folder: Path, *, policy: Policy) -> Drafted:
    """A draft for each alerting rule of the files. What is in the folder already is never overwritten."""
    drafted = Drafted()
    rules: list[AlertRule] = []
    for path in files:
        try:
            rules += read_rules(path)
        except NotRules as why:
            drafted.unread.append((path, str(why)))
    if rules and not folder.exists():
        folder.mkdir(parents=True)
        _write(folder / CHECKLIST, (PACKAGE_RUNBOOKS / CHECKLIST).read_text(encoding="utf-8"), drafted)
    for name, rule in named(rules):
        _write(folder / f"{name}.md", runbook_of(rule, policy), drafted)
    return drafted


def _write(path: Path, text: str, drafted: Drafted) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        drafted.kept.append(path)
    else:
        drafted.written.append(path)


def named(rules: Sequence[AlertRule]) -> list[tuple[str, AlertRule]]:
    """A file name for each rule, the same at every run: its alert's, with the severity where several share it."""
    rules = list({_identity(rule): rule for rule in rules}.values())
    shared = Counter(_kebab(rule.name) for rule in rules)
    found: dict[str, AlertRule] = {}
    for rule in rules:
        base = _kebab(rule.name)
        severity = _kebab(rule.fixed.get("severity", ""), "")
        name = f"{base}-{severity}" if shared[base] > 1 and severity else base
        n = 2
        unique = name
        while unique in found:
            unique, n = f"{name}-{n}", n + 1
        found[unique] = rule
    return list(found.items())


def _identity(rule: AlertRule) -> tuple[str, str, str]:
    """The same rule in two files is one: a repository often holds it beside what is rendered from it."""
    return rule.name, rule.expression, json.dumps(dict(rule.labels), sort_keys=True)


def _kebab(text: str, empty: str = "alert") -> str:
    """`KubePodCrashLooping` → `kube-pod-crash-looping`, and nothing that a file system could stumble over."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    split = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3-\2\4", plain)
    name = re.sub(r"[^a-z0-9]+", "-", split.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    return name + "-alert" if name == "readme" else name or empty


# --- one draft --------------------------------------------------------------------------------------------------------

LEVERS = """levers:
  - lever: flag_off
    verdict: if
    if: the broken behaviour is behind a feature flag
    expect: The symptom is gone within 5 minutes.
  - lever: roll_back_deploy
    verdict: if
    if: something was deployed shortly before it began
    expect: The symptom is gone within 5 minutes of the last good version serving.
  - lever: correct_data
    verdict: skip
    reason: Data is never corrected before the harm is contained.
"""
UNTIL_FINISHED = """draft: true                             # it opens nothing; finish it, then take this line away
"""


def runbook_of(rule: AlertRule, policy: Policy) -> str:
    """The runbook's text: the machine's part from the rule, the person's part from its annotations."""
    facts = Facts(source=SOURCE, labels={"alertname": rule.name, **rule.fixed})
    return "\n".join([*_front(rule, facts, policy), *_body(rule)]) + "\n"


def _front(rule: AlertRule, facts: Facts, policy: Policy) -> list[str]:
    service = policy.service_of(facts)
    severity = policy.mapped_severity(facts)
    labels = rule.labels.get("severity", "")
    lines = ["---", f"title: {_quoted(_title(rule))}", f"owner: {_quoted(policy.team_of(service).team)}"]
    lines += [f"service: {_quoted(service)}"] if service in policy.services else []
    lines += (
        [f"severity: {severity}"]
        if severity
        else [f"# severity: P3                          # {_unmapped(labels)}: without one it opens nothing"]
    )
    lines += [f"category: {_quoted(rule.group)}"] if rule.group else []
    lines += ["when:                                   # all must hold"]
    lines += [f"  - {_quoted(_condition(name, value))}" for name, value in facts.labels.items()]
    lines += ["examples:", "  match:", f"    - labels: {json.dumps(dict(facts.labels), ensure_ascii=False)}"]
    lines += [LEVERS.rstrip("\n"), "steps:", *_steps(rule), "escalation:", *_escalation(severity, policy)]
    return [*lines, UNTIL_FINISHED.rstrip("\n"), "---"]


def _title(rule: AlertRule) -> str:
    summary = clean_line(rule.said("summary"), 120)
    return summary.rstrip(".") if summary and not is_template(summary) else clean_line(rule.name)


def _unmapped(severity: str) -> str:
    shown = clean_line(severity, 60)
    return f"the rule says “{shown}”, which `severity_map` maps nowhere" if shown else "the rule names no severity"


def _condition(name: str, value: str) -> str:
    """As the reader of conditions wants it: odd names in quotes, and `value` and `source` told apart from its own."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    written = name if plain else _in_quotes(name)
    return f"{'label:' if name in ('value', 'source') else ''}{written}={_in_quotes(value)}"


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _steps(rule: AlertRule) -> list[str]:
    expression = rule.expression if "#" in rule.expression else " ".join(rule.expression.split())
    lines = ["  - phase: confirm", "    text: Is it still true? Ask Prometheus what the rule asks."]
    if expression:
        command = f'promtool query instant "$PROMETHEUS_URL" {shlex.quote(expression)}'
        lines += [f"    command: {_quoted(command)}"]
    lines += ["    expect: A line for each thing that is affected. No line means that it is over.", "    timeout: 2m"]
    if url := web_link(rule.said("runbook_url")):
        lines += ["  - phase: diagnose", f"    text: {_quoted(f'Read the runbook of the alert rule: {url}')}"]
    return [*lines, "  - phase: verify", "    text: Watch it with every lever undone.",
            "    expect: The alert has not fired for 15 minutes."]  # fmt: skip


def _escalation(severity: str | None, policy: Policy) -> list[str]:
    path = policy.escalation.paths.get(severity or "", ())
    steps = [
        f"  - {{after: {_short(step.after)}, page: {step.page}{', everyone: true' if step.everyone else ''}}}"
        for step in path
    ]
    return steps or ["  - {after: 30m, page: oncall}"]


def _short(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _quoted(text: str) -> str:
    """One line of YAML: JSON's strings are YAML's, and no value of a rule can end its line."""
    return json.dumps(clean_text(text, 8000), ensure_ascii=False)


def _body(rule: AlertRule) -> list[str]:
    url = web_link(rule.said("runbook_url"))
    lasts = f" for {rule.lasts}" if rule.lasts else ""
    first = [f"1. Read the runbook of the alert rule: <{url}>" if url else "1. Ask Prometheus what the rule asks."]
    return [
        f"# {clean_line(_title(rule))}",
        "",
        "## Meaning",
        _prose(rule.said("description", "message", "summary")) or f"The alert {clean_line(rule.name)} fires.",
        "",
        f"It fires when this holds{lasts}:",
        "",
        *(f"    {line}" for line in clean_text(rule.expression or "(the rule has no expression)").splitlines()),
        "",
        "## Impact",
        _prose(rule.said("impact", "customer_impact")) or "Not written yet: who is affected, and how?",
        "",
        "## First five minutes",
        *first,
        "2. Not written yet: what do you do first, so that the harm stops?",
        "",
        "## Containment",
        "Not written yet: which lever to pull, which to leave alone, and what you should see.",
        "",
        "## When it is over",
        "The alert has not fired for 15 minutes with every lever undone. Then stand down.",
        "",
        "## Escalation",
        "As the front matter says. Not written yet: when to escalate by hand at once.",
        *_others(rule),
    ]


def _prose(text: str) -> str:
    """A rule's own words; what looks like a heading of ours is not one."""
    return re.sub(r"^(\s*)#", r"\1\\#", clean_text(text), flags=re.MULTILINE)


def _others(rule: AlertRule) -> list[str]:
    """What else the rule says, kept as it is."""
    known = ("description", "message", "summary", "impact", "customer_impact")
    left = {name: text for name, text in rule.annotations.items() if name not in known and text}
    left = {name: text for name, text in left.items() if name != "runbook_url" or not web_link(text)}
    filled = {name: text for name, text in rule.labels.items() if text and name not in rule.fixed}
    if not left and not filled:
        return []
    told = [f"- annotation {clean_line(name)}: {clean_line(text, 500)}" for name, text in left.items()]
    told += [
        f"- label {clean_line(name)}, which is no matcher: {clean_line(text, 500)}" for name, text in filled.items()
    ]
    return ["", "## From the alert rule", *told]
