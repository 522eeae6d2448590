"""`firedoor watch`: one incident in a terminal, live, until it is over or somebody has seen enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from firedoor.commands import AS_JSON, INCIDENT, remote

SHOWN = 12  # entries of the timeline on a screen
AT_ONCE = 200  # entries that one call answers
OVER = ("stood_down", "closed")

Look = Callable[[], tuple[dict[str, Any], list[dict[str, Any]]]]


@click.command("watch")
@INCIDENT
@click.option("--once", is_flag=True, help="Show it as it is now, and end.")
@click.option("--every", type=click.FloatRange(0.5, 60), default=2, show_default=True, help="Seconds between looks.")
@AS_JSON
def watch(incident: str, once: bool, every: float, as_json: bool) -> None:
    """Watch one incident until it is over: who has it, what is next, and each entry as it comes.

    Where the output is no terminal, and with --json, each new entry is one line. Ctrl-C leaves.
    """
    from firedoor import screen

    look = looking_at(incident)
    facts, entries = look()
    if once:
        _show_once(facts, entries, as_json=as_json)
    elif as_json or not screen.console().is_terminal:
        _follow(facts, entries, look, every=every, as_json=as_json)
    else:
        _live(facts, entries, look, every=every)


def looking_at(incident: str) -> Look:
    """A look gives the incident as it is, and the entries that came since the look before."""
    asked = remote()
    after = 0

    def look() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        nonlocal after
        facts: dict[str, Any] = asked.get("incidents", incident)
        fresh: list[dict[str, Any]] = []
        while True:
            page = asked.get("incidents", incident, "timeline", after=after or None, limit=AT_ONCE)
            fresh += page["items"]
            after = page["items"][-1]["id"] if page["items"] else after
            if page["next"] is None:
                return facts, fresh

    return look


def _show_once(facts: dict[str, Any], entries: list[dict[str, Any]], *, as_json: bool) -> None:
    from firedoor import screen
    from firedoor.sheet import print_incident, said

    if as_json:
        screen.as_json({"incident": facts, "timeline": entries})
        return
    print_incident(facts)
    screen.say()
    screen.say("Lately:")
    screen.table(("at", "what"), [(screen.moment(one["at"]), said(one)) for one in entries[-SHOWN:]])


# --- a line an entry ---


def _follow(facts: dict[str, Any], entries: list[dict[str, Any]], look: Look, *, every: float, as_json: bool) -> None:
    """For a pipe, a log, a screen reader: what was there first, then each new entry as it comes."""
    from firedoor import screen

    if not as_json:
        screen.say(_heading(facts))
    for one in entries:
        _line(one, as_json=as_json)
    try:
        while facts["status"] not in OVER:
            _wait(every)
            seen = _look_again(look)
            if seen is None:
                continue
            facts, fresh = seen
            for one in fresh:
                _line(one, as_json=as_json)
    except KeyboardInterrupt:
        return
    if not as_json:
        screen.say(f"{facts['id']} is over: {facts['status_label']}.")


def _line(entry: dict[str, Any], *, as_json: bool) -> None:
    from firedoor import screen
    from firedoor.sheet import said

    if as_json:
        screen.as_json(entry, indent=None)
    else:
        screen.say(f"{screen.moment(entry['at'])}  {said(entry)}")


def _look_again(look: Look) -> Any:
    """None where Firedoor can't be reached for the moment: it says so, and the watching goes on."""
    from firedoor.remote import Unreachable

    try:
        return look()
    except Unreachable as away:
        click.echo(f"{away.sentence} Still watching.", err=True)
        return None


# --- a screen that stands still ---


def _live(facts: dict[str, Any], entries: list[dict[str, Any]], look: Look, *, every: float) -> None:
    from rich.live import Live

    from firedoor import screen
    from firedoor.remote import Unreachable

    kept = entries[-SHOWN:]
    with Live(picture(facts, kept), console=screen.console(), auto_refresh=False) as shown:
        try:
            while facts["status"] not in OVER:
                _wait(every)
                away = ""
                try:
                    facts, fresh = look()
                    kept = [*kept, *fresh][-SHOWN:]
                except Unreachable as error:
                    away = error.sentence
                shown.update(picture(facts, kept, away=away), refresh=True)
        except KeyboardInterrupt:
            return
    screen.say(f"{facts['id']} is over: {facts['status_label']}.")


def picture(facts: dict[str, Any], entries: list[dict[str, Any]], *, away: str = "") -> Any:
    """The five questions, the next action, what happens by itself, and what happened, the newest first.

    A terminal that is too low cuts the oldest off.
    """
    from rich.console import Group
    from rich.text import Text

    from firedoor import screen
    from firedoor.sheet import holder, owed, said

    head = facts["header"]
    waits = facts["deadlines"][:3]
    return Group(
        Text(_heading(facts), style="bold"),
        Text(f"Stale: {away}" if away else "Live. Ctrl-C leaves; nothing is changed by watching.", style="dim"),
        screen.grid(
            [
                ("Who has it", holder(facts)),
                ("Customers", head["customers"] or "nobody has said yet"),
                ("Who knows", ", ".join(head["who_knows"]) or "nobody yet"),
                ("Next", facts["next"]["action"]),
                *[("By itself", f"{screen.moment(one['due_at'])} {owed(one)}") for one in waits],
            ]
        ),
        Text(""),
        screen.grid([(screen.moment(one["at"]), said(one)) for one in reversed(entries)]),
    )


def _heading(facts: dict[str, Any]) -> str:
    from firedoor import screen

    return screen.plain(
        f"{facts['id']}  {facts['severity']} {facts['severity_label']}  {facts['status_label']}  {facts['title']}"
    )


def _wait(seconds: float) -> None:
    from time import sleep

    sleep(seconds)
