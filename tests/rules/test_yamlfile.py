"""YAML without surprises: text stays text, every fault has its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from incidents.errors import FaultsFound
from incidents.units import Duration, YesNo
from incidents.yamlfile import checked, read_yaml


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    within: Duration
    for_: list[str] = Field(alias="for")


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: dict[str, list[Part | None]] = {}
    flag: YesNo = False


def faults_of(text):
    with pytest.raises(FaultsFound) as found:
        read_yaml(text, "f.yaml")
    return [(fault.line, fault.what) for fault in found.value.faults]


def test_every_scalar_stays_text():
    document = read_yaml("a: off\nb: 10:30\nc: 012\nd: 1.0\ne: ~\nf: 2026-10-01\n<<: x\n", "f")

    assert document.value == {"a": "off", "b": "10:30", "c": "012", "d": "1.0", "e": "~", "f": "2026-10-01", "<<": "x"}


def test_a_path_leads_to_its_line():
    document = read_yaml("a:\n  b:\n    - x\n    - c: 1\n", "f", first_line=10)

    assert [document.line(path) for path in ([], ["a"], ["a", "b", 1, "c"], ["a", "b", 0], ["a", "zz"])] == [
        *(10, 10, 13, 12, 10)
    ]


def test_an_anchor_is_followed():
    assert read_yaml("a: &x [1]\nb: *x\n", "f").value == {"a": ["1"], "b": ["1"]}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: [", 2, "This is not YAML"),
        ("a: 1\nb: 2\na: 3", 3, "`a` is written twice, first on line 1."),
        ("\n\nb: \x01", 3, "A control character"),
        ("é: ü\nb: \x01", 2, "A control character"),
        ("a: \ud800", 1, "not valid Unicode"),
        ("[" * 5000, 1, "nested too deeply"),
        ("a: !!python/object:os.system x", 1, "The tag"),
        ("a: &a [*a]", 1, "names no value above it"),
        ("a: 1\n---\nb: 2", 2, "A second document"),
        ("? [a]\n: 1", 1, "A key must be plain text"),
        ("a: " + "x" * 1100000, 1, "too large"),
    ],
)
def test_what_can_not_be_read_is_a_fault_with_its_line(text, line, what):
    found = faults_of(text)

    assert found[0][0] == line
    assert what in found[0][1]


def test_aliases_do_not_unfold_into_gigabytes():
    text = "a0: &x0 [1,1,1,1,1,1,1,1,1]\n"
    text += "".join(f"a{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12))

    assert "too many values" in faults_of(text)[0][1]


def test_all_faults_come_at_once_with_line_and_what_is_accepted():
    text = "parts:\n  x:\n    - within: 5q\n      fro: [a]\n    - {within: 1m, for: page}\nflag: off\nflg: 1\n"

    with pytest.raises(FaultsFound) as found:
        checked(Whole, read_yaml(text, "f.yaml"), file="f.yaml")

    assert str(found.value).splitlines() == [
        "f.yaml:3: `parts.x[0].within`: `5q` is not a duration. "
        "Accepted: a number and s, m, h or d, such as 30s, 5m, 48h.",
        "f.yaml:3: `parts.x[0].for` is missing.",
        "f.yaml:4: Unknown key `parts.x[0].fro`. Accepted: did you mean `for`? Known keys: for, within.",
        "f.yaml:5: `parts.x[1].for` must be a list. Accepted: one `- …` line each, or [a, b].",
        "f.yaml:6: `flag`: `off` is neither true nor false. Accepted: true, false, yes or no.",
        "f.yaml:7: Unknown key `flg`. Accepted: did you mean `flag`? Known keys: flag, parts.",
    ]


def test_an_empty_file_is_an_empty_map():
    assert read_yaml("# nothing yet\n", "f").value == {}


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!#|>'\"?,\n \t\x00é\ud800"), max_size=60))
def test_any_text_is_read_or_refused(text):
    lines = [1]
    try:
        read_yaml(text, "f")
    except FaultsFound as refused:
        lines = [fault.line for fault in refused.faults]

    assert min(lines) >= 1
