"""The clock: time as an argument, so that tests can drive it."""

from typing import Protocol


class Clock(Protocol):
    """Never goes back within a process by more than what the system clock is corrected."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; a driven clock returns when it has been moved that far."""
        ...
