"""`aldis dead-letter` beside a running server, which fails, rings and replays."""

import json

import httpx2
import pytest

from integration.cli.letters import LETTERS, letter_for, make_letter
from integration.cli.terminal import Terminal

pytestmark = pytest.mark.slow


async def test_a_letter_is_listed_replayed_and_purged(terminal: Terminal, ops: httpx2.AsyncClient) -> None:
    """By its id: replayed it gets its second again, and is a letter anew; purged it is no more."""
    first = await make_letter(ops, "ann")
    table = await terminal.run("dead-letter", "list", "--recipient", "ann")
    replayed = await terminal.run("dead-letter", "replay", first["id"])
    again = await letter_for(ops, "ann")
    purged = await terminal.run("dead-letter", "purge", again["id"])

    assert table.out.splitlines()[1].split()[:5] == [first["id"], first["message_id"], "ann", "fleeting", "expired"]
    assert (replayed.code, replayed.out) == (0, "1 replayed, 0 skipped\n")
    assert (again["message_id"], again["id"] != first["id"]) == (first["message_id"], True)
    assert (purged.code, purged.out) == (0, "1 purged\n")
    assert (await ops.get(LETTERS, params={"recipient": "ann"})).json()["items"] == []


async def test_what_is_not_there_fails(terminal: Terminal) -> None:
    """One line says so, and nothing is answered."""
    for command in ("replay", "purge"):
        outcome = await terminal.run("dead-letter", command, "01a3185c-5000-74ec-9654-2e063d8fc4e8")

        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith("aldis: there is no such dead letter")


async def test_letters_are_replayed_by_the_running_server(terminal: Terminal, ops: httpx2.AsyncClient) -> None:
    """The command waits for it, and says how far it is."""
    await make_letter(ops, "bea")

    replayed = await terminal.run("dead-letter", "replay", "--recipient", "bea")

    assert (replayed.code, replayed.out) == (0, "1 replayed, 0 skipped\n")
    assert replayed.err.splitlines()[-1] == "1 of 1"


async def test_letters_are_purged_by_what_they_are(terminal: Terminal, ops: httpx2.AsyncClient) -> None:
    """And those that do not fit stay."""
    await make_letter(ops, "cy")

    others = await terminal.run("dead-letter", "purge", "--recipient", "cy", "--reason", "attempts_exhausted")
    purged = await terminal.run("dead-letter", "purge", "--recipient", "cy", "--json")

    assert others.out == "0 purged\n"
    assert json.loads(purged.line) == {"purged": 1}


async def test_more_than_was_asked_for_is_told(terminal: Terminal, ops: httpx2.AsyncClient) -> None:
    """The newest are shown, and that there are more is said beside the answer."""
    await make_letter(ops, "dee")
    newest = await make_letter(ops, "eve")

    one = await terminal.run("dead-letter", "list", "--limit", "1", "--channel", "fleeting", "--json")

    assert [letter["id"] for letter in json.loads(one.line)] == [newest["id"]]
    assert "There are more" in one.err
