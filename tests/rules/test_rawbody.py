"""What a person sees of a body that nobody understood: what came, whatever that was, and nothing that steers."""

from __future__ import annotations

import json
import random
import unicodedata

import pytest

from incidents.rawbody import LIMIT, LONGEST, readable
from tests.poison.injections import injections


def text(body: bytes) -> str:
    return readable(body, len(body)).text


def is_inert(shown: str) -> bool:
    return all(one in "\n\t" or one.isprintable() for one in shown)


@pytest.mark.parametrize(
    ("body", "shown", "escaped"),
    [
        (b"", "", 0),
        (b"disk full\n\tof logs", "disk full\n\tof logs", 0),
        ("Grüße, 磁盘 🔥".encode(), "Grüße, 磁盘 🔥", 0),
        (b"\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07", 3),
        (b"a\0b\r\nc\x7f", "a\\x00b\\x0d\nc\\x7f", 3),
        (b"caf\xe9 \xff", r"caf\xe9 \xff", 2),
        ("\u009b31m \u202etxt \u2028 \u00a0 \ufeff".encode(), r"\u009b31m \u202etxt \u2028 \u00a0 \ufeff", 5),
        (b"\xed\xa0\x80", r"\xed\xa0\x80", 3),  # half of a pair, written as if it were a character
        ("\U000e0041".encode(), r"\U000e0041", 1),
    ],
)
def test_what_can_not_be_seen_is_an_escape_and_all_else_is_as_it_came(body: bytes, shown: str, escaped: int) -> None:
    found = readable(body, len(body))

    assert (found.text, found.escaped) == (shown, escaped)
    assert not found.cut


def test_a_byte_and_a_character_of_the_same_number_are_told_apart() -> None:
    assert text(b"\x9b") == r"\x9b"
    assert text("\x9b".encode()) == r"\u009b"


def test_json_is_laid_out_and_each_part_stays_as_it_was_written() -> None:
    body = rb'{"a":1.50,"a":1e400,"b":[],"c":[{"d":"x\u202e,{}[]:\"\ud800"}, true ],"n":' + b"9" * 5000 + b"}"
    found = readable(body, len(body))

    assert found.laid_out
    assert found.text == (
        '{\n  "a": 1.50,\n  "a": 1e400,\n  "b": [],\n  "c": [\n    {\n'
        '      "d": "x\\u202e,{}[]:\\"\\ud800"\n    },\n    true\n  ],\n'
        f'  "n": {"9" * 5000}\n}}'
    )
    assert [text(each) for each in (b"{}", b'[ [ ] ,{"a" : 1}]', b"12")] == [
        "{}", '[\n  [],\n  {\n    "a": 1\n  }\n]', "12"
    ]  # fmt: skip


def test_what_is_laid_out_says_the_same_as_what_came() -> None:
    chance = random.Random(17)  # the same ones every time

    def anything(depth: int) -> object:
        kind = chance.randrange(6 if depth else 4)
        if kind < 4:
            return ('x,]}\\"', chance.randrange(10**9), None, 'é"\n')[kind]
        some = range(chance.randrange(4))
        return [anything(depth - 1) for _ in some] if kind == 4 else {f"k{n}": anything(depth - 1) for n in some}

    for _ in range(300):
        value = anything(5)
        for written in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            found = readable(written.encode(), len(written.encode()))
            assert found.laid_out
            assert json.loads(found.text) == value


DEEP = b"[" * 700 + b"1," * 5000 + b"1" + b"]" * 700


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1', b'{"a": "\xff"}', b"[" * 8000 + b"]" * 8000, DEEP, b"\xef\xbb\xbf{}"],
    ids=["ends early", "not UTF-8", "deeper than can be read", "deeper than can be shown", "a mark before it"],
)
def test_what_can_not_be_laid_out_is_shown_as_it_came(body: bytes) -> None:
    found = readable(body, len(body))

    assert not found.laid_out
    assert "\n" not in found.text
    assert len(found.text) <= LONGEST


def test_a_long_body_is_cut_and_no_character_of_it_is_halved() -> None:
    for lead in range(4):
        body = b"x" * lead + "🔥".encode() * LIMIT
        found = readable(body[:LIMIT], len(body))
        assert found.cut
        assert found.escaped == 0
        assert LIMIT - 4 < len(found.text.encode()) <= LIMIT
    whole = b"x" * LIMIT
    assert not readable(whole, LIMIT).cut
    assert readable(whole, LIMIT + 1).cut


def test_nothing_of_any_body_steers() -> None:
    chance = random.Random(4)  # the same ones every time
    every = "".join(chr(code) for code in range(0x20000) if unicodedata.category(chr(code)) != "Cs").encode()
    bodies = [chance.randbytes(5000) for _ in range(50)] + [
        one.encode("utf-8", "surrogatepass") for one in injections()
    ]
    bodies += [every[at : at + LIMIT] for at in range(0, len(every), LIMIT)]

    for body in bodies:
        found = readable(body, len(body))
        assert is_inert(found.text)
        found.text.encode()
