"""What `firedoor up` prints: where to look, what to paste into Alertmanager, and one alert to try it with."""

from __future__ import annotations

import json

from firedoor.settings import Settings
from incidents.book import Book

# Fields that Alertmanager sends; the labels match a runbook that ships, so that the page leaves at once.
SAMPLE = {
    "version": "4",
    "groupKey": "sample",
    "status": "firing",
    "receiver": "firedoor",
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "DBConnectionErrors", "service": "webapp-prod", "severity": "critical"},
            "annotations": {"summary": "A sample alert: webapp-prod can't reach its database"},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
        }
    ],
}


def greeting(settings: Settings, book: Book, *, sign_in: str) -> str:
    """The sign-in link holds a secret: it goes to standard output, for the person who started us, and into no log."""
    token = settings.source_secrets("alertmanager")[0].decode()
    return "\n".join(
        [
            "",
            f"Firedoor runs at {settings.public_url} and keeps everything in {settings.home}.",
            "",
            "Open the console (this link signs in once, within a day):",
            f"  {settings.public_url}/signin?token={sign_in}",
            "",
            "Paste into alertmanager.yml:",
            snippet(settings.public_url, token),
            "Send a sample alert:",
            f"  {sample_command(settings.public_url, token)}",
            "",
            *[f"Note: {note}" for note in book.policy.notes],
            "Ctrl-C stops everything. Starting again goes on with every open incident.",
            "",
        ]
    )


def snippet(public_url: str, token: str) -> str:
    """The receiver, with the settings that make paging fast and complete."""
    return f"""\
  route:
    receiver: firedoor
    group_wait: 5s
    group_interval: 30s
    repeat_interval: 1h
  receivers:
    - name: firedoor
      webhook_configs:
        - url: {public_url}/hooks/alertmanager
          send_resolved: true
          http_config:
            authorization:
              credentials: {token}
"""


def sample_command(public_url: str, token: str) -> str:
    body = json.dumps(SAMPLE, separators=(",", ":")).replace("'", "'\\''")
    return (
        f"curl -sS -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' "
        f"-d '{body}' {public_url}/hooks/alertmanager"
    )
