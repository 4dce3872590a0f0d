"""Scheduling from a terminal: sent later, looked at, taken back."""

import json
from dataclasses import replace

import pytest

from integration.cli.terminal import Terminal

pytestmark = pytest.mark.slow
CHANNEL = {
    "apiVersion": "aldis.dev/v1alpha1",
    "kind": "Channel",
    "metadata": {"name": "later"},
    "spec": {"type": "Notification"},
}


@pytest.fixture
async def backend(terminal: Terminal, request: pytest.FixtureRequest) -> Terminal:
    """A terminal with the key of a backend of its own."""
    applied = await terminal.run("channel", "apply", "-", stdin=json.dumps(CHANNEL))
    assert applied.code == 0, applied.err
    made = await terminal.run("key", "create", request.node.name)
    return replace(terminal, variables={"ALDIS_KEY": made.line})


async def schedule(backend: Terminal, at: str, *options: str) -> str:
    """The id of a send for later."""
    outcome = await backend.run("send", "--channel", "later", "--to", "zoe", "--text", "later", "--at", at, *options)
    assert outcome.code == 0, outcome.err
    return outcome.line


async def test_a_text_is_sent_when_it_is_due(backend: Terminal) -> None:
    """A second from now; the listener sees it."""
    async with backend.running("listen", "--as", "zoe") as zoe:
        await schedule(backend, "1s")

        assert (await zoe.line()).endswith(": later")


async def test_what_waits_is_listed_and_taken_back(backend: Terminal) -> None:
    """Soonest first, in columns; what was taken back is gone."""
    late, soon = await schedule(backend, "2h"), await schedule(backend, "1h")
    listed = (await backend.run("scheduled", "list")).out.splitlines()
    one = await backend.run("scheduled", "list", "--limit", "1")
    cancelled = await backend.run("scheduled", "cancel", soon)
    again = await backend.run("scheduled", "cancel", soon)
    left = await backend.run("scheduled", "list", "--json")

    assert listed[0].split() == ["ID", "SEND", "AT", "STATE", "TO", "CHANNEL", "REASON"]
    assert [line.split()[0] for line in listed[1:]] == [soon, late]
    assert listed[1].split()[2:] == ["waiting", "zoe", "later"]
    assert len(one.out.splitlines()) == 2
    assert one.err.startswith("There are more")
    assert cancelled.line == f"{soon} is taken back"
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("aldis: not_found")
    assert [item["scheduled_id"] for item in json.loads(left.line)] == [late]


async def test_a_moment_in_the_past_is_refused_by_the_server(backend: Terminal) -> None:
    """In its words."""
    outcome = await backend.run(
        "send", "--channel", "later", "--to", "zoe", "--text", "x", "--at", "2020-01-01T00:00:00Z"
    )

    assert outcome.code == 1
    assert "send_at has passed" in outcome.err


@pytest.mark.parametrize("words", [["list"], ["cancel", "01a210d2-23aa-7000-90e6-523929541136"]])
async def test_a_key_that_is_none_is_told(terminal: Terminal, words: list[str]) -> None:
    """One line, and the exit code 1."""
    outcome = await terminal.run("scheduled", *words, "--key", "nonsense")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("aldis: unauthorized")


async def test_a_server_that_is_not_there_is_told(terminal: Terminal) -> None:
    """Where it was looked for."""
    outcome = await terminal.run("scheduled", "list", "--key", "ak_x", "--url", "http://127.0.0.1:9")

    assert (outcome.code, outcome.out) == (1, "")
    assert "cannot reach http://127.0.0.1:9/v1/scheduled" in outcome.err
