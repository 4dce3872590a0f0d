from aldis_client.tokens import Tokens


class Provider:
    def __init__(self) -> None:
        self.given = 0

    async def __call__(self) -> str:
        self.given += 1
        return f"token-{self.given}"


async def test_a_provider_is_asked_once_until_the_token_is_refused() -> None:
    """A good token is used for every connection; a refused one is replaced."""
    tokens = Tokens(Provider())
    assert [await tokens.current(), await tokens.current()] == ["token-1", "token-1"]

    assert tokens.refused()
    assert await tokens.current() == "token-2"


async def test_a_second_refusal_in_a_row_is_final() -> None:
    """When a fresh token is refused too, asking on would never end; after a welcome it may run out again."""
    tokens = Tokens(Provider())
    assert tokens.refused()
    assert not tokens.refused()

    tokens.accepted()

    assert tokens.refused()


async def test_a_fixed_token_cannot_be_replaced() -> None:
    """There is nobody to ask for another."""
    assert not Tokens("fixed").refused()


async def test_a_refreshed_token_is_used_from_then_on() -> None:
    """What was refreshed on the socket serves the next connection too."""
    tokens = Tokens("old")
    tokens.put("new")

    assert await tokens.current() == "new"
