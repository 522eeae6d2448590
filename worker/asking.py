"""The actor that asks a sender after alerts that went quiet: are they firing there, silenced, or unknown?"""

from __future__ import annotations

from typing import Any

import requests
from sqlalchemy import Row

from incidents.promises import Outcome, Prepared
from ports import outgoing

TIMEOUT = (3.0, 5.0)  # seconds to connect, and between two reads
LARGEST = 32 * 1024 * 1024
SUPPRESSED = ("suppressed",)  # silenced or inhibited, in Alertmanager's API v2


def ask(prepared: Prepared, row: Row[Any], attempt: int) -> Outcome:
    """GET `/api/v2/alerts` of an Alertmanager. A GET changes nothing there, so anything but an answer is a plain no."""
    url = str(prepared.facts["url"]).rstrip("/")
    if not url.startswith(("http://", "https://")):
        return Outcome("no", "the source's url must be http:// or https://", permanent=True)
    try:
        with (
            outgoing.session() as session,
            session.get(f"{url}/api/v2/alerts", timeout=TIMEOUT, allow_redirects=False, stream=True) as answer,
        ):
            if answer.status_code != 200:
                return Outcome("no", f"HTTP {answer.status_code}")
            said = _read(answer)
    except outgoing.ForbiddenAddress as error:
        return Outcome("no", str(error), permanent=True)
    except (requests.RequestException, ValueError) as error:
        return Outcome("no", type(error).__name__)
    return Outcome(
        "yes", "HTTP 200", found={name: said.get(name, "unknown") for name in prepared.facts["fingerprints"]}
    )


def _read(answer: requests.Response) -> dict[str, str]:
    """Fingerprint → firing or silenced. Raises ValueError for what is no list of alerts."""
    if int(answer.headers.get("Content-Length") or 0) > LARGEST:
        raise ValueError("too large")
    alerts = answer.json()
    if not isinstance(alerts, list):
        raise ValueError("not a list of alerts")
    return {
        str(one.get("fingerprint")): "silenced" if one.get("status", {}).get("state") in SUPPRESSED else "firing"
        for one in alerts
        if isinstance(one, dict)
    }
