"""What a process knows of itself, for the probes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from aldis.adapters.memory.clock import SystemClock
from aldis.adapters.sql.store import SqlStore
from aldis.domain.errors import AldisError
from aldis.services.key_set import KeySet

CHECK_SECONDS = 5.0  # between looks at the database
STUCK_SECONDS = 30.0  # without a look that went well, or without a heartbeat, after which the process is not usable

log = structlog.get_logger(__name__)


class Aged(Protocol):
    """What knows when it was last answered."""

    @property
    def age(self) -> float | None:
        """Seconds since then; None when it never was."""
        ...


@dataclass(slots=True)
class ProcessHealth:
    """What this process knows of itself, for the probes."""

    clock: SystemClock
    started: bool = False
    draining: bool = False
    answered: dict[str, float] = field(default_factory=dict)
    key_set: KeySet | None = None
    broker: Aged | None = None

    def check(self) -> Mapping[str, float | None]:
        """Seconds since each dependency last answered well."""
        now = time.monotonic()
        ages = {"database": now - self.answered["database"] if "database" in self.answered else None}
        ages |= {"broker": self.broker.age} if self.broker is not None else {}
        return ages | ({"jwks": self.key_set.age()} if self.key_set is not None else {})

    @property
    def usable(self) -> bool:
        """Whether the database has answered lately."""
        age = self.check()["database"]
        return age is not None and age < STUCK_SECONDS

    async def watch(self, store: SqlStore) -> None:
        """Look at the dependencies for ever."""
        while True:
            try:
                await store.check()
                self.answered["database"] = time.monotonic()
            except AldisError as error:
                log.warning("dependency_failed", dependency="database", reason=str(error))
            await self.clock.sleep(CHECK_SECONDS)
