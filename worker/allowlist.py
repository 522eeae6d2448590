"""What a job out of Redis may do: one of our two functions, with one integer, and nothing else.

Whoever can write to Redis can write a job. RQ would run any function it names, and after it callbacks, webhooks,
repeats and dependents. So nothing is read of a job but its payload, that is JSON and never unpickled; what is not ours
is logged, counted and dropped, and the worker lives on.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import structlog
from redis.exceptions import RedisError
from rq import Queue
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job

from worker import jobs

log = structlog.get_logger("worker.allowlist")

ALLOWED: dict[str, Callable[[int], None]] = {"worker.jobs.take_in": jobs.take_in, "worker.jobs.keep": jobs.keep}
LONGEST = 1_000  # bytes; a job of ours has about a hundred
LARGEST_ID = 2**63


class Foreign(ValueError):
    """This job is not one of ours."""


class Refused:
    """How many jobs this process has refused."""

    count = 0


def call_of(payload: bytes) -> Callable[[], None]:
    """The call that a payload asks for, or Foreign."""
    name, instance, arguments, named = _four(payload)
    function = ALLOWED.get(name) if isinstance(name, str) else None
    if function is None:
        raise Foreign("it asks for a function that is not ours")
    if instance is not None or named or not isinstance(arguments, list) or len(arguments) != 1:
        raise Foreign("it does not carry exactly one argument")
    row_id = arguments[0]
    if type(row_id) is not int or not 0 <= row_id < LARGEST_ID:
        raise Foreign("its argument is not the id of a row")
    return lambda: function(row_id)


def _four(payload: bytes) -> tuple[Any, Any, Any, Any]:
    try:
        name, instance, arguments, named = json.loads(payload.decode("utf-8"))
    except (ValueError, TypeError, RecursionError) as error:
        raise Foreign("its payload is not ours") from error
    return name, instance, arguments, named


class Nudge(Job):
    """A job of which only the payload counts."""

    def restore(self, raw_data: Any) -> None:
        """Every field but one is as if it had never been written."""
        self.data = _unpacked(raw_data.get(b"data"))

    def perform(self) -> None:
        """Run what is ours. A foreign job is dropped without an exception: one would end the worker."""
        try:
            call = call_of(self.data)
        except Foreign as error:
            refuse(self.id, str(error))
            return
        call()


class Lane(Queue):
    """A queue whose jobs are nudges, and in which garbage is dropped instead of ending the worker."""

    job_class = Nudge

    @classmethod
    def _fetch_dequeued_job(cls, connection: Any, queue_key: str, job_id: str, *more: Any, **named: Any) -> Any:
        try:
            fetched = super()._fetch_dequeued_job(connection, queue_key, job_id, *more, **named)
        except RedisError as error:
            if "WRONGTYPE" not in str(error):
                raise
            fetched = None
            refuse(job_id, "it is not a hash")
        except Exception as error:
            fetched = None
            refuse(job_id, f"it can't be read: {type(error).__name__}")
        if fetched is None:
            connection.lrem(IntermediateQueue.get_intermediate_queue_key(queue_key), 0, job_id)
        return fetched


def refuse(job_id: str, why: str) -> None:
    Refused.count += 1
    log.warning("job.refused", job_id=job_id[:80], why=why)


def _unpacked(data: Any) -> bytes:
    """The payload, packed or not; never more than a little of it."""
    if not isinstance(data, bytes) or len(data) > LONGEST:
        return b""
    try:
        return zlib.decompressobj().decompress(data, LONGEST)
    except zlib.error:
        return data
