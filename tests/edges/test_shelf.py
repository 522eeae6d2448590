"""The book in force: read at the start, read again when a file changes, and never replaced by a faulty one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from firedoor.settings import PACKAGE_RUNBOOKS, Settings
from firedoor.shelf import Shelf
from incidents.errors import FaultsFound
from ports.clock import SettableClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOON)


def settings(folder: Path) -> Settings:
    (folder / "runbooks").mkdir()
    policy = folder / "firedoor.yaml"
    policy.write_text("version: 1\norganisation:\n  name: First\n")
    return Settings.from_env(
        {
            "FIREDOOR_HOME": str(folder),
            "FIREDOOR_POLICY": str(policy),
            "FIREDOOR_RUNBOOKS": str(folder / "runbooks"),
        }
    )


def test_the_shipped_book_needs_no_file(tmp_path: Path, clock: SettableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    shelf = Shelf(Settings.from_env({}), clock)

    assert shelf.faults == []
    assert {runbook.name for runbook in shelf.current().runbooks.all} == {
        path.stem for path in PACKAGE_RUNBOOKS.glob("*.md") if path.stem != "README"
    }


def test_a_saved_policy_is_in_force_within_a_second(tmp_path: Path, clock: SettableClock) -> None:
    shelf = Shelf(settings(tmp_path), clock)
    first = shelf.current()

    (tmp_path / "firedoor.yaml").write_text("version: 1\norganisation:\n  name: The second\n")

    assert shelf.current() is first, "it is not looked at more than once a second"
    clock.forward(timedelta(seconds=1))
    assert shelf.current().policy.organisation.name == "The second"
    assert shelf.current().policy.digest != first.policy.digest


def test_a_secret_that_is_mended_in_its_file_counts_within_a_second(tmp_path: Path, clock: SettableClock) -> None:
    secret = tmp_path / "ntfy_token"
    told = settings(tmp_path)
    channel = f"  phone: {{kind: ntfy, url: https://ntfy.example.com, token: 'file:{secret}'}}\n"
    (tmp_path / "firedoor.yaml").write_text(f"version: 1\nchannels:\n{channel}")
    shelf = Shelf(told, clock)
    assert not shelf.current().policy.channels["phone"].is_ready

    for value in ("wrong", "mended"):
        secret.write_text(f"{value}\n")
        clock.forward(timedelta(seconds=1))
        assert shelf.current().policy.channel_settings()["phone"]["token"] == value

    read_once = shelf.current()
    clock.forward(timedelta(seconds=1))
    assert shelf.current() is read_once


@pytest.mark.expects_errors("book.refused")
@pytest.mark.parametrize("lose", [Path.unlink, lambda file: file.write_text("")], ids=["removed", "emptied"])
def test_a_secret_whose_file_is_lost_stays_in_force_and_that_is_said(
    tmp_path: Path, clock: SettableClock, lose: Callable[[Path], Any]
) -> None:
    secret, told = tmp_path / "ntfy_token", settings(tmp_path)
    secret.write_text("good")
    channel = f"  phone: {{kind: ntfy, url: https://ntfy.example.com, token: 'file:{secret}'}}\n"
    (tmp_path / "firedoor.yaml").write_text(f"version: 1\nchannels:\n{channel}")
    shelf = Shelf(told, clock)

    lose(secret)
    clock.forward(timedelta(seconds=1))

    assert shelf.current().policy.channel_settings()["phone"]["token"] == "good"
    assert [fault.file for fault in shelf.refusals()] == [str(secret)]
    secret.write_text("new")
    clock.forward(timedelta(seconds=1))
    assert shelf.current().policy.channel_settings()["phone"]["token"] == "new"
    assert shelf.refusals() == []


@pytest.mark.expects_errors("book.refused")
def test_a_policy_saved_with_a_fault_leaves_the_last_good_one_in_force(tmp_path: Path, clock: SettableClock) -> None:
    shelf = Shelf(settings(tmp_path), clock)

    (tmp_path / "firedoor.yaml").write_text("version: 1\norganisaton:\n  name: Typo\n")
    clock.forward(timedelta(seconds=1))

    assert shelf.current().policy.organisation.name == "First"
    assert "organisaton" in str(shelf.faults[0])
    assert shelf.faults[0].line == 2


@pytest.mark.expects_errors("book.refused")
def test_a_policy_that_was_mended_is_in_force_again(tmp_path: Path, clock: SettableClock) -> None:
    shelf = Shelf(settings(tmp_path), clock)
    (tmp_path / "firedoor.yaml").write_text("nonsense: 1\n")
    clock.forward(timedelta(seconds=1))
    shelf.current()

    (tmp_path / "firedoor.yaml").write_text("version: 1\norganisation:\n  name: Mended\n")
    clock.forward(timedelta(seconds=1))

    assert shelf.current().policy.organisation.name == "Mended"
    assert shelf.faults == []


def test_nothing_starts_on_a_faulty_policy_and_all_faults_are_said(tmp_path: Path, clock: SettableClock) -> None:
    told = settings(tmp_path)
    (tmp_path / "firedoor.yaml").write_text("organisaton:\n  name: x\nseverites: {}\n")

    with pytest.raises(FaultsFound) as refused:
        Shelf(told, clock)

    assert len(refused.value.faults) >= 2
    assert str(tmp_path / "firedoor.yaml:1") in str(refused.value)


def test_a_runbook_that_cannot_be_read_does_not_keep_the_others_away(tmp_path: Path, clock: SettableClock) -> None:
    told = settings(tmp_path)
    shipped = next(path for path in sorted(PACKAGE_RUNBOOKS.glob("*.md")) if path.stem != "README")
    (told.runbooks_path / shipped.name).write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    (told.runbooks_path / "broken.md").write_text("---\ntitle: [\n---\n", encoding="utf-8")
    (told.runbooks_path / "latin.md").write_bytes(b"\xff\xfe---")
    (told.runbooks_path / "README.md").write_text("How to write one.", encoding="utf-8")

    shelf = Shelf(told, clock)

    names = {runbook.name: runbook for runbook in shelf.current().runbooks.all}
    assert shipped.stem in names
    assert "README" not in names
    assert "broken" not in names or not names["broken"].armed
    assert any("broken" in fault.file for fault in shelf.faults)
    assert any("latin" in fault.file for fault in shelf.faults)


def test_a_new_runbook_is_known_within_a_second(tmp_path: Path, clock: SettableClock) -> None:
    told = settings(tmp_path)
    shelf = Shelf(told, clock)
    assert not shelf.current().runbooks.all

    shipped = next(path for path in sorted(PACKAGE_RUNBOOKS.glob("*.md")) if path.stem != "README")
    (told.runbooks_path / shipped.name).write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    clock.forward(timedelta(seconds=1))

    assert [runbook.name for runbook in shelf.current().runbooks.all] == [shipped.stem]


GOOD = PACKAGE_RUNBOOKS / "disk-full.md"


@pytest.mark.expects_errors("book.refused")
def test_what_was_refused_is_told_until_it_is_mended(tmp_path: Path, clock: SettableClock) -> None:
    shelf = Shelf(settings(tmp_path), clock)
    assert shelf.refusals() == []

    (tmp_path / "firedoor.yaml").write_text("version: 1\nteams: {}\nnonsense: 1\n")
    clock.forward(timedelta(seconds=1))

    assert {fault.line for fault in shelf.refusals()} >= {3}
    (tmp_path / "firedoor.yaml").write_text("version: 1\n")
    clock.forward(timedelta(seconds=1))
    assert shelf.refusals() == []


@pytest.mark.expects_errors("book.refused")
def test_a_runbook_that_was_good_stays_as_it_was_and_one_that_was_removed_is_gone(
    tmp_path: Path, clock: SettableClock
) -> None:
    told = settings(tmp_path)
    path = told.runbooks_path / "disk-full.md"
    path.write_text(GOOD.read_text(encoding="utf-8"), encoding="utf-8")
    shelf = Shelf(told, clock)

    path.write_text(GOOD.read_text(encoding="utf-8").replace("severity: P2", "severity: [P2"), encoding="utf-8")
    clock.forward(timedelta(seconds=1))

    kept = shelf.current().runbooks.get("disk-full")
    assert kept is not None
    assert kept.armed
    assert [fault.file for fault in shelf.refusals()] == ["disk-full.md"]
    assert shelf.faults == shelf.refusals()

    path.write_bytes(b"\xff\xfe")
    clock.forward(timedelta(seconds=1))
    assert shelf.current().runbooks.get("disk-full") is kept, "nor does one that can't be read disarm it"

    path.unlink()
    clock.forward(timedelta(seconds=1))
    assert shelf.current().runbooks.get("disk-full") is None
    assert shelf.refusals() == []
