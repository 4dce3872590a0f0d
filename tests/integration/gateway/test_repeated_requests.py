"""An Idempotency-Key on the real process: at once, one after the other, with another body, over a restart."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import httpx2
import pytest

from integration.gateway.sockets import Json, connected, new_name, problem, rest, text
from served import Server, served

AT_ONCE = 50


async def post(http: httpx2.AsyncClient, key: str, body: Json) -> httpx2.Response:
    return await http.post("/v1/messages", json=body, headers={"Idempotency-Key": key})


def places(answers: Sequence[httpx2.Response]) -> set[tuple[str, int, str]]:
    """What they were answered with, but for whether it was a repeat."""
    found = [answer.json() for answer in answers]
    return {(one["message_id"], one["seq"], one["created_at"]) for one in found}


async def test_a_key_sent_fifty_times_at_once_is_one_message_with_one_answer(server: Server) -> None:
    """All get 201 and the same place; one is the first, the others are marked as replays; one message is there."""
    ann, bob = new_name("ann"), new_name("bob")
    body = {"to": {"user": bob}, "content": text("once")}
    async with rest(server, server.token(ann)) as http, connected(server, bob) as phone:
        answers = await asyncio.gather(*(post(http, "key-1", body) for _ in range(AT_ONCE)))
        after = await post(http, "key-2", body)
        events = await phone.events("s", 2)

    assert {answer.status_code for answer in answers} == {201}
    assert len(places(answers)) == 1
    assert [answer.json()["duplicate"] for answer in answers].count(False) == 1
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert (replayed.count("true"), replayed.count(None)) == (AT_ONCE - 1, 1)
    assert [event["message"]["id"] for event in events] == [answers[0].json()["message_id"], after.json()["message_id"]]
    assert after.json()["seq"] == 2


async def test_of_two_bodies_under_one_key_at_once_one_is_refused(server: Server) -> None:
    """Whichever is first is stored once, and all of the other's are told that the key is taken."""
    ann, bob = new_name("ann"), new_name("bob")
    bodies = [{"to": {"user": bob}, "content": text(words)} for words in ("one", "other")]
    async with rest(server, server.token(ann)) as http:
        answers = await asyncio.gather(*(post(http, "key", bodies[number % 2]) for number in range(AT_ONCE)))
        history = (await http.get("/v1/conversations")).json()["items"][0]

    stored = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert (len(stored), len(refused)) == (AT_ONCE // 2, AT_ONCE // 2)
    assert len(places(stored)) == 1
    assert {(*problem(answer), answer.json()["field"]) for answer in refused} == {
        (422, "idempotency_mismatch", "Idempotency-Key")
    }
    assert history["head_seq"] == 1


@pytest.mark.parametrize("number", [SIGTERM, SIGKILL])
async def test_a_key_is_remembered_over_a_restart(tmp_path: Path, number: Signals) -> None:
    """However the server ended: the same body gets the earlier answer, another one is refused."""
    body: Json = {"to": {"user": "bob"}, "content": text("once"), "client_id": "c-1"}
    async with served(tmp_path, open_throttle=True) as own:
        async with rest(own, own.token("ann")) as http:
            first = await post(http, "key", body)
        await (own.kill() if number is SIGKILL else own.terminate())
        await own.start()
        async with rest(own, own.token("ann")) as http:
            again = await asyncio.gather(*(post(http, "key", body) for _ in range(AT_ONCE)))
            other = await post(http, "key", {**body, "content": text("twice"), "client_id": "c-2"})

    assert places([first, *again]) == places([first])
    assert all(answer.json()["duplicate"] for answer in again)
    assert {answer.headers["idempotent-replayed"] for answer in again} == {"true"}
    assert problem(other) == (422, "idempotency_mismatch")
