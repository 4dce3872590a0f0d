"""The rate limiter: bursts are welcome, floods are not.

Guarantees: over any time t a key is allowed at most `burst + rate * t` tokens on one process. Where n processes share
buckets through a bank (`ports/token_bank.py`), they allow together at most `(n + 1) * burst + rate * t`, because each
may spend a burst before the bank has answered; while the bank does not answer, each limits by itself. Deciding never
waits.
"""

from typing import NamedTuple, Protocol


class Rate(NamedTuple):
    """Tokens a second, and how many may be taken at once after a rest."""

    per_second: float
    burst: int


class Limiter(Protocol):
    """One bucket a key."""

    def take(self, key: str, rate: Rate, cost: int = 1) -> int:
        """Take `cost` tokens: 0 when they were there, else nothing is taken and it answers the wait in ms.

        The wait is exact on one process; where a bank has to be asked, it may be there earlier.
        """
        ...

    def remaining(self, key: str, rate: Rate) -> int:
        """How many tokens could be taken now."""
        ...
