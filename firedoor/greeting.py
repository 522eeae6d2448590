"""What `firedoor up` prints: where to look, what to paste into Alertmanager, and one alert to try it with."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from firedoor.addresses import LOOPBACK
from firedoor.settings import Settings
from incidents.book import Book
from worker.channels.email import read_url

RULES = Path(__file__).with_name("firedoor.rules.yml")

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
    """The sign-in link holds a secret: it goes to standard output, for the person who started us, and into no log.

    `sign_in` is its token; empty where the account of whoever stands here is disabled.
    """
    token = settings.source_secrets("alertmanager")[0].decode()
    return "\n".join(
        [
            "",
            f"Firedoor runs at {settings.public_url} and keeps everything in {settings.home}.",
            "",
            *_door(settings.public_url, sign_in),
            "",
            "Paste into alertmanager.yml:",
            snippet(settings.public_url, token),
            "For the day when Firedoor itself is gone, a second receiver that does not pass through it:",
            second_receiver(settings),
            "Into prometheus.yml, with the rules that watch Firedoor:",
            scraping(settings),
            RULES.read_text(encoding="utf-8"),
            "Send a sample alert:",
            f"  {sample_command(settings.public_url, token)}",
            "",
            *[f"Note: {note}" for note in book.policy.notes],
            "Ctrl-C stops everything. Starting again goes on with every open incident.",
            "",
        ]
    )


def _door(url: str, sign_in: str) -> list[str]:
    if not sign_in:
        return [
            f"Open the console: {url}",
            "No link was made: the account of this machine's person is disabled.",
            "`firedoor users signin PERSON` makes one for somebody else.",
        ]
    return ["Open the console (this link signs in once, within a day):", f"  {url}/signin?token={sign_in}"]


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


def second_receiver(settings: Settings) -> str:
    """By mail, which is there everywhere; any receiver does that does not pass through Firedoor."""
    server = read_url(settings.smtp_url or "smtp://mail.example.com:587")  # the port is the one that pages use
    host = f"[{server.host}]" if ":" in server.host else server.host
    told = [
        f"to: {settings.mail_to or 'you@example.com'}",
        f"from: {settings.mail_from}",
        f"smarthost: '{host}:{server.port}'",
    ]
    if server.user:
        told += [f"auth_username: {server.user}", "auth_password: the password of FIREDOOR_SMTP_URL"]
    if server.host in LOOPBACK:  # there we send in clear too
        told.append("require_tls: false")
    email = "\n          ".join(told)
    return f"""\
  # under route:
    routes:
      - matchers: ['alertname=~"Firedoor.+"']
        receiver: beside-firedoor
        group_wait: 5s
  # under receivers:
    - name: beside-firedoor
      email_configs:
        - {email}
"""


def scraping(settings: Settings) -> str:
    return f"""\
  rule_files: [{RULES}]
  scrape_configs:
    - job_name: firedoor
      scrape_interval: 15s
      static_configs: [{{targets: ["{urlsplit(settings.local_url).netloc}"]}}]

These are the rules:
"""


def sample_command(public_url: str, token: str) -> str:
    body = json.dumps(SAMPLE, separators=(",", ":")).replace("'", "'\\''")
    return (
        f"curl -sS -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' "
        f"-d '{body}' {public_url}/hooks/alertmanager"
    )
