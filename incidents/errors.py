"""What can be refused, and the sentence a person reads when it is.

FiredoorError
├── Refused            a verb that is not allowed now (409): a code and a sentence
│   ├── VersionConflict    somebody else changed the incident first
│   ├── NotAllowed         this role, or this team's account, may not do that (403)
│   └── Malformed          a verb's own fields are wrong (422)
├── NotFound           no such incident, alert, step, person (404)
├── NotAuthentic       the sender did not prove who it is (401)
├── MalformedPayload   authentic bytes that no parser understands
└── FaultsFound        a policy or a runbook has faults: all of them at once
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class FiredoorError(Exception):
    """Something was refused."""

    code = "error"

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or (type(self).__doc__ or "").strip())

    @property
    def sentence(self) -> str:
        return str(self.args[0])


class Refused(FiredoorError):
    """That is not allowed now."""

    status = 409

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class VersionConflict(Refused):
    """Somebody changed the incident since you read it."""

    def __init__(self, code: str, sentence: str, *, incident: str = "", read: int = 0) -> None:
        super().__init__(code, sentence)
        self.incident = incident
        self.read = read  # the version that the caller had read


class NotAllowed(Refused):
    """Your account may not do that."""

    status = 403


class Malformed(Refused):
    """A field of the request is missing or wrong."""

    status = 422


class NotFound(FiredoorError):
    """There is no such thing here."""

    code = "not_found"


class NotAuthentic(FiredoorError):
    """The sender did not prove who it is."""

    code = "not_authentic"


class MalformedPayload(FiredoorError):
    """The body is authentic, but it can't be understood."""

    code = "malformed_payload"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file that a person wrote: where, what, and what is accepted instead."""

    file: str
    line: int
    what: str
    accepted: str = ""

    def __str__(self) -> str:
        end = f" Accepted: {self.accepted}." if self.accepted else ""
        return f"{self.file}:{self.line}: {self.what}{end}"


class FaultsFound(FiredoorError):
    """The file has faults."""

    code = "faults"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = list(faults)
