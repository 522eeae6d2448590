"""The commands before anything runs: write, draft, check and try out the policy and the runbooks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from firedoor.commands import AS_JSON
from firedoor.surroundings import REFUSED, quiet_logs, settings


@click.command()
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


@click.group("import")
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

    quiet_logs()
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


@click.command()
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

    quiet_logs()
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


@click.command()
@AS_JSON
def contacts(as_json: bool) -> None:
    """Print the senders that phones should let through, as a vCard 4.0."""
    from firedoor import screen
    from firedoor.shelf import Shelf
    from firedoor.vcard import vcard

    quiet_logs()
    told = settings()
    card = vcard(Shelf(told).current().policy, public_url=told.public_url)
    screen.as_json({"vcard": card}) if as_json else click.echo(card, nl=False)


@click.command()
@click.argument("payload", type=click.File("rb"))
@click.option("--source", default="alertmanager", show_default=True, help="The source whose payload it is.")
@AS_JSON
def simulate(payload: Any, source: str, as_json: bool) -> None:
    """Say what a sender's PAYLOAD (a file, or - for standard input) would do. Nothing is stored, nobody is paged."""
    from dataclasses import asdict

    from firedoor import screen
    from firedoor.sheet import print_mapping, print_simulation
    from firedoor.trial import mapped, trial

    quiet_logs()
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


@click.command()
@click.option("--send", "send_to", metavar="PERSON", help="Deliver a test message to this person.")
@AS_JSON
def doctor(send_to: str | None, as_json: bool) -> None:
    """Look at every part that a page needs on its way."""
    from dataclasses import asdict

    from firedoor import screen
    from firedoor.doctor import examine
    from ports.clock import SystemClock

    quiet_logs()
    findings = list(examine(settings(), now=SystemClock().now(), send_to=send_to))
    if as_json:
        screen.as_json({"findings": [asdict(one) for one in findings]})
    else:
        screen.table(("", "part", "what was found"), [(one.verdict, one.what, one.why) for one in findings])
    sys.exit(REFUSED if any(one.verdict == "fault" for one in findings) else 0)


REHEARSING = (init, import_, check, contacts, simulate, doctor)
