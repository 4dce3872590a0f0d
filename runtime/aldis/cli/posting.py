"""Posting to the server: repeats what may be repeated, and turns every other answer into words."""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import httpx2

from aldis.cli.failures import Failed
from aldis.cli.server import Server
from aldis.cli.terminal import say
from aldis.domain.errors import CODES

TRIES = 5
BASE_SECONDS = 0.25  # the first pause; each of the following is twice as long
MAX_PAUSE_SECONDS = 15.0  # a server that asks for more is not worth waiting for at a terminal
TIMEOUT_SECONDS = 15.0
AGAIN = frozenset({429, 502, 503, 504})
UNAUTHORIZED = 401

Sleep = Callable[[float], Awaitable[None]]


def open_http(server: Server, credential: str) -> httpx2.AsyncClient:
    """A client of `server` for one caller."""
    headers = {"authorization": f"Bearer {credential}"}
    return httpx2.AsyncClient(headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not server.is_local)


class Trouble(NamedTuple):
    """Why a try has no answer, and the seconds that the server asked to be left alone."""

    words: str
    told: float | None = None


async def post(client: httpx2.AsyncClient, url: str, body: Mapping[str, Any], *, sleep: Sleep) -> dict[str, Any]:
    """The answer to a send. Safe to repeat, because the body has a client id. Raises `Failed`."""
    attempt = 0
    while isinstance(outcome := await _try(client, url, body), Trouble):
        pause = pause_seconds(attempt, outcome.told, random.uniform)
        attempt += 1
        if attempt == TRIES or pause > MAX_PAUSE_SECONDS:
            raise Failed(f"{outcome.words}. Try again with --client-id {body['client_id']} to send it once at most.")
        say(f"{outcome.words}; trying again in {pause:.1f} s")
        await sleep(pause)
    return outcome


async def _try(client: httpx2.AsyncClient, url: str, body: Mapping[str, Any]) -> dict[str, Any] | Trouble:
    try:
        response = await client.post(url, json=body)
    except httpx2.TransportError as error:
        return Trouble(f"cannot reach {url}: {str(error) or type(error).__name__}")
    if response.status_code in AGAIN:
        return Trouble(read_problem(response, url), read_retry_after(response))
    return read_answer(response, url)


def pause_seconds(attempt: int, told: float | None, uniform: Callable[[float, float], float]) -> float:
    """How long to wait after a try (counted from 0): what the server asked for, then a little of our own."""
    ceiling = BASE_SECONDS * 2.0**attempt
    return (told or 0.0) + uniform(ceiling / 2, ceiling)


def read_answer(response: httpx2.Response, url: str) -> dict[str, Any]:
    """The answer, when the message is sent or scheduled. Raises `Failed` with what the server says, when it is not."""
    if not response.is_success:
        raise Failed(read_problem(response, url))
    answer = _read_object(response)
    if "message_id" not in answer and "scheduled_id" not in answer:
        raise Failed(f"{url} does not answer like Aldis")
    return answer


def read_problem(response: httpx2.Response, url: str) -> str:
    """Why a call was refused, in one sentence or two."""
    problem = _read_object(response)
    code = str(problem.get("code", ""))
    if not code:
        return f"{url} answers {response.status_code} {response.reason_phrase}".rstrip()
    field = f" ({problem['field']})" if problem.get("field") else ""
    remedy = problem.get("remedy") or (CODES[code].remedy if code in CODES else "")
    if response.status_code == UNAUTHORIZED:
        remedy = "Is this the data folder, or the key, of that server?"
    return f"{code}{field}: {problem.get('detail', '')}. {remedy}".rstrip()


def read_retry_after(response: httpx2.Response) -> float | None:
    """The seconds that the server asks to be left alone."""
    problem = _read_object(response)
    told = problem.get("retry_after_ms")
    if isinstance(told, int):
        return max(told, 0) / 1000
    header = response.headers.get("retry-after", "")
    return float(header) if header.isascii() and header.isdigit() else None


def _read_object(response: httpx2.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
