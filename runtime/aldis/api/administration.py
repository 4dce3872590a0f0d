"""What the calls for administrators need beside the rest, handed in by bootstrap."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aldis.domain.retry import RetryPolicies
from aldis.ports.backplane import Ring, Roll
from aldis.services.ring import Rings


class Nobody:
    """Rings nobody: where there is no gateway."""

    async def ring(self, rings: Sequence[Ring]) -> None:
        """Do nothing."""


async def _nobody(**_wanted: Any) -> Roll:
    return Roll("", "", 0, ())


async def _tell_nobody() -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDependencies:
    """All of it. `channels_changed` makes this process see a change of a channel at once; `retries`: how they ring."""

    roll: Callable[..., Awaitable[Roll]] = _nobody  # as `Neighbours.roll`
    ringer: Rings = field(default_factory=Nobody)
    channels_changed: Callable[[], Awaitable[None]] = _tell_nobody
    retries: Callable[[], RetryPolicies] = dict
    started_ms: int = 0
