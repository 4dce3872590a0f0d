"""A store that fails as real ones do: it loses races, refuses rows, or does not answer a commit."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from aldis.domain.messages import Message
from aldis.ports.store import Contention, OutcomeUnknown, Store, Transaction, Unstorable

T = TypeVar("T")
REFUSED = b"refuse me"


class _PickyTransaction:
    """Refuses messages whose content holds the mark."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    async def insert_messages(self, messages: Sequence[Message]) -> None:
        if any(REFUSED in (message.content or b"") for message in messages):
            raise Unstorable("the database refuses a row")
        await self._transaction.insert_messages(messages)

    async def put_revision(self, message: Message) -> None:
        if REFUSED in (message.content or b""):
            raise Unstorable("the database refuses a row")
        await self._transaction.put_revision(message)


class FaultyStore:
    """Delegates to a real store; the counters say how many transactions still fail, and how."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.contentions = 0  # lost at the end of a transaction, which is rolled back
        self.lost_commits = 0  # did not happen, and nobody said so
        self.lost_answers = 0  # happened, and nobody said so
        self.transactions = 0
        self.failed = 0  # how many have failed at a step that was named
        self._at: tuple[str, int] | None = None

    def fail_at(self, fault: str, transaction: int) -> None:
        """Let the n-th transaction from now fail like this."""
        self._at = (fault, self.transactions + transaction)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def as_store(self) -> Store:
        """The same for those who want a store."""
        return cast("Store", self)

    async def run(self, recipe: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        async def failing(transaction: Transaction) -> T:
            answer = await recipe(cast("Transaction", _PickyTransaction(transaction)))
            self._fail_before_the_end()
            return answer

        self.transactions += 1
        self._arm()
        answer = await self._store.run(failing)
        self._fail_after_the_end()
        return answer

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        self.transactions += 1
        self._arm()
        async with self._store.begin() as transaction:
            yield cast("Transaction", _PickyTransaction(transaction))
            self._fail_before_the_end()
        self._fail_after_the_end()

    def _arm(self) -> None:
        if self._at is not None and self._at[1] == self.transactions:
            fault, self._at = self._at[0], None
            setattr(self, fault, 1)
            self.failed += 1

    def _fail_before_the_end(self) -> None:
        if self.contentions:
            self.contentions -= 1
            raise Contention("lost a race")
        if self.lost_commits:
            self.lost_commits -= 1
            raise OutcomeUnknown("no answer")

    def _fail_after_the_end(self) -> None:
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown("no answer")
