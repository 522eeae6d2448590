"""The slack channel: a message with buttons to a person or a room, changed when the state changes elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from incidents.alerts import clean_line
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.blocks import TEXT, content, escaped
from worker.channels.calling import CONNECT_SECONDS, READ_SECONDS, Caller, read_json, web_base
from worker.channels.channel import Can, Log, Message

JSON = "application/json; charset=utf-8"
SLACK = "https://slack.com/api"
AN_ID = re.compile(r"[CDGUW][A-Z0-9]{2,}")  # a name may be given to another room; an id never is
ROOMS = ("C", "G")
NOT_NOW = ("ratelimited", "rate_limited", "service_unavailable", "request_timeout", "team_added_to_org")
UNSURE = ("internal_error", "fatal_error")  # Slack's own words: some aspect of it may have succeeded


class SlackChannel:
    """Settings: `token` (the bot's), `secret` (the app's signing secret), `room` and, for a stand-in, `url`."""

    kind: ClassVar[str] = "slack"
    can: ClassVar[Can] = Can(
        wakes=False,
        receipt=False,
        acknowledge=True,
        update=True,
        evidence="sent, not proven: Slack took it; its buttons answer",
        timeout=timedelta(seconds=CONNECT_SECONDS + READ_SECONDS),
        limits="header 150, text 29,000 characters; one message a second a room",
        permanent="3xx, 4xx, and 200 with an `error` like `channel_not_found` or `invalid_auth`",
        transient="`ratelimited`, `service_unavailable`, 408, 429, 5xx; 429 and 503 after `Retry-After`",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        if not settings.get("token"):
            raise ValueError(f"channel {name}: `token` is missing; it is the bot's, and begins with xoxb-")
        self._token = str(settings["token"])
        self._base = web_base(str(settings.get("url") or SLACK), name)
        self._room = str(settings.get("room") or "")
        self._hears = bool(settings.get("secret"))  # without it a press could not be told from anybody's
        self._caller = Caller(name, clock=clock)
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        to = address or self._room
        if not AN_ID.fullmatch(to):
            return self._caller.outcome("no", "the contact needs a member id (U…) or a room's id (C…)", permanent=True)
        in_a_room = to.startswith(ROOMS)
        said = {
            "channel": to,
            **_content(message, in_a_room=in_a_room, with_buttons=self._hears),
            "metadata": {"event_type": "firedoor_message", "event_payload": {"key": message.key}},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread := _thread(message, to) if in_a_room else "":
            # a reply in a thread is seen by nobody who does not look: a page is shown in the room as well
            said |= {"thread_ts": thread, "reply_broadcast": message.facts.get("purpose") == "page"}
        return self._call("chat.postMessage", said)

    def update(self, message: Message, ref: str) -> Outcome:
        """Say in an earlier message how things stand; its buttons go."""
        room, _, ts = ref.partition("/")
        said = {"channel": room, "ts": ts, **_content(message, in_a_room=room.startswith(ROOMS))}
        return self._call("chat.update", said)

    def reply(self, room: str, person: str, text: str) -> Outcome:
        """Answer whoever pressed a button, seen by nobody else."""
        return self._call("chat.postEphemeral", {"channel": room, "user": person, "text": escaped(text)[:TEXT]})

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._caller.close()

    def _call(self, method: str, said: Mapping[str, Any]) -> Outcome:
        # lone surrogates become "?": strict receivers refuse them
        body = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": JSON, "User-Agent": "Firedoor", "Authorization": f"Bearer {self._token}"}
        answer = self._caller.call("POST", f"{self._base}/{method}", data=body, headers=headers)
        if isinstance(answer, Outcome):
            return answer
        with answer:
            return self._said(read_json(answer)) if answer.status_code == 200 else self._caller.refused(answer)

    def _said(self, said: Mapping[str, Any]) -> Outcome:
        """Slack answers 200 to what it refuses, too: `ok` decides."""
        if said.get("ok") is True:
            room, ts = said.get("channel"), said.get("ts")
            return self._caller.outcome("yes", "ok", provider_ref=f"{room}/{ts}" if room and ts else None)
        error = clean_line(str(said.get("error") or ""), 80)
        if not error or error in UNSURE:
            return self._caller.outcome("ambiguous", error or "an answer that can't be read")
        return self._caller.outcome("no", error, permanent=error not in NOT_NOW)


def _content(message: Message, *, in_a_room: bool, with_buttons: bool = False) -> dict[str, Any]:
    said = content(message, in_a_room=in_a_room)
    buttons = [_button(message, verb, label) for verb, label in message.facts.get("answers") or ()]
    if buttons and with_buttons:
        said["blocks"].append({"type": "actions", "block_id": "answers", "elements": buttons})
    return said


def _button(message: Message, verb: str, label: str) -> dict[str, Any]:
    button = {
        "type": "button",
        "action_id": f"firedoor.{verb}",
        "text": {"type": "plain_text", "text": label[:75]},
        "value": f"{message.thread}/r{message.facts.get('round', 1)}",
    }
    return {**button, "style": "primary"} if verb == "acknowledge" else button


def _thread(message: Message, room: str) -> str:
    """The first message of this incident in this room: what follows hangs under it."""
    refs = (str(ref).partition("/") for ref in message.facts.get("earlier") or ())
    return min((ts for where, _, ts in refs if where == room), default="")
