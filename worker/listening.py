"""An RQ worker for one lane: it listens to one queue, outlives Redis, and obeys nobody but our two functions.

What makes RQ stand still or run foreign code is left out: no fork, no scheduler, no maintenance lock, no commands by
pub/sub, no `rq suspend`, no death penalty. Rows have leases, so a lost job costs at most one tick of the clock.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.intermediate_queue import IntermediateQueue
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from ports.database import StoreDown
from worker import jobs, parts
from worker.allowlist import Lane, Nudge, refuse
from worker.keeping import Keeper
from worker.taking import Taker

log = structlog.get_logger("worker.listening")

WORKER_TTL = 30
LISTEN = 1  # seconds a blocking look at the queue: so often a stop is noticed and the supervisor hears from us
HUNG = 4  # seconds without an answer: then the connection is dropped and asked for anew


def run_worker(
    lane: str,
    redis_url: str,
    keeper: Keeper,
    taker: Taker,
    *,
    stop: threading.Event,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Work until `stop` is set. `alive` is called about once a second, whatever Redis does."""
    part = parts.Part(keeper.database, "worker", f"worker-{lane}-{socket.gethostname()}-{os.getpid()}")

    def pulse() -> None:  # of one that listens: while it waits for Redis, it works no lane
        alive()
        part.worked(lane=lane)

    jobs.use(keeper, taker)
    keeper.pulse = taker.pulse = pulse
    keeper.go_on_soon()
    while not stop.is_set():
        redis = _connect(redis_url)
        try:
            if _answers(redis):
                Listener(lane, redis, stop=stop, pulse=pulse).work(logging_level="WARNING")
        except RedisError as error:
            log.warning("redis.lost", what=str(error))
        except Exception:
            log.exception("worker.failed", lane=lane)
        finally:
            redis.close()
        alive()
        stop.wait(0.3)
    keeper.close()


def _connect(redis_url: str) -> Redis:
    client: Redis = Redis.from_url(
        redis_url, socket_timeout=HUNG, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0), health_check_interval=0
    )
    return client


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except (RedisError, OSError):
        return False


class NoDeathPenalty(TimerDeathPenalty):
    """Nothing is raised into a running job: what hangs is bounded by its own timeouts, and its row by a lease."""

    def setup_death_penalty(self) -> None: ...

    def cancel_death_penalty(self) -> None: ...


class Listener(SimpleWorker):
    """Long-lived, for exactly one queue: with two, RQ loses what is popped when it is killed."""

    queue_class = Lane
    job_class = Nudge
    death_penalty_class = NoDeathPenalty

    def __init__(self, lane: str, redis: Redis, *, stop: threading.Event, pulse: Callable[[], None]) -> None:
        self._stop = stop
        self._pulse = pulse
        super().__init__(
            [lane], connection=redis, worker_ttl=WORKER_TTL, serializer=JSONSerializer, log_job_description=False
        )

    @property
    def connection_timeout(self) -> int:
        return HUNG

    def bootstrap(self, *_logging: Any) -> None:
        self.register_birth()  # type: ignore[no-untyped-call]

    def dequeue_job_and_maintain_ttl(self, *_waits: Any) -> Any:
        """The next job, or None when we are to stop: then `work` ends."""
        while not self._stop.is_set():
            self._pulse()
            try:
                return self.queue_class.dequeue_any(
                    self._ordered_queues,
                    LISTEN,
                    connection=self.connection,
                    job_class=self.job_class,
                    serializer=self.serializer,
                    death_penalty_class=self.death_penalty_class,
                )
            except DequeueTimeout:
                self.heartbeat()
            except UnicodeDecodeError:
                refuse("?", "its id is not text")
            except (RedisError, OSError) as error:
                log.warning("redis.lost", what=str(error))
                return None
        return None

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run it here, and forget it: what became of it stands in the database."""
        try:
            job.perform()
        except StoreDown as error:
            log.warning("store.down", what=str(error))  # the clock rings again
        except Exception:
            log.exception("job.failed", job_id=job.id)
        try:
            with self.connection.pipeline() as pipeline:
                pipeline.lrem(IntermediateQueue.get_intermediate_queue_key(queue.key), 1, job.id)
                pipeline.delete(job.key)
                pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("redis.lost", what=str(error))  # the next look at the queue ends this connection

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ would write an ERROR line and quit; a Redis that went away asks for no person."""
        try:
            super().heartbeat(timeout or WORKER_TTL, pipeline)
        except (RedisError, OSError) as error:
            log.warning("redis.lost", what=str(error))

    def check_for_suspension(self, burst: bool) -> None: ...

    def run_maintenance_tasks(self) -> None: ...

    def subscribe(self) -> None: ...

    def unsubscribe(self) -> None: ...

    def procline(self, message: str) -> None: ...

    def _install_signal_handlers(self) -> None: ...
