"""The judge of the power cuts finds an answered alert that is missing and a damaged file, and allows the rest."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.power_cut import Cuts, alerts_of, backfilled, commits, look_at

Files = tuple[bytes, bytes]
ALL = {"c1", "c2", "c3"}
TEARS = 8


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Three deliveries, a commit each, of which the first one alone has left the WAL."""
    file = tmp_path / "firedoor.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE inbox (id INTEGER PRIMARY KEY, body BLOB, more BLOB)")
        connection.execute("CREATE INDEX ix ON inbox (more)")
        for name in sorted(ALL):
            body = json.dumps({"alerts": [{"labels": {"case": name}}]})
            connection.execute("INSERT INTO inbox (body, more) VALUES (?, ?)", (body, name * 2000))
            connection.commit()
            if name == "c1":
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes(), Path(f"{file}-wal").read_bytes()


def look(tmp_path: Path, stored: bytes, wal: bytes, answered: set[str]) -> Cuts:
    cuts = Cuts()
    for seed in range(TEARS):  # each tears it elsewhere
        look_at(tmp_path / "cut.db", stored, wal, answered, random.Random(seed), cuts)
    return cuts


def test_each_commit_of_the_wal_is_found(tmp_path: Path, files: Files) -> None:
    stored, wal = files
    ends = list(commits(wal))

    kept = [alerts_of(tmp_path / "cut.db", stored, wal[:end]) for end in (0, *ends)]

    assert kept == [({"c1"}, "ok"), ({"c1", "c2"}, "ok"), (ALL, "ok")]


def test_what_was_answered_survives_a_tear_behind_it(tmp_path: Path, files: Files) -> None:
    cuts = look(tmp_path, *files, ALL)

    assert (cuts.broken, cuts.torn, cuts.in_the_wal_alone) == ([], 0, TEARS)


def test_a_commit_that_nobody_was_answered_for_may_be_torn(tmp_path: Path, files: Files) -> None:
    cuts = look(tmp_path, *files, {"c1", "c2"})

    assert (cuts.broken, cuts.torn) == ([], TEARS)


def test_an_answered_alert_that_is_missing_is_found(tmp_path: Path, files: Files) -> None:
    cuts = look(tmp_path, *files, {*ALL, "c4"})

    assert cuts.broken[0] == "T11: copy 1 lost 1 alerts, c4 the first"


def test_a_damaged_file_is_found(tmp_path: Path, files: Files) -> None:
    stored, _ = files
    damaged = stored[:5000] + bytes(1000) + stored[6000:]

    cuts = look(tmp_path, damaged, b"", set())

    assert len(cuts.broken) == 2 * TEARS


def test_what_a_checkpoint_has_begun_to_carry_over_is_known(tmp_path: Path) -> None:
    file = tmp_path / "walled.db"
    with closing(sqlite3.connect(file)) as connection, closing(sqlite3.connect(file)) as other:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE one (body TEXT)")
        other.execute("SELECT count(*) FROM one").fetchall()

        def synced() -> tuple[int, int]:
            wal = Path(f"{file}-wal").read_bytes()
            return backfilled(Path(f"{file}-shm").read_bytes(), wal), list(commits(wal))[-1]

        assert synced()[0] == 0
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        carried, end = synced()
        assert carried == end
