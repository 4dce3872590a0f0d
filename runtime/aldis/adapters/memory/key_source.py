"""The key source of tests: a document that is set by hand, and an outage that is, too."""

from aldis.domain.errors import Unavailable


class MemoryKeySource:
    """Publishes `document`; None is an outage."""

    def __init__(self, document: bytes | None = None) -> None:
        self.document = document
        self.fetches = 0

    async def fetch(self) -> bytes:
        """The document."""
        self.fetches += 1
        if self.document is None:
            raise Unavailable("the keys are not published now")
        return self.document
