"""Sentry's integration platform: alert rules become alerts, issues without a rule are recorded, the rest is accepted.

1. An issue alert never says that it is over. Only the issue, resolved by a person or a commit, ends it.
2. A metric alert is resolved by Sentry; a "resolved" because somebody edited its rule says nothing about the problem.
3. An issue and an error come without an alert rule: they have a fingerprint of their own, or the first one, recorded,
   would stand in the way of the rule that fires for the same issue a second later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from werkzeug.datastructures import Headers

from incidents.alerts import FIRING, RESOLVED, Alert, clean_line
from incidents.errors import MalformedPayload
from webhooks.sources.reading import link, read_json, text, time_of

log = structlog.get_logger()

SIGNATURE, RESOURCE = "Sentry-Hook-Signature", "Sentry-Hook-Resource"
ABOUT = {"event": "event_alert"}  # where the part of `data` is not called like its resource
PARTS = ("event", "metric_alert", "issue", "error", "comment", "installation")
# What routes an alert. Any other tag may hold a person's address or name, and labels go to chats and mails.
TAGS = ("environment", "release", "level", "service", "team", "region", "server_name", "transaction", "handled", "dist")
OPENED = ("created", "unresolved")
RULE_EDITED = "2"  # a `status_method`
LEVELS = {"20": "critical", "10": "warning"}  # a metric alert's `status`
_PROJECT = re.compile(r"/projects/[^/]+/([^/]+)/")


def parse(source: str, body: bytes, headers: Mapping[str, str]) -> list[Alert]:
    """The alerts of a delivery: none where it is about something else, such as a comment."""
    delivery = _Delivery(source, _object(read_json(body, headers)))
    resource = headers.get(RESOURCE) or next((ABOUT.get(one, one) for one in PARTS if one in delivery.about), "")
    if not resource:
        raise MalformedPayload("The body has no `data` of a kind that Sentry sends.")
    read = READ.get(resource)
    if read is None:
        log.info("hook.ignored", source=source, resource=resource, action=delivery.action)
        return []
    return read(delivery)


def delivery_key(headers: Headers) -> str | None:
    """Sentry's own id of the request: a recorded one that somebody sends again is the one that is already here."""
    return headers.get("Request-ID", "").strip()[:128] or None


class _Delivery:
    """The envelope: what happened, to what, in whose installation. Issue ids are counted for each of those."""

    def __init__(self, source: str, body: dict[str, Any]) -> None:
        self.source = source
        self.action = text(body.get("action"))
        self.about = _object(body.get("data"))
        self.installation = text(_object(body.get("installation")).get("uuid"))

    def fingerprint(self, what: str, of: Any, path: str) -> str:
        if not (given := text(of)):
            raise MalformedPayload(f"The body does not say which one it is about: `{path}` is missing.")
        return _key(f"{what}:{self.installation}:{given}")


def _issue_alert(delivery: _Delivery) -> list[Alert]:
    return [_of_event(delivery, "event", "issue", rule=text(delivery.about.get("triggered_rule")))]


def _error(delivery: _Delivery) -> list[Alert]:
    return [_of_event(delivery, "error", "seen", rule="")]


def _of_event(delivery: _Delivery, part: str, what: str, *, rule: str) -> Alert:
    event = _object(delivery.about.get(part))
    tags = _tags(event.get("tags"))
    project = _project(event)
    title = text(event.get("title")) or text(event.get("message"))
    return Alert(
        source=delivery.source,
        fingerprint=delivery.fingerprint(what, event.get("issue_id"), f"data.{part}.issue_id"),
        status=FIRING,
        labels=_labels(
            {
                **tags,
                **_named(event, "environment", "release", "level", "platform", "logger"),
                "sentry_resource": ABOUT.get(part, part),
                "alertname": rule or _kind_of(event) or title,
                "project": project,
            }
        ),
        annotations=_filled({"summary": title, "rule": rule, "culprit": text(event.get("culprit"))}),
        title=clean_line(title) or clean_line(rule) or "A Sentry issue without a title",
        starts_at=time_of(event.get("datetime")),
        link=link(event.get("web_url")),
    )


def _issue(delivery: _Delivery) -> list[Alert]:
    """Opened and reopened is a signal, resolved is its end; assigned and archived are people's acts in Sentry."""
    if delivery.action == RESOLVED:
        return [_of_issue(delivery, "seen", RESOLVED), _of_issue(delivery, "issue", RESOLVED)]
    if delivery.action in OPENED:
        return [_of_issue(delivery, "seen", FIRING)]
    log.info("hook.ignored", source=delivery.source, resource="issue", action=delivery.action)
    return []


def _of_issue(delivery: _Delivery, what: str, status: str) -> Alert:
    issue = _object(delivery.about.get("issue"))
    title = text(issue.get("title"))
    return Alert(
        source=delivery.source,
        fingerprint=delivery.fingerprint(what, issue.get("id"), "data.issue.id"),
        status=status,
        labels=_labels(
            {
                **_named(issue, "level", "platform", "logger", "priority"),
                "sentry_resource": "issue",
                "alertname": _kind_of(issue) or title,
                "project": text(_object(issue.get("project")).get("slug")),
                "issue": text(issue.get("shortId")),
            }
        ),
        annotations=_filled({"summary": title, "culprit": text(issue.get("culprit"))}),
        title=clean_line(title) or "A Sentry issue without a title",
        starts_at=time_of(issue.get("firstSeen")),
        link=link(issue.get("web_url")) or link(issue.get("permalink")),
    )


def _metric_alert(delivery: _Delivery) -> list[Alert]:
    metric = _object(delivery.about.get("metric_alert"))
    if delivery.action == RESOLVED and text(metric.get("status_method")) == RULE_EDITED:
        log.info("hook.ignored", source=delivery.source, resource="metric_alert", action="resolved by an edited rule")
        return []
    rule = _object(metric.get("alert_rule"))
    title = text(delivery.about.get("description_title")) or text(metric.get("title"))
    projects = [text(one) for one in _listed(metric.get("projects"))]
    return [
        Alert(
            source=delivery.source,
            fingerprint=delivery.fingerprint("metric", metric.get("identifier"), "data.metric_alert.identifier"),
            # Whatever is not plainly resolved is firing: the mistake that wakes somebody is the better one.
            status=RESOLVED if delivery.action == RESOLVED else FIRING,
            labels=_labels(
                {
                    **_named(rule, "environment", "aggregate", "dataset"),
                    "sentry_resource": "metric_alert",
                    "alertname": text(rule.get("name")) or text(metric.get("title")),
                    "project": ",".join(projects),
                    "level": _level(delivery.action, metric),
                }
            ),
            annotations=_filled(
                {
                    "summary": title,
                    "description": text(delivery.about.get("description_text")),
                    "query": text(rule.get("query")),
                }
            ),
            title=clean_line(title) or "A Sentry metric alert without a title",
            starts_at=time_of(metric.get("date_started")),
            ends_at=time_of(metric.get("date_closed")) if delivery.action == RESOLVED else None,
            link=link(delivery.about.get("web_url")),
        )
    ]


READ: dict[str, Callable[[_Delivery], list[Alert]]] = {
    "event_alert": _issue_alert,
    "metric_alert": _metric_alert,
    "issue": _issue,
    "error": _error,
}


def _level(action: str, metric: Mapping[str, Any]) -> str:
    """As bad as it says, and critical where it does not say: nobody sleeps through a word that we don't know."""
    if action in ("critical", "warning"):
        return action
    return LEVELS.get(text(metric.get("status")), "critical")


def _labels(said: Mapping[str, str]) -> dict[str, str]:
    """With the words that the policy looks for: `severity`, `env`, and the project where no tag names a service."""
    labels = _filled(said)
    for ours, theirs in (("severity", "level"), ("env", "environment"), ("service", "project")):
        if theirs in labels:
            labels.setdefault(ours, labels[theirs])
    return labels


def _tags(value: Any) -> dict[str, str]:
    """Tags are a list of pairs, not an object."""
    pairs = [one for one in _listed(value) if isinstance(one, list) and len(one) == 2]
    return {name: text(said) for name, said in pairs if name in TAGS}


def _project(event: Mapping[str, Any]) -> str:
    """Its name, which stands in the address alone; `project` is a number."""
    found = _PROJECT.search(text(event.get("url"))[:2000])
    return found[1] if found else text(event.get("project"))


def _kind_of(of: Mapping[str, Any]) -> str:
    return clean_line(text(_object(of.get("metadata")).get("type")))


def _named(of: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: said for name in names if (said := text(of.get(name)))}


def _filled(said: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in said.items() if value}


def _key(fingerprint: str) -> str:
    """Something that can be a key in every database, whatever the ids are made of."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in fingerprint[:128])


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
