"""Profiles: what severities, states and roles are called where people read them; the API keeps the canonical names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from incidents.policykeys import Organisation

WORDS = ("Critical", "High", "Medium", "Low")
STATUS = {
    "active": "Active",
    "contained": "Contained",
    "resolved": "Resolved",
    "stood_down": "Postmortem pending",
    "closed": "Closed",
}
STATUSES = {"nwire": STATUS, "words": STATUS, "alios": {**STATUS, "contained": "Active", "stood_down": "Resolved"}}
ROLE = {
    "commander": "Commander",
    "communicator": "Communicator",
    "investigator": "Investigator",
    "oncall": "On-call",
    "tech_lead": "Tech Lead",
    "product_owner": "Product Owner",
    "leadership": "Leadership",
    "affected_clients": "Affected clients",
}
ROLES = {
    "nwire": ROLE,
    "words": {**ROLE, "commander": "Incident Commander", "communicator": "Comms Lead", "investigator": "Expert"},
    "alios": {**ROLE, "commander": "Lead", "communicator": "Comms Owner", "investigator": "Technical Lead"},
}


def labels_of(organisation: Organisation, codes: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """`severity`, `status` and `role`: canonical name → shown name. A map of the policy changes what it names."""
    return {
        "severity": _severities(organisation.severity_labels, codes),
        "status": _chosen(organisation.status_labels, STATUSES),
        "role": _chosen(organisation.role_labels, ROLES),
    }


def _severities(chosen: str | Mapping[str, str], codes: Sequence[str]) -> Mapping[str, str]:
    same = {code: code for code in codes}
    if isinstance(chosen, Mapping):
        return {**same, **chosen}
    if chosen == "alios":
        return {code: f"P{rank}" for rank, code in enumerate(codes, 1)}
    return {**same, **dict(zip(codes, WORDS, strict=False))} if chosen == "words" else same


def _chosen(chosen: str | Mapping[str, str], profiles: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    return {**profiles["nwire"], **chosen} if isinstance(chosen, Mapping) else profiles[chosen]
