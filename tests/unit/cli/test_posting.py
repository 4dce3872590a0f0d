from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from aldis.cli.failures import Failed
from aldis.cli.posting import MAX_PAUSE_SECONDS, TRIES, post

URL = "http://aldis.test/v1/messages"
BODY = {"client_id": "c-1", "to": {"user": "bob"}}
STORED = httpx2.Response(201, json={"message_id": "m-1"})
Answer = httpx2.Response | Exception


class Pauses:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def problem(status: int, code: str, **fields: Any) -> httpx2.Response:
    return httpx2.Response(status, json={"code": code, "detail": "because", "field": None, **fields})


def answering(*answers: Answer) -> tuple[httpx2.AsyncClient, list[bytes]]:
    """A client whose server gives these answers in turn, and the bodies that it was sent."""
    bodies: list[bytes] = []
    turns: Iterator[Answer] = iter(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        given = next(turns)
        if isinstance(given, Exception):
            raise given
        return given

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer)), bodies


@pytest.mark.parametrize(
    "trouble",
    [
        lambda: httpx2.ConnectError("refused"),
        lambda: httpx2.ReadTimeout("slow"),
        lambda: problem(503, "unavailable", retry_after_ms=500),
        lambda: problem(429, "rate_limited", retry_after_ms=200),
        lambda: httpx2.Response(502, text="<html>"),
    ],
)
async def test_what_may_pass_is_tried_again_under_the_same_client_id(
    trouble: Callable[[], Answer], pauses: Pauses
) -> None:
    """A server that is away, busy or limiting is asked again with the same body, so the message is sent once."""
    client, bodies = answering(trouble(), trouble(), STORED)

    answer = await post(client, URL, BODY, sleep=pauses.sleep)

    assert answer == {"message_id": "m-1"}
    assert len(set(bodies)) == 1
    assert len(bodies) == 3
    assert len(pauses.seconds) == 2


async def test_a_pause_is_never_shorter_than_the_server_asks(pauses: Pauses) -> None:
    """`retry_after_ms`, or else `Retry-After`, comes first, and our own wait on top."""
    client, _ = answering(
        problem(429, "rate_limited", retry_after_ms=1500), httpx2.Response(503, headers={"retry-after": "2"}), STORED
    )

    await post(client, URL, BODY, sleep=pauses.sleep)

    assert 1.5 < pauses.seconds[0] < 2
    assert 2 < pauses.seconds[1] < 3


async def test_giving_up_says_how_to_go_on(pauses: Pauses) -> None:
    """After the last try the client id is told, with which a repeat is safe."""
    client, bodies = answering(*[httpx2.ConnectError("refused") for _ in range(TRIES)])

    with pytest.raises(Failed, match=r"cannot reach .* refused.* --client-id c-1"):
        await post(client, URL, BODY, sleep=pauses.sleep)

    assert len(bodies) == TRIES


async def test_a_server_that_wants_long_to_be_left_alone_is(pauses: Pauses) -> None:
    """Nobody at a terminal waits for minutes without having asked for it."""
    client, _ = answering(problem(503, "unavailable", retry_after_ms=int(MAX_PAUSE_SECONDS * 1000)))

    with pytest.raises(Failed, match="unavailable"):
        await post(client, URL, BODY, sleep=pauses.sleep)

    assert pauses.seconds == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem(404, "unknown_channel", field="channel"), r"unknown_channel \(channel\): because\. Declare"),
        (problem(403, "forbidden", remedy="Ask."), r"forbidden: because\. Ask\."),
        (problem(401, "unauthorized"), r"unauthorized: because\. Is this the data folder"),
        (httpx2.Response(404, text="<html>"), "answers 404 Not Found"),
        (httpx2.Response(301, headers={"location": "/"}), "answers 301"),
        (httpx2.Response(200, text="hello"), "does not answer like Aldis"),
        (httpx2.Response(201, json=[]), "does not answer like Aldis"),
    ],
)
async def test_a_refusal_is_final_and_told_in_words(answer: httpx2.Response, words: str, pauses: Pauses) -> None:
    """What will not pass is not repeated; the line says what was wrong and what to do."""
    client, bodies = answering(answer)

    with pytest.raises(Failed, match=words):
        await post(client, URL, BODY, sleep=pauses.sleep)

    assert len(bodies) == 1
