"""The command line. Imports stay inside the commands, so that `firedoor --help` answers at once.

Exit codes: 0 done; 1 refused, or faults were found; 2 wrong usage; 3 Firedoor or its database can't be reached.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from firedoor import __version__
from firedoor.commands import AS_JSON, COMMANDS
from firedoor.completing import completion
from firedoor.installation import INSTALLATION
from firedoor.rehearsing import REHEARSING, contacts
from firedoor.shadowing import shadow
from firedoor.silences import silence
from firedoor.surroundings import REFUSED, UNREACHABLE, settings
from firedoor.watching import watch
from incidents.errors import FiredoorError

FOR_PROGRAMS = "firedoor.json"  # of the context: whether the answer is for a program
EPILOG = "Exit codes: 0 done; 1 refused or faults found; 2 wrong usage; 3 can't be reached."


class Group(click.Group):
    """Tells people in a sentence what was refused, instead of a traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[FOR_PROGRAMS] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FiredoorError as refused:
            _tell(refused, for_programs=ctx.meta[FOR_PROGRAMS])
            sys.exit(UNREACHABLE if refused.code in ("unreachable", "store_down") else REFUSED)
        except Exception as error:
            from ports.database import is_store_down

            if not is_store_down(error):
                raise
            click.echo("The database can't be reached, or has no tables yet. Nothing was done.", err=True)
            click.echo("Look at FIREDOOR_DATABASE_URL; `firedoor db upgrade` makes the tables.", err=True)
            sys.exit(UNREACHABLE)


def _tell(refused: FiredoorError, *, for_programs: bool) -> None:
    """The sentence, for people; with --json the problem as well, in the API's own shape."""
    from firedoor.screen import as_json, plain

    if for_programs:
        as_json(getattr(refused, "problem", None) or {"code": refused.code, "detail": refused.sentence})
    click.echo(plain(refused.sentence), err=True)
    for entry in (getattr(refused, "problem", None) or {}).get("since", ()):  # of a version conflict: the other side
        click.echo(plain(f"  {entry['at']}  {entry['text']}"), err=True)


@click.group(
    cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.version_option(__version__, prog_name="firedoor")
def main() -> None:
    """Firedoor opens one incident for an alert, pages the right people in their minutes, and contains before it
    diagnoses."""


@main.command()
def up() -> None:
    """Start everything here: web, workers, clock, Valkey, SQLite."""
    from firedoor.up import up as start

    sys.exit(start(settings()))


@main.command()
def web() -> None:
    """Serve the hooks, the console and the API."""
    from firedoor.processes import run_web

    run_web(settings())


@main.command()
@click.option("--lane", type=click.Choice(["page", "act"]), help="Only this lane; both in two processes unless told.")
def worker(lane: str | None) -> None:
    """Take in deliveries and keep promises, when Redis rings."""
    from firedoor.processes import run_worker

    run_worker(settings(), lane)


@main.command()
def clock() -> None:
    """Look for what is due, once a second, with or without Redis."""
    from firedoor.processes import run_clock

    run_clock(settings())


@main.command()
@AS_JSON
def release(as_json: bool) -> None:
    """Make the home, its secrets and the tables, before a new version starts."""
    from firedoor import screen
    from firedoor.processes import release as prepare

    prepared = prepare(settings())
    told = {"home": str(prepared.home), "said": f"Ready: {prepared.home} has its secrets, the tables are migrated."}
    screen.as_json(told) if as_json else screen.say(told["said"])


for command in (*REHEARSING, *INSTALLATION, *COMMANDS, watch, completion, shadow, silence):
    main.add_command(command)
main.add_command(contacts, "contacts.vcf")
