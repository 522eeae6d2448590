"""The larger things that the command line shows on 80 columns: an incident, a simulation, the findings of `check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from firedoor.screen import moment, plain, say, table
from incidents.lanes import OWN_WAYS
from webhooks.sources import Looked

WAYS = {"link": "by the link sent to {}", "slack": "in Slack", "pagerduty": "in PagerDuty"}


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
            ("Who has it", holder(facts)),
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
    if facts.get("delivery"):
        say(f"Nobody could read it. See what came: firedoor inbox {facts['delivery']}")
    _print_rows("Steps", ("n", "phase", "state", "text"), [_step(one) for one in facts["steps"]])
    _print_rows(
        "Who must hear",
        ("audience", "by", "state", "people"),
        [
            (one["label"], moment(one["due_at"]), one["state"], ", ".join(person["name"] for person in one["people"]))
            for one in facts["hearing"]
        ],
    )
    _print_rows("What falls due", ("at", "what"), [(moment(one["due_at"]), owed(one)) for one in facts["deadlines"]])
    _print_rows(
        "Alerts", ("id", "status", "title"), [(one["id"], one["status"], one["title"]) for one in facts["alerts"]]
    )


def print_delivery(facts: Mapping[str, Any]) -> None:
    """One delivery: whence, when, what became of it; then what came, its lines as they are."""
    tries = f"{facts['attempts']} time{'' if facts['attempts'] == 1 else 's'}"
    rows = [
        ("Delivery", facts["id"]),
        ("From", facts["source"]),
        ("Received", moment(facts["received_at"])),
        ("State", facts["state"]),
        ("Why", facts["why"]),
        ("Tried", tries),
        ("Size", f"{facts['bytes']:,} bytes"),
    ]
    table(("", ""), [row for row in rows if row[1]])
    say()
    click.echo(plain(facts["body"]) or "Its body is empty.")  # never wrapped: it is looked at for what exactly came
    say()
    if facts["cut"]:
        say("Only the first 16 KiB are shown. The rest is kept, and taking it in reads all of it.")
    if facts["laid_out"]:
        say("It is JSON, laid out for reading: the line breaks are ours, all else is as it came.")
    if facts["escaped"]:
        say(f"{facts['escaped']:,} of its bytes or characters can't be shown and are written as escapes:")
        say("  \\xff is a byte, \\u202e a character.")
    if facts["can_replay"]:
        say(f"Mend what the reason names, then take it in once more: firedoor replay {facts['id']}")


def said(entry: Mapping[str, Any]) -> str:
    """An entry of the timeline; what was pressed outside of Firedoor says by which link or app."""
    return f"{entry['text']}{_way(entry['source'], entry['actor'])}"


def holder(facts: Mapping[str, Any]) -> str:
    """Who has it, and by which link or app where nothing else proves it."""
    who = facts["header"]["who_has_it"]
    return f"{who}{_way(facts['header']['taken_via'], facts['taken_by']['name'])}" if who else "nobody"


def _way(source: str, person: str) -> str:
    if not source or source in OWN_WAYS:
        return ""
    return f" ({WAYS.get(source, f'by the receipt of {source}').format(person)})"


def owed(one: Mapping[str, Any]) -> str:
    """What happens by itself; what should have happened by now says so."""
    return f"{one['what']} (overdue)" if one["overdue"] else str(one["what"])


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
