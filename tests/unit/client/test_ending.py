import pytest

from aldis_client.ending import Ending, Verdict, ending_of_http


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1011, 1012, 4000, 4001, 4002, 4003, 4004, 4005, 4099])
def test_ordinary_endings_are_come_back_from(code: int | None) -> None:
    """No code at all, the protocol's own, and 4000-4099 mean: come back."""
    assert Ending(code=code).verdict is Verdict.COME_BACK


@pytest.mark.parametrize("code", [4400, 4403, 4409, 4429, 4499])
def test_the_server_can_keep_a_client_away(code: int) -> None:
    """4400-4499 mean: not as you are."""
    assert Ending(code=code).verdict is Verdict.STOP


def test_a_refused_token_may_be_replaced() -> None:
    """4401 is the one refusal that a client can mend, even when the server calls it final."""
    assert Ending(code=4401, final=True).verdict is Verdict.FRESH_TOKEN


def test_words_decide_where_no_code_does() -> None:
    """`reconnect: false` and a refused command that is not retryable end it."""
    assert Ending(code=4001, final=True).verdict is Verdict.STOP


@pytest.mark.parametrize(
    ("status", "retry_after", "verdict", "seconds"),
    [
        (401, None, Verdict.FRESH_TOKEN, 0),
        (403, None, Verdict.STOP, 0),
        (404, None, Verdict.STOP, 0),
        (429, "3", Verdict.COME_BACK, 3),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", Verdict.COME_BACK, 0),
        (502, None, Verdict.COME_BACK, 0),
    ],
)
def test_a_refused_handshake_is_an_ending(status: int, retry_after: str | None, verdict: Verdict, seconds: int) -> None:
    """HTTP says the same things before the websocket is open: overload passes, a wrong address does not."""
    ending = ending_of_http(status, retry_after)

    assert ending.verdict is verdict
    assert ending.after_seconds == seconds
