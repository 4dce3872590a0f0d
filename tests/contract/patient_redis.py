"""Redis as a test of a promise wants it: with time for a busy machine, which is no absence."""

from contextlib import AbstractAsyncContextManager

from aldis.adapters.redis.link import RedisLink, open_redis
from aldis.telemetry.metrics import Metrics

PATIENCE_SECONDS = 20.0


def open_patient_redis(
    url: str, *, metrics: Metrics | None = None, prefix: str = "aldis"
) -> AbstractAsyncContextManager[RedisLink]:
    """The way to the Redis at `url`."""
    return open_redis(url, metrics=metrics or Metrics(), prefix=prefix, call_seconds=PATIENCE_SECONDS)
