"""The commands on this installation itself: its database, its users, its tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firedoor.commands import AS_JSON
from firedoor.surroundings import quiet_logs, settings

if TYPE_CHECKING:
    from firedoor.settings import Settings


@click.group()
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
    quiet_logs()
    written_at, kept = backup.restore(told, file, now=SystemClock().now())
    said = f"{file} is the database now, as it was at {written_at:%Y-%m-%d %H:%M:%S} UTC. " if written_at else ""
    said += f"What was there lies in {kept}. " if kept else ""
    said += "Where it lacks more than two minutes, Firedoor starts in hold mode: look, then `firedoor resume`."
    screen.as_json({"file": str(file), "kept": str(kept or ""), "said": said}) if as_json else screen.say(said)


@click.group()
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


@click.group()
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

    quiet_logs()
    people = Shelf(told).current().policy.people
    if person not in people:
        known = ", ".join(sorted(people)) or "nobody"
        raise NotFound(f"The policy knows nobody called {person}. Nothing was made. It knows: {known}.")


INSTALLATION = (db, users, tokens)
