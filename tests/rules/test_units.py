"""Tables of spans and numbers with units."""

from datetime import timedelta

import pytest

from incidents.units import WorkingDays, day, duration, number, ratio, span, spoken, whole, yes_or_no


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("30s", 30), ("5m", 300), ("48h", 172800), ("2d", 172800), ("1h30m", 5400)]
)
def test_a_duration_is_read(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5wd", "5M", "1e3s", "٣m", "999999999d", "5m ", None, []])
def test_what_is_no_duration_says_what_is_accepted(text):
    with pytest.raises(ValueError, match="accepted"):
        duration(text)


def test_working_days_are_a_span_and_no_duration():
    assert span("5wd") == WorkingDays(5)
    assert span("5m") == timedelta(minutes=5)
    with pytest.raises(ValueError, match="working days"):
        span("5x")


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=90), "1 min 30 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(hours=2, minutes=15, seconds=9), "2 h 15 min"),
        (timedelta(days=1, minutes=5), "1 d"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_a_span_is_spoken_in_its_two_largest_parts(length, said):
    assert spoken(length) == said


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("500ms", (0.5, "s")), ("2 m", (120, "s")), ("5%", (0.05, "ratio")), ("1KiB", (1024, "B"))),
        *(("1MB", (1e6, "B")), ("-3.5", (-3.5, "")), ("1e3", (1000, "")), (".5", (0.5, "")), ("60%", (0.6, "ratio"))),
    ],
)
def test_a_number_comes_in_its_base_unit(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "x", "5 parsecs", "1e999", "nan", "inf", "1,5", "--1"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="accepted"):
        number(text)


def test_only_four_words_are_yes_or_no():
    assert [yes_or_no(text) for text in ("true", "yes", "false", "no")] == [True, True, False, False]
    for text in ("on", "off", "1", "True", ""):
        with pytest.raises(ValueError, match="true, false, yes or no"):
            yes_or_no(text)


@pytest.mark.parametrize(
    ("read", "text"), [(whole, "1.5"), (whole, "x"), (day, "2026-13-01"), (day, "20260101"), (ratio, "5")]
)
def test_other_scalars_are_strict(read, text):
    with pytest.raises(ValueError, match="accepted"):
        read(text)
