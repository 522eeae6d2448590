"""The doorbell: wakes a lane's worker through RQ, within 200 ms or not at all.

The row is the promise and this is only a nudge: a bell that fails is counted and forgotten, and the clock rings again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

TIMEOUT = 0.2
LASTS = 60  # seconds that a bell is worth hearing; the clock rings again for whatever is still due
REST = 1.0  # after a failed bell nobody waits for a hung Redis again for so long
ROADS = {  # lane → queue, function
    "intake": ("page", "worker.jobs.take_in"),
    "page": ("page", "worker.jobs.keep"),
    "act": ("act", "worker.jobs.keep"),
}


def connect(redis_url: str, *, timeout: float = TIMEOUT) -> Redis:
    """A connection that never waits longer than the timeout and never tries twice by itself."""
    client: Redis = Redis.from_url(
        redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return client


class Doorbell:
    """Rings a lane. Without an address it stays silent, and the clock does all the work."""

    def __init__(self, redis_url: str | None) -> None:
        self.failed = 0
        self._redis = connect(redis_url) if redis_url else None
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def ring(self, bells: Iterable[tuple[str, int]]) -> None:
        """One job a lane, however many rows fell due: the worker drains its lane."""
        first: dict[str, int] = {}
        for lane, row_id in bells:
            first.setdefault(lane, row_id)
        if not first or self._redis is None:
            return
        if time.monotonic() < self._silent_until:
            self._count_failure()
            return
        try:
            with self._redis.pipeline() as pipeline:  # all of it is one message
                for lane, row_id in first.items():
                    self._enqueue(pipeline, lane, row_id)
                pipeline.execute()
        except (RedisError, OSError, ValueError, KeyError):
            self._silent_until = time.monotonic() + REST
            self._count_failure()

    def ping(self) -> bool:
        try:
            return self._redis is not None and bool(self._redis.ping())
        except (RedisError, OSError, ValueError):
            return False

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()

    def _enqueue(self, pipeline: Any, lane: str, row_id: int) -> None:
        queue, function = ROADS[lane]
        Queue(queue, connection=self._redis, serializer=JSONSerializer).enqueue_call(
            function,
            args=(row_id,),
            timeout=600,
            result_ttl=0,
            ttl=LASTS,
            failure_ttl=3600,
            description=f"{lane} {row_id}",
            pipeline=pipeline,
        )

    def _count_failure(self) -> None:
        with self._lock:
            self.failed += 1
