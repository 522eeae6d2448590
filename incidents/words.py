"""The sentences that the record keeps: code → words. No other file words a timeline entry or a refusal."""

from __future__ import annotations

from typing import Any

TIMELINE = {
    "opened.runbook": "{name} opened: {title}. The runbook “{runbook}” matched.",
    "opened.mapping": "{name} opened: {title}. No runbook is armed for it; its severity label says {severity}.",
    "opened.heartbeat": "{name} opened: {title}. A missed heartbeat opens by itself; the policy says {severity}.",
    "opened.person": "{name} declared by {person}: {title}.",
    "opened.suggestion": "{name} opened by {person} from a suggested alert: {title}.",
    "opened.unreadable": "{name} opened: an authentic delivery of {sender} could not be understood ({why}). "
    "Its raw body is kept as inbox entry {inbox_id}.",
    "opened.parked": "{name}: a dangerous promise is parked ({kind}): whether it took effect can't be known. "
    "It will not be run again by itself.",
    "suspect": "Suspect: {what}{by}. It is the newest change before this began.",
    "opened.old_copy": "{name} opened: the database is a copy of {copied}. Hold mode: nothing of before is sent or run again.",
    "hold.begun": "Hold mode: this is as it was at {copied}. Nothing of it is sent or run again until a person resumes.",
    "hold.resumed": "{person} ended hold mode. Reason: {reason}",
    "recurrence": "This happened before: {parent}.",
    "team.default": "No service of the policy claims this alert; it goes to the default team.",
    "runbook.missing": "No runbook matched. The generic containment checklist is used; write one afterwards.",
    "runbook.lent": "The runbook “{runbook}” matches and is not armed ({why}): it lends its steps and decides nothing.",
    "hears": "Must hear: {who} by {by}.",
    "hears.nobody": "{audience} must hear by {by}, and the policy names nobody for it.",
    "shadow.opened": "In shadow: everything is decided and recorded, and nothing leaves.",
    "shadow.kept_back": "Shadow: would have {what}.",
    "shadow.path_over": "Shadow: the path ran through once. It would go on until somebody took it; that is not recorded.",
    "shadow.went_live": "It is live now: {name} goes on with it.",
    "fired": "Firing: {title}.",
    "joined": "One more alert joined: {title}.",
    "fired.again": "Firing again: {title}.",
    "silenced": "Firing again: {title}. Silence {silence} of {author} mutes it until {until}; nobody is paged.",
    "silence.ended": "Silence {silence} muted it until now. It still fires, so it is decided anew.",
    "held": "{title} fires again right after its resolve. Waiting until {until}, in case it is a slower peer's old news.",
    "left": "{title} belongs to {name} now.",
    "cleared.alert": "Resolved by its sender: {title}.",
    "signal.clear": "The signal is clear: nothing of this incident fires any more.",
    "signal.held": "Paging holds while the signal is clear; a new firing lets it go on.",
    "signal.back": "The signal is back; what was held goes on.",
    "signal.stale": "Signal stale: {title} was not repeated since {since}, and no resolve came. A silence does that. "
    "It is not taken for resolved.",
    "asked.firing": "Asked {sender}: {title} still fires there, so it is not stale.",
    "asked.silenced": "Asked {sender}: {title} is silenced there, and still fires.",
    "asked.unknown": "Asked {sender}: it knows {title} no more. It may have ended during a silence; a person decides.",
    "asked.unreached": "{sender} could not be asked after its silent alerts.",
    "self_cleared.unsent": "Cleared before the first page left: nobody was paged.",
    "self_cleared": "Cleared by itself at {when}. Nobody had acknowledged; everyone who was asked is told.",
    "self_cleared.often": "This is the {count}. time in 7 days that it cleared by itself. "
    "Follow-up: mend the runbook or the alert rule.",
    "followed_up": "{person} answered what it asked for after its end: {what}.",
    "resolved.signal": "Resolved: the signal stayed clear for {after}. Contained and impact over are marked “by signal”.",
    "reopened": "Reopened: it fires again. Round {round}: nobody has it yet.",
    "reopened.person": "Reopened by {person}. Round {round}: nobody has it yet.{reason}",
    "reopened.again": "Reopened: it happened again. Round {round}: nobody has it yet.",
    "reopened.flapping": "It opened {count} times within an hour. From now on it no longer clears itself.",
    "page.sent": "{person} was paged by {channel}{again}.",
    "page.inside": "{person} was paged by {channel}, in one page with other incidents (storm).",
    "page.failed": "The page to {person} by {channel} failed for good: {why}.",
    "page.retried": "The page to {person} by {channel} did not go through ({why}); it is tried again.",
    "page.unsure": "The page to {person} by {channel} may or may not have left ({why}); it is sent again with the same key.",
    "page.delivered": "The page reached {person}'s device, says {channel}.",
    "page.withdrawn": "The page to {person} by {channel} no longer rings: {why}.",
    "page.expired": "The page to {person} by {channel} rang for its time, and nobody acknowledged it there.",
    "receipt.refused": "{person} acknowledged on their device; it does not count. {why}",
    "receipt.late": "{person} acknowledged on their device; it was over by then.",
    "tell.sent": "{person} was told by {channel}.",
    "tell.failed": "Telling {person} by {channel} failed for good: {why}.",
    "digest.sent": "The digest went to {person} by {channel}.",
    "heard": "{audience} has heard: {person}, by {evidence}.",
    "missed": "{audience} has not heard within {within}. It was due at {due}; it is still owed.",
    "missed.late": "{audience} heard {late} late: it was due at {due}.",
    "missed.unproven": "{audience} was told within {within}, but no provider proved it: sent, not proven.",
    "escalated": "Nobody has it after {after}: paging {who}.",
    "escalated.person": "{person} escalated: paging {who}.{reason}",
    "escalated.declined": "{person} can't take it: paging {who} at once.",
    "escalated.nobody": "Nobody has it after {after}, and {role} names nobody to page.",
    "escalation.lap": "The path is used up and nobody has it: it runs again (lap {lap}).",
    "escalation.done": "The path ran {laps} times and nobody took it. Needs a human: it stays on the list and in the next digest.",
    "acknowledged": "{person} has it. Escalation has stopped.",
    "unacknowledged": "{person} took the acknowledgement back: nobody has it, and paging goes on as if it had not been.",
    "acknowledged.late": "{person} acknowledged too; {holder} has it.",
    "seen": "{person} has seen it.",
    "declined": "{person} can't take it.{reason}",
    "declined.nobody": "{person} can't take it, and nobody else is left to page now.",
    "still_on_it": "{person} did nothing for {quiet} while it still fires: asked “still on it?”.",
    "still_on_it.raised": "The severity was raised: {person} is asked “still on it?”.",
    "still_on_it.yes": "{person} is still on it.",
    "lapsed": "{person} did not answer “still on it?” within {within}: the acknowledgement lapsed. "
    "Round {round}: nobody has it.",
    "role": "{person} is {role} now.",
    "handover.offered": "{giver} offers {person} to be {role}. {keeper} stays {role} until {person} accepts.",
    "handover.declined": "{person} can't be {role}: {keeper} stays {role}.",
    "handover.lapsed": "{person} did not answer: {keeper} stays {role}.",
    "hat.outside": "{person} did what is the {role}'s to do; {wearer} is {role}.",
    "role.end": "{person} is no longer {role}.",
    "severity.raised": "{person} raised the severity from {before} to {after}.{reason}",
    "severity.lowered": "{person} lowered the severity from {before} to {after}.{reason}",
    "severity.raised.alert": "The severity was raised from {before} to {after} by an alert: {title}.",
    "severity.proposed": "An alert proposes {after}: {title}. A person set {before}, so it stays until a person changes it.",
    "step.done": "Step {n} done: {text}",
    "step.failed": "Step {n} failed: {text}{reason}",
    "step.skipped": "Step {n} skipped: {text}{reason}",
    "override": "{person} unlocked diagnosis before containment. Reason: {reason}",
    "contained": "{person} says it is contained: the harm no longer grows.{note}",
    "resolved": "{person} resolved it.{note}",
    "updates": "{person} sent the ready draft to {who}.{words}",
    "updates.further": "{person} sent a further update to {who}.{words}",
    "stood_down": "{person} stood the team down.{note} Everyone who was asked or told hears of it.",
    "note": "{text}",
    "finding": "{text}",
    "hypothesis": "{text}",
    "decision": "{text}",
    "tried": "{text}",
    "impact": "{person} on the impact: {said}{proposed}",
    "cascade.paged": "Probably part of {root}: {title}. {person} is paged once. Its own escalation and its other audiences "
    "wait: they are asked once somebody separates it, or once {root} ends while this still fires.",
    "cascade.told": "Probably part of {root}: {title}. {person} has that one and is told. Its own escalation and its other "
    "audiences wait: they are asked once somebody separates it, or once {root} ends while this still fires.",
    "cascade.goes_on": "Probably part of {root}: {title}. A {before} does not wait for it: its people are paged as ever.",
    "cascade.here": "{part} opened beside it and is probably part of this: {title}.",
    "cascade.raised": "Its severity was raised, so it waits for no other incident: its people are asked now.",
    "cascade.ended": "{root} is over and this is not: it stands alone now, and its people are asked from this moment.",
    "separated": "{person} separated it from {root}. It stands alone now: its people are asked from this moment.",
    "merged": "{person} merged it into {into}: its alerts ({count}) are there now, and nothing more of this one is owed.{reason}",
    "merged.here": "{person} merged {other} into this: {title}. Its alerts ({count}) are here now.{reason}",
    "merged.taken": "{person} had {other}, so {person} has this too.",
    "merged.raised": "{other} was {after}: this is raised from {before}.",
    "split": "{person} split off {count} of the alerts into {other}: {title}.{reason}",
    "split.from": "{name} opened by {person}: {title}. It was split off {other}, and stands alone.",
    "runbook.changed": "{person} changed the runbook from “{before}” to “{after}”: the {count} steps not yet done are "
    "replaced. The severity stays.{reason}",
    "false_alarm": "{person} closed it as a false alarm. Reason: {reason} Proposed: {proposal}",
    "undone": "{person} took this back: {what}",
    "undone.here": "{person} took back what was done with {other}: {what}",
    "audit.repaired": "Audit: this incident had no future promise. {repair}",
    "needs_human": "Needs a human: {why}",
}

ENDED = {
    "stood_down": "The team has been stood down",
    "closed": "It is closed",
    "resolved": "It is resolved",
    "active": "It is still active",
    "contained": "It is contained already",
}

# How things stand, in a message that is changed after it was sent.
STANDS = {
    "past": "A new round began: a newer message asks for an answer.",
    "over": "{ended}.",
    "taken": "{holder}.",
    "open": "Nobody has it yet.",
}

# What a person reads who pressed a button elsewhere, where no verb answered.
REPLIES = {
    "nobody": "Firedoor knows nobody by your id {user}. Nothing was changed. Add it to your contacts in the policy.",
    "told": "You were told of {incident}, not asked to take it: “Seen” is the answer that counts. Nothing was changed.",
    "late": "{holder} has it already. Noted that you acknowledged too.",
}

# What a person reads who pressed, where a verb can come out in several ways.
SAID = {
    "decline": "Noted. The next person is paged now.",
    "decline.held": "Noted. The signal is clear, so paging holds: the next person is paged once it fires again.",
    "decline.given_back": "Noted. Nobody has it now: a new round begins, and its people are asked from its start.",
    "decline.taken": "Noted. {holder} has it, so nobody else is paged.",
    "decline.told": "Noted: you will not be paged in your turn. Nobody else is paged by that; who was paged is still asked.",
    "decline.nobody": "Noted. Nobody else is left to page: you are asked again by the path.",
    "decline.nobody_ever": "Noted. Nobody else is left to page, and nobody is asked again by itself: call somebody.",
    "decline.hat": "Noted. {keeper} stays {role}.",
}

REFUSALS = {
    ("contain", "contained"): "It is contained already. Nothing was changed.",
    ("contain", "resolved"): "It is resolved already. Nothing was changed.",
    ("resolve", "resolved"): "It is resolved already. Nothing was changed.",
    ("stand_down", "active"): "The team can't be stood down: the incident is not resolved. "
    "Nothing was changed. Contain it, then resolve it, then stand down.",
    ("stand_down", "contained"): "The team can't be stood down: it is contained, but not resolved. "
    "Nothing was changed. Resolve it first.",
    ("stand_down", "stood_down"): "The team has been stood down already. Nothing was changed.",
    ("acknowledge", "resolved"): "It is resolved: there is nothing left to acknowledge. Nothing was changed.",
    ("reopen", "active"): "It is active already. Nothing was changed.",
    ("reopen", "closed"): "It is closed for good. Nothing was changed. Declare a new incident instead.",
}

VERB_WORDS = {
    "acknowledge": "acknowledged",
    "unacknowledge": "given back",
    "decline": "declined",
    "escalate": "escalated",
    "step": "worked on",
    "override": "overridden",
    "severity": "changed in severity",
    "impact": "judged by its impact",
    "role": "given to somebody",
    "accept": "accepted",
    "updates": "told about",
    "contain": "contained",
    "resolve": "resolved",
    "stand_down": "stood down",
    "reopen": "reopened",
    "seen": "marked as seen",
    "clear": "cleared",
    "merge": "merged",
    "false_alarm": "closed as a false alarm",
    "separate": "separated",
    "split": "split",
    "runbook": "given another runbook",
}


def say(code: str, **facts: Any) -> str:
    """The sentence of a timeline entry."""
    return TIMELINE[code].format(**facts)


def answer(code: str, **facts: Any) -> str:
    """What a person reads who pressed."""
    return SAID[code].format(**facts)


def refusal(verb: str, status: str) -> str:
    """The sentence a person reads when `verb` is not allowed in `status`."""
    known = REFUSALS.get((verb, status))
    if known:
        return known
    return f"{ENDED[status]}, so it can't be {VERB_WORDS.get(verb, verb)}. Nothing was changed."


def stands(standing: str, status: str, holder: str) -> str:
    """How things stand with an incident, in one sentence."""
    return STANDS[standing].format(ended=ENDED.get(status, status), holder=holder)


def because(reason: str | None) -> str:
    """` Reason: …` where there is one."""
    return f" Reason: {reason}" if reason else ""


def names(people: list[str]) -> str:
    """`Ada`, `Ada and Ben`, `Ada, Ben and Cy`."""
    if len(people) < 2:
        return "".join(people)
    return f"{', '.join(people[:-1])} and {people[-1]}"
