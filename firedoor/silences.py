"""The commands on silences: add one, list them, lift one; each asks the JSON API and prints its answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from firedoor.commands import AS_JSON, remote, say_rest, show_answer


@click.group("silence")
def silence() -> None:
    """Mute alerts for a while. What fires is recorded, and pages if it still fires when the silence ends."""


def _begin(_ctx: click.Context, _option: click.Parameter, typed: str | None) -> str | None:
    """With its zone; a time without one is this machine's."""
    try:
        return datetime.fromisoformat(typed).astimezone(UTC).isoformat() if typed else None
    except (ValueError, OverflowError) as wrong:
        raise click.BadParameter(f"{typed!r} is no time; such as 2026-11-22T02:00Z.") from wrong


@silence.command("add")
@click.argument("matchers", nargs=-1, metavar="MATCHER...", required=True)
@click.option("--for", "lasts", required=True, help="How long, such as 30m, 2h or 1d; 30 days at most.")
@click.option("--reason", required=True, help="Why, in one sentence.")
@click.option("--begins", callback=_begin, help="When, such as 2026-11-22T02:00 (this machine's time) or …T02:00Z.")
@AS_JSON
def add(matchers: tuple[str, ...], lasts: str, reason: str, begins: str | None, as_json: bool) -> None:
    """Mute what meets every MATCHER, such as 'service="checkout"', from now on unless told."""
    fields = {"matchers": list(matchers), "for": lasts, "reason": reason, "starts_at": begins}
    show_answer(remote().post("silences", **fields), as_json)


@silence.command("list")
@click.option(
    "--state",
    type=click.Choice(["current", "live", "planned", "ended", "all"]),
    default="current",
    show_default=True,
    help="`current` is live, and planned for later.",
)
@click.option("--limit", type=int, help="How many at most.")
@click.option("--cursor", help="`next` of the list before.")
@AS_JSON
def list_(state: str, as_json: bool, **page: Any) -> None:
    """List silences with what each muted, and the policy's maintenance windows."""
    from firedoor import screen

    found = remote().get("silences", state="" if state == "all" else state, **page)
    if as_json:
        screen.as_json(found)
        return
    screen.table(
        ("id", "", "", "muted", "by", "what, and why"),
        [
            (one["id"], one["state"], _when(one), one["muted"], one["author"]["name"], _what(one))
            for one in found["items"]
        ],
    )
    say_rest(found, "No silence is live." if state in ("current", "live") else "No silence is like that.")
    if found["windows"]:
        screen.say()
        screen.say(f"Maintenance windows of the policy, in {found['windows'][0]['tz']}:")
        screen.table(
            ("begins", "for", "next", "owner", "what, and why"),
            [
                (one["schedule"], one["for"], screen.moment(one["next_at"]), one["owner"]["name"], _what(one))
                for one in found["windows"]
            ],
        )


@silence.command("show")
@click.argument("silence_id", type=int, metavar="SILENCE")
@AS_JSON
def show(silence_id: int, as_json: bool) -> None:
    """Show one silence, and the alerts that it muted."""
    from firedoor import screen

    one = remote().get("silences", silence_id)
    if as_json:
        screen.as_json(one)
        return
    screen.say(f"Silence {one['id']}  {one['state']}  {_when(one)}  by {one['author']['name']}")
    screen.say(_what(one))
    screen.say(f"It muted {one['muted']} firings; {one['firing']} of its alerts are muted and fire now.")
    screen.table(
        ("id", "status", "decided", "incident", "title"),
        [(each["id"], each["status"], each["decision"], each["incident"], each["title"]) for each in one["alerts"]],
    )


@silence.command("lift")
@click.argument("silence_id", type=int, metavar="SILENCE")
@AS_JSON
def lift(silence_id: int, as_json: bool) -> None:
    """End a silence now: what it muted and still fires is decided anew."""
    show_answer(remote().post("silences", silence_id, "lift"), as_json)


def _when(one: dict[str, Any]) -> str:
    from firedoor import screen

    begins = f"begins {screen.moment(one['starts_at'])}, " if one["state"] == "planned" else ""
    return f"{begins}until {screen.moment(one['lifted_at'] or one['ends_at'])}"


def _what(one: dict[str, Any]) -> str:
    texts = [" or ".join(each) if isinstance(each, list) else each for each in one["matchers"]]
    return f"{', '.join(texts)}\n{one['reason']}"
