"""One claimed row, in a thread: look at the incident as it is now, and act with no transaction open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

import structlog
from sqlalchemy import Row

from incidents import claims, shadow
from incidents.policykeys import SHADOW
from incidents.promises import Bell, NotNow, Outcome, Prepared, Skip
from ports.clock import Clock
from ports.database import Database, StoreDown
from worker.dangerous import act_in_child

log = structlog.get_logger("worker.trying")

TOO_LATE = "it was too late for it"
NEWER = timedelta(seconds=30)  # until somebody looks again who may know the kind
Seen = Literal["done", "before", "unknown"]


class Kind(Protocol):
    """What `incidents.kinds.Kind` is to us: which kinds there are is not the engine's business."""

    @property
    def name(self) -> str: ...

    @property
    def decide(self) -> Callable[..., list[Bell]] | None: ...

    @property
    def prepare(self) -> Callable[..., Prepared | Skip] | None: ...

    @property
    def settled(self) -> Callable[..., list[Bell]] | None: ...


class Actor(Protocol):
    def __call__(self, prepared: Any, row: Row[Any], attempt: int) -> Outcome | NotNow: ...


@dataclass(frozen=True)
class Ended:
    """A claimed row that needs no try, or none any more: cancelled, superseded, failed, held, or looked at later."""

    state: str
    why: str
    after: timedelta | None = None


@dataclass(frozen=True)
class KeptBack(Ended):
    """It was due and owed, and its incident is in shadow: it ends here, and the record says what it would have done."""


@dataclass(frozen=True)
class Done:
    """What a thread brings home: the row, and either an outcome or how it ended without one."""

    row: Row[Any]
    result: Outcome | Ended
    tried: bool


@dataclass(frozen=True)
class Trier:
    """Prepares and performs what a row promises; who claimed it writes down what became of it."""

    database: Database
    clock: Clock
    kinds: Mapping[str, Kind]
    actors: Mapping[str, Actor]
    observers: Mapping[str, Callable[[Row[Any]], Seen]]
    book: Callable[[], Any]
    lease: timedelta

    def attempt(self, row: Row[Any], fresh_until: float) -> Done:
        """`fresh_until`, by the monotonic clock: later than that the row may be somebody else's before it is sent."""
        try:
            prepared = self._prepare(row)
        except StoreDown as error:
            return Done(row, Outcome("no", str(error)), tried=False)
        except Exception as error:
            log.exception("promise.prepare_failed", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return Done(row, Outcome("no", f"it could not be prepared: {type(error).__name__}"), tried=True)
        if isinstance(prepared, Ended):
            return Done(row, prepared, tried=False)
        if self.clock.monotonic() > fresh_until:
            return Done(row, Ended("released", "too much of the lease was gone"), tried=False)  # frozen or starved
        acted = self._act(row, prepared)
        if isinstance(acted, NotNow):
            return Done(row, Ended("later", acted.why, acted.after), tried=False)
        return Done(row, acted, tried=True)

    def _prepare(self, row: Row[Any]) -> Prepared | Ended:
        """What to do, from the incident as it is now: since the promise was made somebody may have acknowledged."""
        kind = self.kinds.get(row.kind)
        with self.database.read() as work:
            if row.not_after is not None and work.now > row.not_after:
                return Ended("failed", TOO_LATE)
            if kind is None or kind.prepare is None:  # made by a newer version, which runs beside us or comes back
                log.warning("promise.unknown_kind", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
                return Ended("later", f"this version knows no promise of the kind {row.kind!r}", NEWER)
            prepared = kind.prepare(work.session, row, self.book(), work.now)
            if isinstance(prepared, Skip):
                if prepared.state == "failed" and row.mode == SHADOW:
                    return KeptBack("cancelled", f"{shadow.WOULD} failed: {prepared.why}")
                return Ended(prepared.state, prepared.why, prepared.after)
            if shadow.keeps_back(work.session, row, prepared):
                return KeptBack("cancelled", shadow.would_have(row, prepared, self.book()))
            if not row.dangerous and not _second_provider_begins(row, prepared):
                rest = claims.rest_due(work.session, row, now=work.now)
                if rest is not None:
                    return Ended("later", "its last tries may all have arrived", rest)
        return prepared

    def _act(self, row: Row[Any], prepared: Prepared) -> Outcome | NotNow:
        actor = self.actors.get(prepared.actor)
        if actor is None:
            log.error("promise.unknown_actor", promise_id=row.id, incident_id=row.incident_id, actor=prepared.actor)
            return Outcome("no", f"nobody here performs {prepared.actor!r}", permanent=True)
        try:
            if not row.dangerous:
                return actor(prepared, row, row.attempts)
            outcome = act_in_child(lambda: _definite(actor(prepared, row, row.attempts)), within=self.lease * 0.6)
            if outcome.result == "ambiguous" and self.seen(row) == "done":
                return Outcome("yes", f"seen done; {outcome.detail}")
        except Exception as error:
            log.exception("promise.act_failed", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return Outcome("ambiguous", f"{type(error).__name__}: {error}")
        return outcome

    def seen(self, row: Row[Any]) -> Seen:
        observer = self.observers.get(row.kind)
        if observer is None:
            return "unknown"
        try:
            return observer(row)
        except Exception:
            log.exception("promise.observe_failed", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return "unknown"


def _second_provider_begins(row: Row[Any], prepared: Prepared) -> bool:
    """It has had no try yet, so nothing of it may have arrived."""
    has_other = bool(prepared.facts.get("other") and prepared.facts.get("is_late"))
    return has_other and row.attempts == claims.MOST_UNKNOWN + 1


def _definite(acted: Outcome | NotNow) -> Outcome:
    """What is dangerous has been tried once its child runs: it has no later."""
    return acted if isinstance(acted, Outcome) else Outcome("no", acted.why, retry_after=acted.after)
