"""The commands on running incidents, for people: each asks the JSON API and prints its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the API's answer, for programs.")
NOTE = click.option("--note", help="A sentence for the timeline.")
REASON = click.option("--reason", help="Why, in one sentence.")
VERSION = click.option("--version", "version", type=int, help="Only if the incident still has this version.")
INCIDENT = click.argument("incident")


def remote() -> Any:
    from firedoor.remote import Remote
    from firedoor.settings import Settings

    return Remote(Settings.from_env())


def show_answer(answer: dict[str, Any], as_json: bool) -> None:
    """What a verb did: its sentence, and where the incident stands."""
    from firedoor import screen

    if as_json:
        screen.as_json(answer)
        return
    screen.say(answer["said"])
    if "severity" in answer:
        screen.say(f"{answer['id']}  {answer['severity']}  {answer['status_label']}  {answer['title']}")


def verb(name: str, path: str, about: str, *options: Command) -> click.Command:
    """A command that performs one verb on one incident."""

    def perform(incident: str, as_json: bool, **fields: Any) -> None:
        show_answer(remote().post("incidents", incident, path, **fields), as_json)

    command: Command = perform
    for option in (AS_JSON, VERSION, *reversed(options), INCIDENT):
        command = option(command)
    return click.command(name, help=about)(command)


VERBS = (
    verb("ack", "acknowledge", "Acknowledge: you have it, and escalation stops.", NOTE),
    verb("unack", "unacknowledge", "Take an acknowledgement back, within 10 seconds of it.", NOTE),
    verb("seen", "seen", "You have read the page; somebody else has it.", NOTE),
    verb("decline", "decline", "You can't take it: if you were paged, the next person is, at once.", REASON),
    verb("escalate", "escalate", "Page the next step of the escalation path now.", REASON),
    verb("note", "notes", "Write a note into the timeline.", click.argument("text")),
    verb(
        "impact",
        "impact",
        "Answer how bad it is; the answers propose a severity.",
        click.option("--scope", type=click.Choice(["all", "many", "few"]), help="How many are affected."),
        click.option("--workaround", type=click.Choice(["no", "yes"]), help="Whether there is a way around it."),
        click.option("--revenue", type=click.Choice(["yes", "no"]), help="Whether it is on the revenue path."),
        NOTE,
    ),
    verb("contain", "contain", "The harm has stopped.", NOTE),
    verb("resolve", "resolve", "The cause is fixed.", NOTE),
    verb("reopen", "reopen", "It is back: a new round begins.", REASON),
    verb("severity", "severity", "Set the severity.", click.argument("severity"), REASON),
    verb("override", "override", "Diagnose before containment; the reason stays on record.", click.argument("reason")),
    verb("stand-down", "stand-down", "The response is over: people may go, and are told so.", NOTE),
    verb(
        "updates",
        "updates",
        "Send the ready draft to those who are told, or a further update to those who were.",
        click.option("--audience", help="Only this role."),
        click.option("--text", help="Words of your own, in one line at its head."),
    ),
    verb(
        "accept",
        "accept",
        "Accept a hat that is offered to you.",
        click.option("--role", help="commander, communicator, investigator; whichever is offered unless told."),
    ),
    verb("merge", "merge", "Merge it INTO another incident.", click.argument("into"), REASON),
    verb("separate", "separate", "It is no part of another: its own escalation begins now."),
    verb(
        "split",
        "split",
        "Split ALERTS off into an incident of their own.",
        click.argument("alerts", type=int, nargs=-1, required=True),
        REASON,
    ),
    verb(
        "runbook",
        "runbook",
        "Follow another RUNBOOK: the steps not yet done are replaced.",
        click.argument("runbook"),
        REASON,
    ),
    verb(
        "false-alarm",
        "false-alarm",
        "Close what was no incident; the REASON proposes a rule.",
        click.argument("reason"),
    ),
    verb("undo", "undo", "Take back what ENTRY of the timeline tells of.", click.argument("entry", type=int)),
    verb(
        "take",
        "roles",
        "Take a hat, or give it to a person: one that is worn is offered.",
        click.option("--role", default="commander", show_default=True, help="commander, communicator, investigator."),
        click.option("--person", help="A person of the policy; yourself unless told."),
    ),
)


@click.command("step")
@INCIDENT
@click.argument("n", type=int)
@click.argument("outcome", type=click.Choice(["done", "failed", "skipped"]))
@REASON
@VERSION
@AS_JSON
def step(incident: str, n: int, as_json: bool, **fields: Any) -> None:
    """Write down what became of step N."""
    show_answer(remote().post("incidents", incident, "steps", n, **fields), as_json)


@click.command("declare")
@click.argument("title")
@click.option("--severity", required=True, help="P0 to P3, or as the policy has them.")
@click.option("--service", help="A service of the policy.")
@click.option("--summary", help="What is known so far.")
@AS_JSON
def declare(as_json: bool, **fields: Any) -> None:
    """Declare an incident."""
    show_answer(remote().post("incidents", **fields), as_json)


@click.command("open")
@click.argument("alert", type=int)
@click.option("--severity", help="The draft's or the mapping's unless told.")
@AS_JSON
def open_alert(alert: int, as_json: bool, **fields: Any) -> None:
    """Open an incident from a suggested alert."""
    show_answer(remote().post("alerts", alert, "open", **fields), as_json)


@click.command("resume")
@click.option("--reason", required=True, help="What you looked at, in one sentence.")
@AS_JSON
def resume(reason: str, as_json: bool) -> None:
    """End hold mode: an old copy of the database was put back, and you have looked at what is open."""
    show_answer(remote().post("resume", reason=reason), as_json)


@click.command("replay")
@click.argument("delivery", type=int)
@AS_JSON
def replay(delivery: int, as_json: bool) -> None:
    """Take an unreadable delivery of the inbox in once more."""
    show_answer(remote().post("inbox", delivery, "replay"), as_json)


@click.command("inbox")
@click.argument("delivery", type=click.IntRange(min=0), required=False)
@click.option("--limit", type=int, help="How many at most.")
@click.option("--cursor", help="`next` of the list before.")
@AS_JSON
def inbox(delivery: int | None, as_json: bool, **page: Any) -> None:
    """List the deliveries that were not taken in, each with why; or show what came with DELIVERY."""
    from firedoor import screen

    if delivery is not None:
        _show_delivery(delivery, as_json, page)
        return
    found = remote().get("inbox", **page)
    if as_json:
        screen.as_json(found)
        return
    screen.table(
        ("id", "from", "received", "state", "why"),
        [
            (one["id"], one["source"], screen.moment(one["received_at"]), one["state"], one["why"])
            for one in found["items"]
        ],
    )
    say_rest(found, "None: everything that came was taken in.")


def _show_delivery(delivery: int, as_json: bool, page: dict[str, Any]) -> None:
    if any(value is not None for value in page.values()):
        raise click.UsageError("Nothing was asked: --limit and --cursor are for the list, and not for one delivery.")
    from firedoor import screen

    found = remote().get("inbox", delivery)
    if as_json:
        screen.as_json(found)
        return
    from firedoor.sheet import print_delivery

    print_delivery(found)


@click.command("incidents")
@click.option("--status", default="open", show_default=True, help="open, ended, a status, or `all`.")
@click.option("--mode", type=click.Choice(["live", "shadow", "all"]), help="Live ones unless told.")
@click.option("--severity", help="Only this severity.")
@click.option("--service", help="Only this service.")
@click.option("--team", help="Only this team.")
@click.option("-q", "--words", help="Words in the title, or a part of the name.")
@click.option("--since", help="Declared at or after this time, such as 2026-01-05T14:30:00Z.")
@click.option("--until", help="Declared before this time.")
@click.option("--limit", type=int, help="How many at most.")
@click.option("--cursor", help="`next` of the list before.")
@AS_JSON
def incidents(as_json: bool, status: str, words: str | None, **filters: Any) -> None:
    """List incidents."""
    from firedoor import screen

    found = remote().get("incidents", status="" if status == "all" else status, q=words, **filters)
    if as_json:
        screen.as_json(found)
        return
    screen.table(
        ("", "", "status", "since", "title"),
        [
            (one["id"], one["severity"], one["status_label"], screen.moment(one["began_at"]), one["title"])
            for one in found["items"]
        ],
    )
    say_rest(found, "No incident is open." if status == "open" else "No incident is like that.")


@click.command("alerts")
@click.option("--decision", type=click.Choice(["open", "suggest", "record", "silenced"]), help="Decided so.")
@click.option("--status", type=click.Choice(["firing", "resolved"]), help="Only this status.")
@click.option("--source", help="Only this source.")
@click.option("--severity", help="Only what was mapped to this severity.")
@click.option("--service", help="Only this service.")
@click.option("--team", help="Only the services of this team.")
@click.option("-q", "--words", help="Words in the title.")
@click.option("--since", help="Last heard at or after this time.")
@click.option("--until", help="Last heard before this time.")
@click.option("--limit", type=int, help="How many at most.")
@click.option("--cursor", help="`next` of the list before.")
@AS_JSON
def alerts(as_json: bool, words: str | None, **filters: Any) -> None:
    """List alerts: what was decided about each, and why."""
    from firedoor import screen

    found = remote().get("alerts", q=words, **filters)
    if as_json:
        screen.as_json(found)
        return
    screen.table(
        ("id", "status", "decided", "incident", "title, and why"),
        [
            (one["id"], one["status"], one["decision"], one.get("incident"), f"{one['title']}\n{one['why']}")
            for one in found["items"]
        ],
    )
    say_rest(found, "No alert is like that.")


@click.command("proposals")
@AS_JSON
def proposals(as_json: bool) -> None:
    """List the rules for `open` that false alarms propose, with the reasons that people gave."""
    from firedoor import screen

    found = remote().get("proposals")
    if as_json:
        screen.as_json(found)
        return
    for one in found["items"]:
        screen.say(one["rule"])
        for incident, reason in zip(one["incidents"], one["reasons"], strict=True):
            screen.say(f"  # {incident}: {reason}")
        if one["runbook"]:
            screen.say(f"  # the runbook {one['runbook']} opens it whatever `open` says: narrow its `when`")
    say_rest(found, "No false alarm proposes a rule.")


@click.command("show")
@INCIDENT
@AS_JSON
def show(incident: str, as_json: bool) -> None:
    """Show one incident: who has it, what to do next, who must hear by when."""
    from firedoor import screen

    facts = remote().get("incidents", incident)
    if as_json:
        screen.as_json(facts)
        return
    from firedoor.sheet import print_incident

    print_incident(facts)


@click.command("timeline")
@INCIDENT
@click.option("--after", type=int, help="Only entries after this id.")
@AS_JSON
def timeline(incident: str, after: int | None, as_json: bool) -> None:
    """Show what happened, the oldest first."""
    from firedoor import screen
    from firedoor.sheet import said

    found = remote().get("incidents", incident, "timeline", after=after)
    if as_json:
        screen.as_json(found)
        return
    screen.table(
        ("entry", "at", "by", "what"),
        [(one["id"], screen.moment(one["at"]), one["actor"], said(one)) for one in found["items"]],
    )
    if found.get("next"):
        screen.say(f"There is more: firedoor timeline {incident} --after {found['next']}")


@click.command("pages")
@INCIDENT
@AS_JSON
def pages(incident: str, as_json: bool) -> None:
    """Show who was paged or told, by which channel, and what became of each try."""
    from firedoor import screen

    found = remote().get("incidents", incident, "pages")
    if as_json:
        screen.as_json(found)
        return
    screen.table(
        ("due", "what", "person", "state", "tries"),
        [
            (screen.moment(one["due_at"]), one["kind"], one["person"], one["state"], _tries(one["attempts"]))
            for one in found["items"]
        ],
    )


def _tries(attempts: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{one.get('channel') or ''} {one.get('outcome') or 'running'} {one.get('detail') or ''}".strip()
        for one in attempts
    )


def say_rest(found: dict[str, Any], nothing: str) -> None:
    from firedoor import screen

    if not found["items"]:
        screen.say(nothing)
    elif found.get("next"):
        screen.say(f"There are more: add --cursor {found['next']}")


COMMANDS = (
    incidents,
    show,
    alerts,
    timeline,
    pages,
    proposals,
    inbox,
    declare,
    open_alert,
    step,
    replay,
    resume,
    *VERBS,
)
