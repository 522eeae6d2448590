"""A copy of a running database, putting it back, and hold mode: an old copy replays nothing and wakes nobody (T26)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import migrations
from firedoor import backup
from firedoor.cli import main
from firedoor.settings import Settings
from incidents import claims, holdmode, promises, tables
from incidents.promises import Wanted
from ports.clock import SystemClock
from ports.database import Database, Work
from tests.edges.installation import until
from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.parts import Parts


class Home:
    """An installation that does not run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "var" / "firedoor.db"
        self.environ = {"FIREDOOR_HOME": str(folder / "var"), "COLUMNS": "80"}

    def __call__(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, words, env=self.environ)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environ)

    def database(self) -> contextlib.closing[Database]:
        return contextlib.closing(Database(self.settings.database_url, SystemClock(), pool_size=2))

    def worked(self, ago: timedelta) -> None:
        """The clock of this database worked so long ago."""
        with self.database() as database, database.work() as work:
            row = {"kind": "clock", "started_at": work.now - ago, "worked_at": work.now - ago, "facts": {}}
            work.session.execute(tables.part.delete())
            work.session.execute(tables.part.insert().values(name="clock-box-1", **row))

    def holds(self) -> bool:
        with self.database() as database, database.read() as work:
            return holdmode.since(work.session) is not None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(tmp_path)
    found = Home(tmp_path)
    found("release")
    return found


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as reading:
        return reading.execute(query).fetchall()


# --- the copy ---


def test_a_copy_of_a_running_database_is_whole_and_for_its_owner_alone(home: Home) -> None:
    stop = threading.Event()

    def write() -> None:
        """Two rows a transaction: a copy that holds one of them is torn."""
        with home.database() as database:
            n = 0
            while not stop.is_set():
                n += 1
                with database.work() as work:
                    for half in ("a", "b"):
                        work.session.execute(tables.counter.insert().values(name=f"{half}{n}", value=n))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(5):
            home("db", "backup", f"copy{n}.db")
    finally:
        stop.set()
        writer.join()

    for n in range(5):
        copy = home.folder / f"copy{n}.db"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        halves = rows(copy, "SELECT count(*) FROM counter WHERE name GLOB '[ab][0-9]*' GROUP BY substr(name, 1, 1)")
        assert len(set(halves)) <= 1
        assert not copy.with_name(f"{copy.name}-wal").exists()


def test_a_backup_never_overwrites(home: Home) -> None:
    (home.folder / "there.db").write_text("mine")

    assert "is there already" in home("db", "backup", "there.db", code=1).stderr
    assert (home.folder / "there.db").read_text() == "mine"


@contextlib.contextmanager
def half_way(home: Home) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """A backup of its own process that can't go on, since somebody keeps the database to themselves."""
    with contextlib.closing(sqlite3.connect(home.file, isolation_level=None)) as keeping:
        keeping.execute("PRAGMA journal_mode=DELETE")
        keeping.execute("BEGIN EXCLUSIVE")
        words = [sys.executable, "-m", "firedoor", "db", "backup", "copy.db"]
        told = {**os.environ, **home.environ}
        begun = subprocess.Popen(words, cwd=home.folder, env=told, stderr=subprocess.PIPE, text=True)
        try:
            until(lambda: [one for one in home.folder.iterdir() if "copy.db" in one.name])
            yield begun, keeping.close
        finally:
            begun.kill()
            begun.wait()
            if begun.stderr is not None:
                begun.stderr.close()


def test_a_backup_that_is_killed_leaves_nothing_by_the_name_of_a_copy(home: Home) -> None:
    with half_way(home) as (begun, _):
        begun.kill()
        begun.wait()

    assert not (home.folder / "copy.db").exists()
    home("db", "backup", "copy.db")


def test_a_backup_never_overwrites_what_came_while_it_was_made(home: Home) -> None:
    with half_way(home) as (begun, let_go):
        (home.folder / "copy.db").write_text("mine")
        let_go()
        _, told = begun.communicate(timeout=30)

    assert begun.returncode == 1
    assert "is there already" in told
    assert (home.folder / "copy.db").read_text() == "mine"
    assert not list(home.folder.glob(".copy.db*"))


def test_a_backup_goes_to_a_disk_without_hard_links_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)

    home("db", "backup", "copy.db")

    assert rows(home.folder / "copy.db", "SELECT version_num FROM alembic_version") == [(migrations.newest(),)]
    assert not list(home.folder.glob(".copy.db*"))


def test_for_postgresql_the_exact_line_is_printed_without_the_password(home: Home) -> None:
    home.environ["FIREDOOR_DATABASE_URL"] = "postgresql://fire:s3cret@db.example.com:5433/door"

    told = home("db", "backup", "door.dump").stdout
    assert told == "pg_dump --format=custom --file=door.dump postgresql://fire@db.example.com:5433/door\n"
    told = home("db", "restore", "door.dump").stdout
    assert told.startswith("pg_restore --clean --if-exists --single-transaction --dbname=postgresql://fire@db")


# --- putting it back ---


def test_a_copy_is_put_back_only_where_nothing_runs(home: Home) -> None:
    home("db", "backup", "copy.db")
    lock = os.open(home.folder / "var" / "up.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert "Firedoor runs on" in home("db", "restore", "copy.db", code=1).stderr
    os.close(lock)

    home.worked(timedelta(seconds=1))
    assert "clock-box-1 worked just now" in home("db", "restore", "copy.db", code=1).stderr

    home.worked(timedelta(minutes=1))
    home("db", "restore", "copy.db")


def test_a_file_that_is_no_database_changes_nothing(home: Home) -> None:
    (home.folder / "letter.txt").write_text("dear database" * 100)
    before = home.file.stat().st_ino

    assert "can't be put back" in home("db", "restore", "letter.txt", code=1).stderr
    assert "is not a file" in home("db", "restore", "nothing.db", code=1).stderr
    assert home.file.stat().st_ino == before
    assert not list(home.file.parent.glob(".firedoor.db.*"))


def empty(copy: Path) -> None:
    copy.write_bytes(b"")


def of_another_program(copy: Path) -> None:
    copy.unlink()
    rows(copy, "CREATE TABLE alert (id INTEGER PRIMARY KEY)")


def of_a_newer_version(copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(copy)) as writing, writing:
        writing.execute("UPDATE alembic_version SET version_num = '9999'")


def with_an_older_version_s_name_alone(copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(copy)) as writing, writing:
        writing.execute("UPDATE alembic_version SET version_num = '0001'")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (empty, "holds no tables of Firedoor"),
        (of_another_program, "holds no tables of Firedoor"),
        (of_a_newer_version, "its tables are at 9999"),
        (with_an_older_version_s_name_alone, "can't be put back"),
    ],
)
def test_what_is_no_copy_of_this_firedoor_changes_nothing(home: Home, make: Callable[[Path], None], why: str) -> None:
    home("db", "backup", "copy.db")
    make(home.folder / "copy.db")
    before, whole = home.file.stat(), home.file.read_bytes()

    told = " ".join(home("db", "restore", "copy.db", code=1).stderr.split())

    assert why in told
    assert "Nothing was changed" in told
    assert (home.file.stat().st_ino, home.file.read_bytes()) == (before.st_ino, whole)
    assert not list(home.file.parent.glob(".firedoor.db.*"))
    assert not list(home.file.parent.glob("firedoor.db.replaced-*"))


def test_a_copy_of_an_older_version_is_put_back_whole_in_one_file_and_holds(home: Home) -> None:
    home.worked(timedelta(hours=1))
    home("db", "backup", "copy.db")
    migrations.downgrade(f"sqlite:///{home.folder / 'copy.db'}", "0003")

    home("db", "restore", "copy.db")

    assert not [one.name for one in home.file.parent.iterdir() if one.name.startswith((".firedoor.db", "firedoor.db-"))]
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o600
    assert migrations.current(home.settings.database_url) == migrations.newest()
    assert home.holds()


def test_the_replaced_database_is_kept_and_an_old_copy_starts_in_hold_mode(home: Home) -> None:
    home.worked(timedelta(hours=1))
    home("db", "backup", "copy.db")
    with home.database() as database, database.work() as work:
        work.session.execute(tables.counter.insert().values(name="later", value=7))

    assert "hold mode" in home("db", "restore", "copy.db").stdout

    (kept,) = home.file.parent.glob("firedoor.db.replaced-*")
    assert rows(kept, "SELECT value FROM counter WHERE name = 'later'") == [(7,)]
    assert home.holds()
    assert migrations.current(home.settings.database_url) == migrations.newest()


def scribbled_over(file: Path) -> None:
    file.write_bytes(b"not a database at all " * 500)


def with_a_torn_page(file: Path) -> None:
    with file.open("r+b") as torn:
        torn.seek(100)
        torn.write(b"\xff" * 3000)


@pytest.mark.parametrize("damage", [scribbled_over, with_a_torn_page])
def test_a_copy_is_put_back_in_the_place_of_a_damaged_database_which_is_kept(
    home: Home, damage: Callable[[Path], None]
) -> None:
    home.worked(timedelta(hours=1))
    home("db", "backup", "copy.db")
    damage(home.file)
    damaged = home.file.read_bytes()

    home("db", "restore", "copy.db")

    (kept,) = home.file.parent.glob("firedoor.db.replaced-*[0-9]")
    assert kept.read_bytes() == damaged
    assert migrations.current(home.settings.database_url) == migrations.newest()
    assert rows(home.file, "PRAGMA quick_check") == [("ok",)]


def test_a_database_that_somebody_else_holds_is_not_replaced(home: Home) -> None:
    home("db", "backup", "copy.db")
    before = home.file.stat().st_ino

    with contextlib.closing(sqlite3.connect(home.file)) as holding:
        holding.execute("PRAGMA locking_mode = EXCLUSIVE")
        holding.execute("BEGIN EXCLUSIVE")
        told = " ".join(home("db", "restore", "copy.db", code=1).stderr.split())

    assert "Nothing was changed: stop what uses it" in told
    assert home.file.stat().st_ino == before


@pytest.mark.parametrize(("lacks", "holds"), [(timedelta(seconds=20), False), (timedelta(hours=1), True)])
def test_a_copy_that_somebody_put_there_by_hand_is_noticed_at_the_next_start(
    home: Home, lacks: timedelta, holds: bool
) -> None:
    home.worked(lacks)
    backup.write_stamp(home.settings.home, SystemClock().now())

    home("release")

    assert home.holds() is holds


def test_a_machine_that_was_off_for_hours_goes_on_without_hold_mode(home: Home) -> None:
    home.worked(timedelta(hours=9))
    backup.write_stamp(home.settings.home, SystemClock().now() - timedelta(hours=9))

    home("release")

    assert not home.holds()


def test_what_was_written_into_an_old_copy_before_anybody_looked_does_not_hide_it(home: Home) -> None:
    home.worked(timedelta(hours=1))
    now = SystemClock().now()
    backup.write_stamp(home.settings.home, now - timedelta(minutes=5))
    with home.database() as database, database.work() as work:
        row = {"source": "alertmanager", "received_at": now - timedelta(minutes=1), "headers": {}, "body": b"{}"}
        work.session.execute(tables.inbox.insert().values(**row))
        facts = {"kind": "worker", "started_at": now, "worked_at": now, "facts": {"lane": "page"}}
        work.session.execute(tables.part.insert().values(name="worker-page-box-2", **facts))

    home("release")

    assert home.holds()


def test_a_clock_whose_stamp_could_not_be_written_for_long_is_no_sign_of_a_copy(home: Home) -> None:
    now = SystemClock().now()
    backup.write_stamp(home.settings.home, now - timedelta(hours=1))
    with home.database() as database, database.work() as work:
        row = {"kind": "clock", "started_at": now - timedelta(hours=9), "worked_at": now, "facts": {}}
        work.session.execute(tables.part.insert().values(name="clock-box-1", **row))

    home("release")

    assert not home.holds()


def test_a_copy_that_was_looked_at_is_not_held_again_while_the_stamp_is_as_it_was(home: Home) -> None:
    home.worked(timedelta(hours=1))
    backup.write_stamp(home.settings.home, SystemClock().now())
    home("release")
    with home.database() as database, database.work() as work:
        work.session.execute(tables.counter.delete().where(tables.counter.c.name == holdmode.SINCE))

    home("release")

    assert not home.holds()


@pytest.mark.parametrize("names", [("clock", "worker"), ("worker",)])
def test_a_process_that_starts_before_the_database_answers_looks_whether_it_is_an_old_copy(
    parts: Parts, desk: Desk, store_down: Callable[[], AbstractContextManager[None]], names: tuple[str, ...]
) -> None:
    desk.clock.set(SystemClock().now() - timedelta(hours=1))
    desk.alertmanager_says("firing")
    desk.news()
    stamp = parts.installation.folder / "var" / backup.STAMP
    backup.write_stamp(stamp.parent, SystemClock().now())
    before = stamp.read_text()

    def holds() -> bool:
        with parts.store.read() as work:
            return holdmode.since(work.session) is not None

    with store_down():
        parts.running = [parts.installation.start(name) for name in names]
        until(lambda: all(one.events("store.down") for one in parts.running), why=parts.log)
        assert stamp.read_text() == before
    until(holds, why=parts.log)
    until(lambda: any(row.kind == "worker" for row in parts.rows(tables.part)), why=parts.log)
    if "clock" in names:
        until(lambda: stamp.read_text() != before, why=parts.log)
        until(lambda: parts.recorder.received[desk.read :], why=parts.log)

    assert not [one for one in desk.news() if "INC-001" in one.text], "only the incident about the copy pages"


# --- hold mode ---


def test_two_processes_that_look_at_the_same_moment_begin_it_once(desk: Desk) -> None:
    meet = threading.Barrier(2)
    copied_at = desk.clock.now() - timedelta(hours=1)

    def begin() -> int:
        meet.wait(10)
        return len(desk.house.database.perform(look))

    def look(work: Work) -> list[promises.Bell]:
        return holdmode.begin(work.session, copied_at, book=desk.house.book(), now=work.now)

    with ThreadPoolExecutor(2) as both:
        begun = [one.result() for one in [both.submit(begin), both.submit(begin)]]

    with desk.house.database.read() as work:
        assert holdmode.since(work.session) == desk.clock.now()
    assert 0 in begun
    assert len(desk.incidents()) == 1
    desk.forward(minutes=1)
    assert [one.purpose for one in desk.news() if one.to == "ada"] == ["page"]


def hold(desk: Desk) -> None:
    """An hour is missing: the machine starts on the copy."""
    copied_at = desk.clock.now()
    desk.clock.set(copied_at + timedelta(hours=1))
    with desk.house.database.work() as work:
        work.ring(holdmode.begin(work.session, copied_at, book=desk.house.book(), now=work.now))
    desk.settle()


def test_nothing_of_an_old_copy_is_sent_and_on_call_hears_once_that_it_is_one(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()

    hold(desk)
    desk.audit()
    desk.forward(minutes=30)

    assert not [one for one in desk.news() if "INC-001" in one.text], "only the incident about the copy pages"
    assert desk.incident("INC-002")["title"] == "Firedoor runs on an old copy of its database"
    assert "is it over?" in desk.incident("INC-001")["needs_human"]
    states = {one["state"] for one in desk.api("GET", "/incidents/INC-001/pages")["items"]}
    assert states <= {"kept", "cancelled"}, "what was due an hour ago is given up"


def test_hold_mode_is_on_readyz_and_a_new_alert_pages_as_always(desk: Desk) -> None:
    hold(desk)
    desk.news()
    assert "firedoor resume" in desk.client.get("/readyz").get_json()["parts"]["hold_mode"]["reason"]

    desk.alertmanager_says("firing")

    assert ("page", "ada") in desk.heard()


def test_in_hold_mode_a_job_that_does_not_call_in_is_still_missed(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more="heartbeats: {nightly: {every: 10m, grace: 1m}}\n")
    desk.calls_in("nightly")
    hold(desk)
    desk.audit()
    desk.calls_in("nightly")
    desk.news()

    desk.forward(minutes=12)

    assert any("nightly" in one["title"] for one in desk.incidents())
    assert ("page", "ada") in desk.heard()


def test_in_hold_mode_a_silence_ends_and_what_still_fires_opens(desk: Desk) -> None:
    desk.api(
        "POST", "/silences", expect=201, matchers=['service="webapp-prod"'], **{"for": "90m", "reason": "The move"}
    )
    desk.alertmanager_says("firing")
    assert desk.incidents() == []
    hold(desk)
    desk.news()

    desk.forward(minutes=31)

    assert any("INC-002" in one["id"] for one in desk.incidents())
    assert ("page", "ada") in desk.heard()


def test_a_dangerous_act_that_was_under_way_is_parked_and_never_run_again(desk: Desk) -> None:
    with desk.house.database.work() as work:
        wanted = Wanted("page", "lever:1", work.now, lane="act", dangerous=True)
        promises.make(work.session, [wanted], now=work.now)
        claims.claim(work.session, now=work.now, lease=timedelta(seconds=20), lane="act")

    hold(desk)
    desk.forward(minutes=5)

    with desk.house.database.read() as work:
        row = work.session.execute(tables.promise.select().where(tables.promise.c.key == "lever:1")).one()
    assert (row.state, row.attempts) == ("parked", 1)
    desk.news()


def test_a_delivery_that_was_not_taken_in_is_put_aside_and_can_be_replayed(desk: Desk) -> None:
    desk.post(b"{}")
    hold(desk)
    desk.news()
    assert len(desk.incidents()) == 1, "only the one about the copy"

    assert desk.api("POST", "/inbox/1/replay", expect=202)["state"] == "new"
    desk.news()


def test_a_named_person_ends_it_with_a_reason_and_what_is_still_open_is_paged_again(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    hold(desk)
    desk.news()
    desk.api("POST", "/resume", expect=422)

    assert "Hold mode is over." in desk.api("POST", "/resume", reason="It still fires", by="ben")["said"]
    desk.audit()

    assert "Ben ended hold mode. Reason: It still fires" in desk.timeline("INC-001")
    assert [one for one in desk.news() if one.purpose == "page" and "INC-001" in one.text]
    assert "not on" in desk.api("POST", "/resume", expect=409, reason="again")["detail"]


def test_what_was_over_is_not_paged_after_hold_mode(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    hold(desk)
    desk.does("acknowledge")
    desk.does("resolve")
    desk.news()

    desk.api("POST", "/resume", reason="It was over")
    desk.audit()
    desk.forward(minutes=20)

    assert not [one for one in desk.news() if "INC-001" in one.text and one.purpose == "page"]
