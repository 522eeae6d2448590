"""What templates need beside briefing's facts: which step is on, which buttons stand where, names for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from console.showing import read_time
from incidents import hats, lanes, quickadd
from incidents.book import Book
from incidents.lifecycle import LIVE, OPEN
from incidents.oncall import members
from incidents.permissions import lack
from incidents.press import Actor
from incidents.runbookkeys import LAST_RESORT
from incidents.takingback import WITHIN
from incidents.units import spoken
from incidents.verbs import VERBS

FAR = timedelta(hours=24)  # from then on a time says more than a countdown
MILESTONES = (
    ("Began", "began_at"),
    ("Detected", "detected_at"),
    ("Acknowledged", "acknowledged_at"),
    ("Contained", "contained_at"),
    ("Impact over", "impact_over_at"),
    ("Resolved", "resolved_at"),
    ("Stood down", "stood_down_at"),
    ("Closed", "closed_at"),
)
PRESSED_ALONE = ("acknowledge", "seen")  # verbs that ask for nothing
ASKING = ("decline", "escalate", "contain", "resolve", "stand_down", "reopen")  # verbs that take a sentence
IN_THE_THUMB_ZONE = ("acknowledge", "decline")
WRITTEN_LATER = timedelta(minutes=1)  # from then on an entry says when it was written down
# The three taps: what is asked, and what the buttons say. The answers are those of incidents/impact.py.
QUESTIONS: dict[str, dict[str, Any]] = {
    "scope": {"asks": "Who is affected?", "answers": {"all": "Everybody", "many": "Many", "few": "A few"}},
    "workaround": {"asks": "Is there a way around it?", "answers": {"yes": "Yes", "no": "No"}},
    "revenue": {"asks": "Does it cost revenue?", "answers": {"yes": "Yes", "no": "No"}},
}


def incident_page(
    facts: Mapping[str, Any],
    timeline: Sequence[Mapping[str, Any]],
    *,
    by: Actor,
    others: Mapping[str, str],
    book: Book,
    now: datetime,
) -> dict[str, Any]:
    """Everything of the incident page that is not in the shell. `others`: whose the related incidents are."""
    person = by.person
    verbs = within_reach(facts["verbs"], by, facts["team"])
    shown = {**facts, **derived(facts, now), "verbs": verbs}
    refused = [verb for verb in (*PRESSED_ALONE, *ASKING) if verbs[verb]["why"]]
    nobody_has_it = facts["taken_by"] is None and facts["status"] in OPEN
    return {
        "i": shown,
        "mine": (facts["taken_by"] or {}).get("id") == person,
        "commands": facts["roles"].get("commander", {}).get("id") == person,
        "lacks": lack(by, "respond", [facts["team"]]),
        "foreign": [name for name, team in others.items() if lack(by, "respond", [team])],
        "may_take_back": may_take_back(facts, person, now),
        "step_now": next((step for step in shown["steps"] if step["n"] == facts["next"]["step"]), None),
        # What an override opens: containment keeps its order whoever unlocks the rest.
        "any_waits": any(step["waits"] and step["phase"] != "contain" for step in shown["steps"]),
        "timeline": [shown_entry(entry, book) for entry in timeline],
        "rail": rail(shown),
        "untouched": bool(shown["ended_at"]) and all(one["state"] in ("waiting", "skipped") for one in shown["steps"]),
        "questions": QUESTIONS,
        "asks_impact": verbs["impact"]["allowed"] and not (facts["impact"]["proposed"] or {}).get("certain"),
        "lane_labels": lanes.LABELS,
        "simple": PRESSED_ALONE,
        "asks": ASKING,
        "refused": refused,
        "thumb": [verb for verb in IN_THE_THUMB_ZONE if verbs[verb]["allowed"]] if nobody_has_it else [],
        "people": everybody(book),
        "hat_labels": [(hat, hats.label(book, hat)) for hat in hats.HATS],
        "runbooks": [
            {"name": one.name, "title": one.title}
            for one in book.runbooks.all
            if one.name != (facts["runbook"] or {}).get("name")
        ],
        "severities": severities(book),
        "drafts_wait": any(one["updates"] == "draft" for one in shown["hearing"]),
        "next_update": next((one["due_at"] for one in facts["deadlines"] if one["kind"] == "update"), ""),
    }


def within_reach(verbs: Mapping[str, Mapping[str, Any]], by: Actor, team: str) -> dict[str, dict[str, Any]]:
    """The verbs as this account may press them: what would be refused to it is not offered."""
    return {
        verb: {**one, "allowed": one["allowed"] and lack(by, verb, [team], needs=VERBS[verb].needs) is None}
        for verb, one in verbs.items()
    }


def may_take_back(facts: Mapping[str, Any], person: str, now: datetime) -> str:
    """Until when this person's acknowledgement can be taken back; "" where it can't be."""
    if (facts["taken_by"] or {}).get("id") != person or facts["status"] not in OPEN:
        return ""
    until = read_time(facts["taken_at"]) + WITHIN
    return until.isoformat() if now <= until else ""


def shown_entry(entry: Mapping[str, Any], book: Book) -> dict[str, Any]:
    """An entry of the timeline: whose it is, by which link or app, its lane, and whether it was written down later."""
    late = read_time(entry["entered_at"]) - read_time(entry["at"]) > WRITTEN_LATER
    return {
        **entry,
        "machine": entry["actor"] == "firedoor",
        "name": name_of(book, entry["actor"]),
        "way": "" if entry["source"] in lanes.OWN_WAYS else entry["source"],
        "lane": lanes.lane_of(entry["kind"]),
        "typed": entry["kind"] in quickadd.KINDS,
        "entered_late": late,
    }


def rail(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What falls due, soonest first, and before it what is overdue: who has not heard, what the engine is late with."""
    unheard = [
        {"what": f"{one['label']} has not heard", "due_at": one["due_at"], "overdue": True}
        for one in shown["hearing"]
        if one["state"] in ("late", "missed")
    ]
    waiting = [one for one in shown["deadlines"] if not (one["overdue"] and one["kind"] == "deadline")]  # said already
    return sorted([*unheard, *waiting], key=lambda one: (not one["overdue"], str(one["due_at"])))


def derived(facts: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    ended_at = facts["closed_at"] or facts["stood_down_at"] if facts["status"] not in LIVE else None
    return {
        "url": f"/i/{facts['id']}",
        "is_open": facts["status"] in OPEN,
        "is_live": facts["status"] in LIVE,
        "ended_at": ended_at,
        "over_at": over_at(facts, ended_at),
        "first": first_containment(facts),
        "then": first_lever(facts),
        "hats": [
            (worn["label"], worn["name"])
            for worn in facts["roles"].values()
            if worn["id"] != (facts["taken_by"] or {}).get("id")
        ],
        "milestones": [(what, facts[name]) for what, name in MILESTONES if facts[name]],
        "steps": [
            {**step, "may_go_early": step["phase"] == "contain" and step["lever"] != LAST_RESORT}
            for step in facts["steps"]
        ],
        "hearing": [{**one, "far": read_time(one["due_at"]) - now > FAR} for one in facts["hearing"]],
    }


def over_at(facts: Mapping[str, Any], ended_at: str | None) -> str | None:
    """When the trouble was over: people stand down, and close it, later. None while it lasts."""
    if facts["status"] in OPEN:
        return None
    by_itself = facts["cleared_at"] if facts["closed_reason"] == "self_cleared" else None
    at: str | None = by_itself or facts["impact_over_at"] or facts["resolved_at"] or ended_at
    return at


def first_containment(facts: Mapping[str, Any]) -> str:
    """What its page says to do first (U1), for whoever has not acknowledged yet; "" for others."""
    if facts["next"]["verb"] != "acknowledge":
        return ""
    waiting = (step for step in facts["steps"] if step["phase"] == "contain" and step["state"] == "waiting")
    return next((step["text"] for step in waiting if step["lever"] != LAST_RESORT), "")


def first_lever(facts: Mapping[str, Any]) -> str:
    """What comes after the quick look that is next; "" where something else is."""
    by_n = {step["n"]: step for step in facts["steps"]}
    if by_n.get(facts["next"]["step"], {}).get("phase") != "confirm":
        return ""
    levers = (step["text"] for step in facts["steps"] if step["lever"] and step["state"] == "waiting")
    return next(levers, "")


def listed(item: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the list."""
    holder = item["taken_by"]
    ended_at = item["closed_at"] or item["stood_down_at"]
    return {
        **item,
        "holder": holder["name"] if holder else "",
        "ended_at": ended_at,
        "over_at": over_at(item, ended_at),
        "nobody": item["status"] in OPEN and not holder,
    }


def severities(book: Book) -> list[dict[str, str]]:
    """The severity table as a form prints it: code, word, when to choose it, who hears."""
    return [
        {"code": code, "label": one.label, "definition": one.definition, "hears": hears_words(one.hears)}
        for code, one in book.policy.severities.items()
    ]


def hears_words(rows: Sequence[Any]) -> str:
    """`on-call, tech lead paged within 5 min; leadership told within 30 min`."""
    verbs = {"page": "paged", "tell": "told", "digest": "told in a digest"}
    return "; ".join(
        f"{', '.join(role_words(who) for who in row.who)} {verbs[row.how]} "
        + (f"within {spoken(row.within)}" if row.within else f"at the {row.at.replace('_', ' ')}")
        for row in rows
    )


def role_words(role: str) -> str:
    return "on-call" if role == "oncall" else role.replace("_", " ")


def everybody(book: Book) -> list[dict[str, str]]:
    return [{"id": person, "name": name_of(book, person)} for person in book.policy.people]


def services(book: Book, by: Actor) -> list[dict[str, str]]:
    """What this account may declare an incident of; the first stands for a service that nobody knows."""
    named = [("", ""), *((name, service.name or name) for name, service in book.policy.services.items())]
    return [{"id": name, "name": said} for name, said in named if not lack(by, "declare", [_team(name, book)])]


def to_open(alerts: Iterable[Mapping[str, Any]], by: Actor, book: Book) -> list[dict[str, Any]]:
    """Alerts that a press would open, each with what this account lacks for it."""
    return [{**alert, "lacks": lack(by, "open_alert", [_team(alert["service"], book)])} for alert in alerts]


def _team(service: str | None, book: Book) -> str:
    return book.policy.team_of(service or None).team


def on_call(book: Book, now: datetime) -> list[dict[str, Any]]:
    """Each team's roles, and whom each reaches now, by which channels in which order."""
    policy = book.policy
    teams = []
    for name, team in policy.teams.items():
        roles = [role for role in (*team.roles, *policy.roles) if role]
        teams.append(
            {
                "name": team.name or name,
                "roles": [
                    {
                        "label": role_words(role),
                        "people": [reached(book, person) for person in members(policy, name, role, now=now)],
                    }
                    for role in dict.fromkeys(roles)
                ],
            }
        )
    return teams


def reached(book: Book, person: str) -> dict[str, str]:
    channels = [contact.channel for contact in book.policy.contacts(person, "page")]
    return {"name": name_of(book, person), "by": ", then ".join(channels)}


def name_of(book: Book, person: str) -> str:
    known = book.policy.people.get(person)
    return (known.name or person) if known else person
