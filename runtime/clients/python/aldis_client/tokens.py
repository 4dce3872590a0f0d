"""The token to connect with: fixed, or asked from the application when it is needed."""

from collections.abc import Awaitable, Callable

TokenProvider = Callable[[], Awaitable[str]]
"""Gives a token that is valid now. What it raises ends the client, so it does its own retrying."""


class Tokens:
    """Remembers the token in use. A refused one is replaced once; the next refusal in a row is final."""

    def __init__(self, source: str | TokenProvider) -> None:
        self._provider = None if isinstance(source, str) else source
        self._token = source if isinstance(source, str) else None
        self._is_replaced = False

    async def current(self) -> str:
        """The token to use now."""
        if self._token is None:
            assert self._provider is not None
            self._token = await self._provider()
        return self._token

    def put(self, token: str) -> None:
        """Use this one from now on."""
        self._token = token

    def accepted(self) -> None:
        """The server took the token; a later refusal means that it ran out."""
        self._is_replaced = False

    def refused(self) -> bool:
        """The server refused the token; says whether it is worth another try."""
        if self._provider is None or self._is_replaced:
            return False
        self._token = None
        self._is_replaced = True
        return True
