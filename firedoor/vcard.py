"""The vCard that people put into their phones: whose mails and apps may break through the quiet of the night."""

from __future__ import annotations

from email.utils import parseaddr

from incidents.alerts import clean_line
from incidents.policy import Policy

APPS = {
    "pushover": "the app Pushover: allow critical alerts",
    "ntfy": "the app ntfy: let priority 5 override Do Not Disturb",
    "slack": "the app Slack: allow its notifications at night",
    "pagerduty": "the app PagerDuty, and the numbers of its own contact card",
}
FOLD_AT = 75  # octets of a line; the rest goes on in the next, after a blank


def vcard(policy: Policy, *, public_url: str) -> str:
    """One card of version 4.0 with every sender of the policy's channels that are set up."""
    ready = [channel for channel in policy.channels.values() if channel.is_ready]
    mails = [parseaddr(channel.from_ or "")[1] for channel in ready if channel.kind == "email"]
    apps = [APPS[channel.kind] for channel in ready if channel.kind in APPS]
    lines = ["BEGIN:VCARD", "VERSION:4.0", "KIND:org", "FN:Firedoor"]
    if policy.organisation.name:
        lines.append(f"ORG:{_escaped(policy.organisation.name)}")
    lines += [f"EMAIL;TYPE=work:{_escaped(mail)}" for mail in dict.fromkeys(mails) if mail]
    lines.append(f"URL:{clean_line(public_url, 500)}")
    if apps:
        lines.append(f"NOTE:{_escaped('Let through at night: ' + '; '.join(dict.fromkeys(apps)) + '.')}")
    lines.append("END:VCARD")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _escaped(text: str) -> str:
    bare = clean_line(text, 500).replace("\\", "\\\\")
    return bare.replace(",", "\\,").replace(";", "\\;")


def _folded(line: str) -> str:
    """Cut between characters, so that no octet of one is parted from its others."""
    parts, room = [""], FOLD_AT
    for character in line:
        size = len(character.encode("utf-8", "replace"))
        if size > room:
            parts.append("")
            room = FOLD_AT - 1
        parts[-1] += character
        room -= size
    return "\r\n ".join(parts)
