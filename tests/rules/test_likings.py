"""Navigation, times and cookies of a browser: tables of cases on pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from console import keymap
from console.likings import likings, zone_of
from console.navigation import GROUPS, is_here, places
from console.showing import offset_words, ticked, time_words

NOW = datetime(2026, 11, 21, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        ("UTC", "12:02Z"),
        ("Europe/Istanbul", "15:02 (UTC+3) / 12:02Z"),
        ("Asia/Kolkata", "17:32 (UTC+5:30) / 12:02Z"),
        ("America/St_Johns", "08:32 (UTC-3:30) / 12:02Z"),
    ],
)
def test_a_time_says_the_viewers_and_zulu(zone: str, says: str) -> None:
    assert time_words(NOW, ZoneInfo(zone))["full"](NOW) == says


def test_utcs_own_offset_is_not_said() -> None:
    assert offset_words(NOW, UTC) == ""


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "x" * 100, "Europe"])
def test_a_zone_that_is_none_leaves_the_organisations(zone: str) -> None:
    assert str(zone_of(likings({"firedoor-zone": zone}), "Europe/Berlin")) == "Europe/Berlin"


def test_choices_that_are_none_are_the_first() -> None:
    found = likings({"firedoor-theme": "pink", "firedoor-keys": "<script>"})

    assert (found["theme"], found["keys"]) == ("auto", "on")


def test_every_address_is_in_one_place_at_most() -> None:
    everywhere = [one for _, group in GROUPS for one in group]
    for path in ("/", "/alerts/17", "/i/INC-001", "/runbooks/disk-full", "/inbox", "/wall", "/nowhere"):
        here = [one.path for one in everywhere if is_here(one, path)]
        assert len(here) == (0 if path == "/nowhere" else 1), (path, here)


def test_a_viewer_is_not_led_to_what_is_for_admins() -> None:
    served = {one.path for _, group in GROUPS for one in group}

    def seen(role: str) -> set[str]:
        return {one["path"] for group in places("/", role, served) for one in group["places"]}

    assert seen("admin") - seen("viewer") == {"/accounts", "/audit", "/inbox"}
    assert seen("operator") - seen("viewer") == {"/audit", "/inbox"}
    assert places("/", "admin", set()) == []


def test_names_between_backticks_are_code_and_the_rest_stays_text() -> None:
    assert ticked("Rule 3 of `open` decides") == "Rule 3 of <code>open</code> decides"
    assert ticked("`<b>` <script>") == "<code>&lt;b&gt;</code> &lt;script&gt;"


def test_a_key_that_somebody_chose_counts_and_the_others_stay() -> None:
    chosen = keymap.chosen({"acknowledge": "x", "note": ""})

    assert (chosen["acknowledge"], chosen["note"], chosen["help"]) == ("x", "n", "?")
    assert keymap.in_force(keymap.as_cookie(chosen)) == chosen
    assert keymap.as_cookie(keymap.chosen({})) == ""


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"note": "e"}, "“e” can't be the key for two things, “write a note” and “escalate”."),
        ({"note": "xy"}, "“xy” is no single key"),
        ({"note": "\x07"}, "is no single key"),
    ],
)
def test_a_key_that_can_not_be_is_refused_with_a_sentence(wanted: dict[str, str], says: str) -> None:
    with pytest.raises(keymap.WrongKey) as no:
        keymap.chosen(wanted)

    assert says in str(no.value)
    assert "Nothing was changed." in str(no.value)


@pytest.mark.parametrize("cookie", ["", "nonsense", "note=e", "note=xyz", "&&&=", "A" * 3000, "note=%FF"])
def test_a_cookie_that_makes_no_sense_changes_no_key(cookie: str) -> None:
    assert keymap.in_force(cookie)["escalate"] == "e"
    assert len(set(keymap.in_force(cookie).values())) == len(keymap.SHIPPED)
