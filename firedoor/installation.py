"""The commands on this installation itself: its database; users and tokens have a file of their own."""

from __future__ import annotations

from pathlib import Path

import click

from firedoor.commands import AS_JSON
from firedoor.surroundings import quiet_logs, settings
from firedoor.users import tokens, users


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


INSTALLATION = (db, users, tokens)
