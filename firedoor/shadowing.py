"""`firedoor shadow`: what shadow would have done, beside another tool's export, and how to go live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from firedoor.commands import AS_JSON, remote, show_answer
from incidents.alerts import clean_line

SINCE = click.option("--since", default="7d", show_default=True, help="How far back: 36h, 7d.")
LONGEST_CELL = 1000
FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # full-width ones too, which a spreadsheet of the far East reads alike
CSV_HEADINGS = (
    "incident", "severity", "service", "team", "title", "opened_at", "person", "paged_at", "local_time", "night",
    "only_if_unanswered", "by",
)  # fmt: skip


@click.group()
def shadow() -> None:
    """What runs in shadow: everything happens except sending."""


@shadow.command("report")
@SINCE
@click.option("--name", help="Only this source, team or service.")
@click.option("--csv", "as_csv", is_flag=True, help="One line a page, for a spreadsheet.")
@click.option("--beside", type=click.File("r", encoding="utf-8-sig"), help="A CSV export of PagerDuty or Opsgenie.")
@AS_JSON
def shadow_report(since: str, name: str | None, as_csv: bool, beside: Any, as_json: bool) -> None:
    """Show what would have opened, and who would have been paged when."""
    from firedoor import screen
    from incidents.beside import compare, read_export

    theirs = read_export(beside.read()) if beside else None  # a faulty file is told of before anything is asked
    found = remote().get("shadow", "report", since=since, name=name)
    if theirs is not None:
        found["beside"] = compare(found["opened"], [one for one in theirs if _within(one.at, found)])
    if as_json:
        screen.as_json(found)
    elif as_csv:
        for line in csv_lines(found):
            click.echo(line)
    else:
        print_report(found)


def _within(at: Any, found: Mapping[str, Any]) -> bool:
    """Only what they opened in the report's own span: shadow saw nothing of the rest."""
    from datetime import datetime

    return bool(datetime.fromisoformat(found["since"]) <= at <= datetime.fromisoformat(found["until"]))


@shadow.command("golive")
@click.argument("name")
@SINCE
@AS_JSON
def golive(name: str, since: str, as_json: bool) -> None:
    """Show the report of NAME (a source, team or service), and the line of the policy that turns it live."""
    from firedoor import screen

    answer = remote().post("shadow", "golive", name=name, since=since)
    if as_json:
        show_answer(answer, as_json)
        return
    print_report(answer["report"])
    screen.say()
    screen.say(answer["said"])
    if answer["still"]:
        screen.say(f"Still in shadow then: {', '.join(answer['still'])}. The strictest of source, team, service wins.")


# --- printing ---


def print_report(found: Mapping[str, Any]) -> None:
    """The people first: how often, and in which nights."""
    from firedoor import screen

    of = f" of {found['name']}" if found["name"] else ""
    screen.say(f"Shadow{of}, {screen.moment(found['since'])} to {screen.moment(found['until'])}")
    screen.say(f"In shadow now: {', '.join(found['in_shadow']) or 'nothing'}")
    screen.say()
    if not found["opened"]:
        screen.say("Nothing would have opened, and nobody would have been paged.")
    else:
        _print_opened(found)
    if "beside" in found:
        _print_beside(found["beside"])


def _print_opened(found: Mapping[str, Any]) -> None:
    from firedoor import screen

    screen.table(
        ("who", "pages", "by day", "unanswered", "nights woken (22:00 to 07:00 on their own clock)"),
        [
            (one["name"], one["pages"], one["by_day"], f"+{one['if_unanswered']}", _nights(one["nights"]))
            for one in found["people"]
        ],
    )
    screen.say()
    screen.table(
        ("would open", "", "opened", "title, and who would be paged"),
        [
            (one["id"], one["severity"], screen.moment(one["opened_at"]), f"{one['title']}\n{_paged(one)}")
            for one in found["opened"]
        ],
    )


def _nights(nights: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['night']} ({one['pages']})" for one in nights) or "none"


def _paged(one: Mapping[str, Any]) -> str:
    return (
        "; ".join(f"{page['name']} {page['local']}" for page in one["pages"] if not page["if_unanswered"]) or "nobody"
    )


def _print_beside(found: Mapping[str, list[dict[str, Any]]]) -> None:
    from firedoor import screen

    screen.say()
    counts = ", ".join(f"{len(found[key])} {key.replace('_', ' ')}" for key in ("both", "missed", "extra"))
    screen.say(f"Beside the export: {counts}, {len(found['other_person'])} told another person.")
    rows = [("missed", one["theirs"], f"{screen.moment(one['at'])} {one['title']}") for one in found["missed"]]
    rows += [("extra", one["ours"], f"{screen.moment(one['at'])} {one['title']}") for one in found["extra"]]
    rows += [
        ("other person", one["ours"], f"{', '.join(one['would_page'])} instead of {', '.join(one['they_asked'])}")
        for one in found["other_person"]
    ]
    if rows:
        screen.table(("", "", "what"), rows)


def csv_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """One line a page; an incident that would page nobody has one line without a person."""
    import csv
    import io

    for row in (CSV_HEADINGS, *_csv_rows(found)):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_harmless(cell) for cell in row])
        yield line.getvalue()


def _csv_rows(found: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    for one in found["opened"]:
        about = (one["id"], one["severity"], one["service"], one["team"], one["title"], one["opened_at"])
        for page in one["pages"] or [None]:
            if page is None:
                yield (*about, "", "", "", "", "", "")
            else:
                unanswered = "yes" if page["if_unanswered"] else "no"
                yield (*about, page["name"], page["at"], page["local"], page["night"] or "", unanswered, page["how"])


def _harmless(cell: object) -> str:
    """A title that begins like a formula is text, whatever a spreadsheet makes of it."""
    text = "" if cell is None else clean_line(str(cell), LONGEST_CELL)
    return f"'{text}" if text[:1] in FORMULAS else text
