"""The actor that asks a sender after alerts that went quiet: are they firing there, silenced, or unknown?"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import requests
from sqlalchemy import Row
from urllib3.exceptions import HTTPError

from incidents.promises import NotNow, Outcome, Prepared
from ports import outgoing
from worker.rooms import Rooms

TIMEOUT = (3.0, 5.0)  # seconds to connect, and between two reads
READ_SECONDS = 8.0  # the whole answer: a list that comes in drops keeps no thread for longer
LARGEST = 32 * 1024 * 1024
AT_ONCE = Rooms(most=1, few=1)  # a sender's list is all of its alerts: the page lane's threads are for pages
LATER = timedelta(seconds=2)
SUPPRESSED = ("suppressed",)  # silenced or inhibited, in Alertmanager's API v2


def ask(prepared: Prepared, row: Row[Any], attempt: int) -> Outcome | NotNow:
    """GET `/api/v2/alerts` of an Alertmanager. A GET changes nothing there, so anything but an answer is a plain no."""
    url = str(prepared.facts["url"]).rstrip("/")
    if not url.startswith(("http://", "https://")):
        return Outcome("no", "the source's url must be http:// or https://", permanent=True)
    with AT_ONCE.place(url) as is_free:
        return _ask(prepared, url) if is_free else NotNow("another question to this sender is under way", LATER)


def _ask(prepared: Prepared, url: str) -> Outcome:
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
    except (requests.RequestException, HTTPError, OSError, ValueError, RecursionError) as error:
        return Outcome("no", type(error).__name__)
    return Outcome(
        "yes", "HTTP 200", found={name: said.get(name, "unknown") for name in prepared.facts["fingerprints"]}
    )


def _read(answer: requests.Response) -> dict[str, str]:
    """Fingerprint → firing or silenced. Raises ValueError for what is no list of alerts."""
    read, until = bytearray(), time.monotonic() + READ_SECONDS
    while part := answer.raw.read1(1 << 16, decode_content=True):
        read += part
        if len(read) > LARGEST or time.monotonic() > until:
            raise ValueError("too large, or too slow")
    alerts = json.loads(bytes(read))
    if not isinstance(alerts, list):
        raise ValueError("not a list of alerts")
    return {
        str(one.get("fingerprint")): "silenced" if one.get("status", {}).get("state") in SUPPRESSED else "firing"
        for one in alerts
        if isinstance(one, dict)
    }
