"""The larger things that the command line shows on 80 columns: an incident, a simulation, the findings of `check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firedoor.screen import moment, say, table
from webhooks.sources import Looked


def print_incident(facts: Mapping[str, Any]) -> None:
    """The five questions, the next action, the steps, and who must hear by when."""
    head, following = facts["header"], facts.get("next")
    say(f"{facts['id']}  {facts['severity']} {facts['severity_label']}  {facts['status_label']}")
    say(facts["title"])
    say()
    knows = ", ".join(head["who_knows"]) or "nobody yet"
    table(
        ("", ""),
        [
            ("What broke", head["what"]),
            ("Customers", head["customers"] or "nobody has said yet"),
            ("Who has it", head["who_has_it"] or "nobody"),
            ("Since", moment(head["since"])),
            ("Who knows", knows),
        ],
    )
    if following:
        say()
        say(f"Next: {following['action']}  ({following['why']})")
    for offer in facts.get("offers", ()):
        say(f"Offered to {offer['person']['name']}: to be {offer['label']} (by {offer['by']})")
    for warning in facts.get("warnings", ()):
        say(f"Note: {warning}")
    if facts.get("part_of"):
        waits = "it waits for that one" if facts["part_of"]["waits"] else "it waits for nothing"
        say(f"Probably part of {facts['part_of']['id']}: {facts['part_of']['title']} ({waits}; merge or separate them)")
    if facts.get("merged_into"):
        say(f"Merged: it goes on as {facts['merged_into']}.")
    if facts.get("proposal"):
        say(f"Proposed for `open` in the policy: {facts['proposal']}")
    if facts.get("needs_human"):
        say(f"Needs a human: {facts['needs_human']}")
    _print_rows("Steps", ("n", "phase", "state", "text"), [_step(one) for one in facts["steps"]])
    _print_rows(
        "Who must hear",
        ("audience", "by", "state", "people"),
        [
            (one["label"], moment(one["due_at"]), one["state"], ", ".join(person["name"] for person in one["people"]))
            for one in facts["hearing"]
        ],
    )
    _print_rows("What falls due", ("at", "what"), [(moment(one["due_at"]), one["what"]) for one in facts["deadlines"]])
    _print_rows(
        "Alerts", ("id", "status", "title"), [(one["id"], one["status"], one["title"]) for one in facts["alerts"]]
    )


def _step(one: Mapping[str, Any]) -> tuple[object, ...]:
    expected = f"\nexpect: {one['expect']}" if one.get("expect") else ""
    command = f"\n$ {one['command']}" if one.get("command") else ""
    return one["n"], one["phase"], one["state"], f"{one['text']}{command}{expected}"


def print_mapping(alerts: Sequence[Sequence[Looked]]) -> None:
    """The mapping at work: each field, the path that it was looked for at, and what was found there."""
    for n, fields in enumerate(alerts, 1):
        of = f", alert {n} of {len(alerts)}" if len(alerts) > 1 else ""
        rows = [(one.field, one.path, "nothing" if one.found is None else _short(one.found)) for one in fields]
        _print_rows(f"The mapping{of}", ("field", "path", "found"), list(rows))
    if alerts:
        say()


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"


def print_simulation(simulated: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]]) -> None:
    """What one alert would do, runbook by runbook and person by person, and what the page would say."""
    say(f"Alert: {simulated['alert']['title']} ({simulated['alert']['status']})")
    say(f"Decided: {simulated['decision']}{_wait(simulated)}. {simulated['why']}")
    say(f"Severity: {simulated['severity'] or 'none'}   Service: {simulated['service'] or 'none'}")
    team = simulated["team"] + ("" if simulated["claimed"] else " (no team claims the service)")
    say(f"Team: {team}")
    if simulated["mode"] == "shadow":
        say("In shadow: its source, service or team is. All of this would be recorded, and nothing sent.")
    _print_rows(
        "Runbooks",
        ("runbook", "matched", "why"),
        [(one["name"], "yes" if one["matched"] else "no", one["why"]) for one in simulated["runbooks"]],
    )
    _print_rows(
        "Who hears",
        ("when", "how", "who", "channel", "audience, and why"),
        [
            (one["after"], one["kind"], one["name"], one["channel"], f"{', '.join(one['audiences'])}; {one['why']}")
            for one in simulated["hears"]
        ],
    )
    _print_rows(
        "Escalation, until somebody acknowledges",
        ("after", "role", "people"),
        [
            (one["after"], one["role"], ", ".join(one["people"]) or "nobody has this role")
            for one in simulated["escalation"]
        ],
    )
    _print_rows("Steps", ("n", "phase", "text"), [(one["n"], one["phase"], one["text"]) for one in simulated["steps"]])
    for channel, text in texts.items():
        say()
        say(f"The page, by {channel}:")
        say(f"  subject: {text['subject']}")
        say(f"  short:   {text['short']}")
        for line in text["text"].splitlines():
            say(f"  | {line}")


def _wait(simulated: Mapping[str, Any]) -> str:
    return f", pages after {simulated['wait']}" if simulated["wait"] else ""


def _print_rows(title: str, headings: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    if rows:
        say()
        say(f"{title}:")
        table(headings, rows)
