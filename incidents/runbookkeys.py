"""The keys of a runbook's front matter: what may stand where, and what holds when it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from incidents.conditions import Condition
from incidents.conditions import parse as parse_condition
from incidents.units import Day, Duration, NotAccepted, Whole, YesNo, number

PHASES = ("confirm", "contain", "diagnose", "fix", "verify")
LAST_RESORT = "correct_data"

# Safest first: the seed's four, and between them what it names besides.
RANKS: Mapping[str, float] = MappingProxyType(
    {
        "flag_off": 1,
        "roll_back_deploy": 2,
        "restart": 2.5,
        "scale_up": 2.6,
        "fail_over": 2.7,
        "purge_cache": 2.8,
        "roll_back_migration": 3,
        LAST_RESORT: 4,
    }
)
SAID = {
    "flag_off": "Switch the feature flag off",
    "roll_back_deploy": "Roll the deploy back to the last known good",
    "restart": "Restart it, one instance after the other",
    "scale_up": "Add capacity",
    "fail_over": "Fail over to the standby",
    "purge_cache": "Purge the cache",
    "roll_back_migration": "Roll the migration back",
    LAST_RESORT: "Correct the data",
}


def _filled(text: str) -> str:
    if not text.strip():
        raise NotAccepted("it is empty", "some text")
    return text


def _any_of(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _value(text: Any) -> Any:
    return number(text)[0] if isinstance(text, str) else text


Text = Annotated[str, AfterValidator(_filled)]
Written = Annotated[Condition, BeforeValidator(lambda text: parse_condition(text))]
Clause = Annotated[list[Written], Field(min_length=1), BeforeValidator(_any_of)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


class Lever(_Part):
    """A prepared act that limits harm, and the runbook's verdict on it."""

    lever: Text
    verdict: Literal["pull", "skip", "if"]
    if_: str = Field("", alias="if")
    reason: str = ""
    with_: dict[str, str] = Field({}, alias="with")
    mode: Literal["suggest", "one_click", "auto"] | None = None
    expect: str = ""
    check: str = ""
    cost: str = ""
    reversible: YesNo = False


class WrittenStep(_Part):
    """A step as the file has it."""

    phase: Literal["confirm", "contain", "diagnose", "fix", "verify"]
    text: Text
    command: str = ""
    check: str = ""
    expect: str = ""
    timeout: Duration | None = None
    on_fail: Literal["next", "stop", "escalate"] = "next"


class Rung(_Part):
    """One step of the escalation path, counted from the start of the incident's round."""

    after: Duration
    page: Text
    everyone: YesNo = False


class Example(_Part):
    """An alert that must match, or must not."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    value: Annotated[float | None, BeforeValidator(_value)] = None
    source: str = "alertmanager"
    fired: Whole = 1


class Examples(_Part):
    match: list[Example] = []
    no_match: list[Example] = []


class Front(_Part):
    """The front matter: what the machine acts on."""

    title: Text
    owner: Text
    service: Text | None = None
    severity: Text | None = None
    category: str = ""
    priority: Whole = 0
    when: list[Clause] = []
    group_by: list[str] = []
    opens: Literal["open", "suggest", "record"] = "open"
    fallback: YesNo = False
    draft: YesNo = False
    examples: Examples = Examples()
    impact: str | dict[str, str] = ""
    levers: list[Lever] = []
    steps: Annotated[list[WrittenStep], Field(min_length=1)]
    escalation: Annotated[list[Rung], Field(min_length=1)]
    status_message: str = ""
    reviewed: Day | None = None
