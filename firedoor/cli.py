"""The command line. Imports stay inside the commands, so that `firedoor --help` answers at once.

Exit codes: 0 done; 1 refused, or faults were found; 2 wrong usage; 3 Firedoor or its database can't be reached.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firedoor import __version__
from firedoor.commands import AS_JSON, COMMANDS
from firedoor.shadowing import shadow
from firedoor.silences import silence
from incidents.errors import FiredoorError

if TYPE_CHECKING:
    from firedoor.settings import Settings

REFUSED, UNREACHABLE = 1, 3
EPILOG = "Exit codes: 0 done; 1 refused or faults found; 2 wrong usage; 3 can't be reached."


class Group(click.Group):
    """Tells people in a sentence what was refused, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FiredoorError as refused:
            _tell(refused)
            sys.exit(UNREACHABLE if refused.code in ("unreachable", "store_down") else REFUSED)
        except Exception as error:
            from ports.database import is_store_down

            if not is_store_down(error):
                raise
            click.echo("The database can't be reached, or has no tables yet. Nothing was done.", err=True)
            click.echo("Look at FIREDOOR_DATABASE_URL; `firedoor db upgrade` makes the tables.", err=True)
            sys.exit(UNREACHABLE)


def _tell(refused: FiredoorError) -> None:
    from firedoor.screen import as_json, plain

    problem = getattr(refused, "problem", None)
    if problem is not None and "--json" in sys.argv:
        as_json(problem)
    click.echo(plain(refused.sentence), err=True)


@click.group(
    cls=Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.version_option(__version__, prog_name="firedoor")
def main() -> None:
    """Firedoor opens one incident for an alert, pages the right people in their minutes, and contains before it
    diagnoses."""


def settings() -> Settings:
    from firedoor.settings import Settings

    return Settings.from_env()


# --- before anything runs ---------------------------------------------------------------------------------------------


@main.command()
@click.argument("path", type=click.Path(path_type=Path), default="firedoor.yaml")
@click.option("--force", is_flag=True, help="Replace a policy that is there already.")
@AS_JSON
def init(path: Path, force: bool, as_json: bool) -> None:
    """Write a policy to start from, with a folder of runbooks beside it where there is none.

    It is for a team of three with two services, and every line of it says what it does. PATH is the file or a folder;
    ./firedoor.yaml unless told.
    """
    from firedoor import screen
    from firedoor.starting import init as write
    from ports.clock import SystemClock

    written = write(path, today=SystemClock().now().date(), force=force)
    if as_json:
        screen.as_json({"written": [str(one) for one in written.files], "kept": [str(one) for one in written.kept]})
        return
    for one in written.files:
        screen.say(f"wrote {one}")
    for one in written.kept:
        screen.say(f"kept {one} as it was")
    screen.say("Put your names and services in, then run `firedoor check`.")


@main.group("import")
def import_() -> None:
    """Bring in what other programs know."""


@import_.command("rules")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="The folder; your runbooks unless told.")
@AS_JSON
def import_rules(files: tuple[Path, ...], into: Path | None, as_json: bool) -> None:
    """Draft a runbook for each alerting rule in FILES: rule files of Prometheus, PrometheusRule, lists of them.

    A draft opens nothing until somebody finishes it and takes `draft: true` away. Nothing is overwritten.
    """
    from firedoor import screen
    from firedoor.drafting import draft_rules
    from firedoor.settings import PACKAGE_RUNBOOKS
    from firedoor.shelf import Shelf

    _quiet_logs()
    told = settings()
    own = Path("runbooks") if told.runbooks_path == PACKAGE_RUNBOOKS else told.runbooks_path
    drafted = draft_rules(files, into or own, policy=Shelf(told).current().policy)
    if as_json:
        unread = [{"file": str(path), "why": why} for path, why in drafted.unread]
        screen.as_json({
            "written": [str(one) for one in drafted.written], "kept": [str(one) for one in drafted.kept],
            "unread": unread,
        })  # fmt: skip
    else:
        for path in drafted.written:
            screen.say(f"wrote {path}")
        for path in drafted.kept:
            screen.say(f"kept {path} as it was")
        for path, why in drafted.unread:
            click.echo(f"{path}: {why}. Nothing was drafted from it.", err=True)
        screen.say(f"{len(drafted.written)} written, {len(drafted.kept)} kept. Drafts open nothing; finish them.")
    sys.exit(REFUSED if drafted.unread else 0)


@main.command()
@click.option("--send", is_flag=True, help="Send one test message to each contact, and say what became of it.")
@AS_JSON
def check(send: bool, as_json: bool) -> None:
    """Check the policy and the runbooks: all faults at once, and what to look at.

    A person who is paged at P0 or P1 and whom no contact wakes is a fault.
    Faults exit with 1. Warnings don't: two runbooks for one alert, a service without one, severities that alerts in
    the database said and that are mapped nowhere.
    """
    from dataclasses import asdict

    from firedoor import screen
    from firedoor.checking import check as checked_of

    _quiet_logs()
    checked = checked_of(settings())
    proofs = _proofs(checked.book) if send and checked.book else []
    if as_json:
        screen.as_json(checked.facts() | ({"sent": [asdict(one) for one in proofs]} if send else {}))
    else:
        for proof in proofs:
            screen.say(f"{proof.person} by {proof.channel}: {proof.said}")
        for fault in checked.faults:
            screen.say(str(fault).replace(f"{Path.cwd()}/", ""))
        for warning in checked.warnings:
            screen.say(f"warning: {warning}")
        for note in checked.notes:
            screen.say(f"note: {note}")
        count = len(checked.faults)
        screen.say(
            f"{count} fault{'s' if count > 1 else ''}. Nothing was changed; mend the lines above."
            if count
            else f"The policy and {len(checked.facts()['runbooks'])} runbooks are good."
        )
    sys.exit(REFUSED if checked.faults or not all(one.arrived for one in proofs) else 0)


def _proofs(book: Any) -> list[Any]:
    from firedoor.proving import prove
    from ports.clock import SystemClock

    return list(prove(settings(), book, sorted(book.policy.people), now=SystemClock().now()))


@main.command()
@AS_JSON
def contacts(as_json: bool) -> None:
    """Print the senders that phones should let through, as a vCard 4.0."""
    from firedoor import screen
    from firedoor.shelf import Shelf
    from firedoor.vcard import vcard

    _quiet_logs()
    told = settings()
    card = vcard(Shelf(told).current().policy, public_url=told.public_url)
    screen.as_json({"vcard": card}) if as_json else click.echo(card, nl=False)


main.add_command(contacts, "contacts.vcf")


@main.command()
@click.argument("payload", type=click.File("rb"))
@click.option("--source", default="alertmanager", show_default=True, help="The source whose payload it is.")
@AS_JSON
def simulate(payload: Any, source: str, as_json: bool) -> None:
    """Say what a sender's PAYLOAD (a file, or - for standard input) would do. Nothing is stored, nobody is paged."""
    from dataclasses import asdict

    from firedoor import screen
    from firedoor.sheet import print_mapping, print_simulation
    from firedoor.trial import mapped, trial

    _quiet_logs()
    told, body = settings(), payload.read()
    looked = mapped(told, source, body)
    if not as_json:  # before the alerts: a mapping that misses what must be there is what a person wants to see
        print_mapping(looked)
    found = trial(told, source, body)
    if as_json:
        fields = [[asdict(one) for one in fields] for fields in looked]
        screen.as_json({"alerts": [{**one.simulated, "texts": one.texts} for one in found], "mapping": fields})
        return
    for n, one in enumerate(found):
        if n:
            screen.say("\n" + "-" * 78 + "\n")
        print_simulation(one.simulated, one.texts)
    if not found:
        screen.say("The payload holds no alert.")


@main.command()
@click.option("--send", "send_to", metavar="PERSON", help="Deliver a test message to this person.")
@AS_JSON
def doctor(send_to: str | None, as_json: bool) -> None:
    """Look at every part that a page needs on its way."""
    from dataclasses import asdict

    from firedoor import screen
    from firedoor.doctor import examine
    from ports.clock import SystemClock

    _quiet_logs()
    findings = list(examine(settings(), now=SystemClock().now(), send_to=send_to))
    if as_json:
        screen.as_json({"findings": [asdict(one) for one in findings]})
    else:
        screen.table(("", "part", "what was found"), [(one.verdict, one.what, one.why) for one in findings])
    sys.exit(REFUSED if any(one.verdict == "fault" for one in findings) else 0)


# --- the processes ----------------------------------------------------------------------------------------------------


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


# --- this installation ------------------------------------------------------------------------------------------------


@main.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@AS_JSON
def db_upgrade(as_json: bool) -> None:
    """Bring the tables to the newest migration."""
    import migrations
    from firedoor import screen

    told = settings()
    if told.database_url.startswith("sqlite:///"):
        Path(told.database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrations.upgrade(told.database_url)
    at = migrations.current(told.database_url)
    screen.as_json({"revision": at}) if as_json else screen.say(f"The tables are at {at}.")


@db.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@AS_JSON
def db_backup(file: Path, as_json: bool) -> None:
    """Copy the database to FILE while everything runs (SQLite); for PostgreSQL, print the line that does it."""
    from firedoor import backup, screen

    told = settings()
    if backup.is_sqlite(told):
        backup.backup(told, file)
        answer = {"file": str(file), "said": f"{file} holds a whole copy. Keep HOME/secrets with it."}
    else:
        answer = {"command": backup.pg_dump(told, file), "said": backup.pg_dump(told, file)}
    screen.as_json(answer) if as_json else click.echo(answer["said"])


@db.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@AS_JSON
def db_restore(file: Path, as_json: bool) -> None:
    """Put the copy FILE in the database's place, on a stopped system. An old copy starts in hold mode."""
    from firedoor import backup, screen
    from ports.clock import SystemClock

    told = settings()
    if not backup.is_sqlite(told):
        line = backup.pg_restore(told, file)
        screen.as_json({"command": line, "said": line}) if as_json else click.echo(line)
        return
    _quiet_logs()
    written_at, kept = backup.restore(told, file, now=SystemClock().now())
    said = f"{file} is the database now, as it was at {written_at:%Y-%m-%d %H:%M:%S} UTC. " if written_at else ""
    said += f"What was there lies in {kept}. " if kept else ""
    said += "Where it lacks more than two minutes, Firedoor starts in hold mode: look, then `firedoor resume`."
    screen.as_json({"file": str(file), "kept": str(kept or ""), "said": said}) if as_json else screen.say(said)


@main.group()
def users() -> None:
    """People who sign in to the console."""


@users.command("signin")
@click.argument("person")
@AS_JSON
def users_signin(person: str, as_json: bool) -> None:
    """Print a link that signs PERSON in to the console, once, within a day."""
    from firedoor import screen
    from firedoor.credentials import new_sign_in

    told = settings()
    _see_that_known(told, person)
    url = f"{told.public_url}/signin?token={new_sign_in(told, person)}"
    screen.as_json({"person": person, "url": url}) if as_json else screen.say(url)


@main.group()
def tokens() -> None:
    """Tokens of the JSON API."""


@tokens.command("new")
@click.argument("person")
@AS_JSON
def tokens_new(person: str, as_json: bool) -> None:
    """Print a new API token of PERSON. Only its hash is kept: it is shown once."""
    from firedoor import screen
    from firedoor.credentials import new_api_token

    told = settings()
    _see_that_known(told, person)
    token = new_api_token(told, person)
    screen.as_json({"person": person, "token": token}) if as_json else screen.say(token)


def _see_that_known(told: Settings, person: str) -> None:
    from firedoor.shelf import Shelf
    from incidents.errors import NotFound

    _quiet_logs()
    people = Shelf(told).current().policy.people
    if person not in people:
        known = ", ".join(sorted(people)) or "nobody"
        raise NotFound(f"The policy knows nobody called {person}. Nothing was made. It knows: {known}.")


def _quiet_logs() -> None:
    """What the log says about faults, these commands print themselves."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


for command in (*COMMANDS, shadow, silence):
    main.add_command(command)
