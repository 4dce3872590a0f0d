"""Making dead letters on a real server: messages that live for a second, to users who never come."""

import asyncio
from typing import Any

import httpx2

LETTERS = "/v1/admin/dead-letters"
FLEETING = {"type": "Notification", "delivery": {"timeToLive": "1s"}}
PATIENCE_SECONDS = 30.0


async def make_letter(ops: httpx2.AsyncClient, user: str) -> dict[str, Any]:
    """A message to a user who never comes, until its time is over."""
    body = {"to": {"user": user}, "channel": "fleeting", "content": {"type": "text", "text": "quick"}}
    assert (await ops.post("/v1/messages", json=body)).status_code == 201
    return await letter_for(ops, user)


async def letter_for(ops: httpx2.AsyncClient, user: str) -> dict[str, Any]:
    """His newest letter, once there is one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (items := (await ops.get(LETTERS, params={"recipient": user})).json()["items"]):
            await asyncio.sleep(0.1)
    letter: dict[str, Any] = items[0]
    return letter
