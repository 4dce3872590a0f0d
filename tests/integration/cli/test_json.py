"""What programs read: each shape is as docs/operations.md tells it, field by field."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from integration.cli.letters import make_letter
from integration.cli.terminal import Terminal

pytestmark = pytest.mark.slow
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
ROW = re.compile(
    r"^\| `aldis (?P<command>[a-z -]+)` \| (?P<shape>an object|a list of|an object a line): (?P<fields>.*) \|$"
)
CHANNEL = {
    "apiVersion": "aldis.dev/v1alpha1",
    "kind": "Channel",
    "metadata": {"name": "shapes"},
    "spec": {"type": "Notification", "push": {"enabled": True}},
}


def documented() -> dict[str, tuple[str, list[str]]]:
    """Each command's shape and its fields, in their order."""
    rows = (ROW.match(line) for line in OPERATIONS.read_text(encoding="utf-8").splitlines())
    return {
        row["command"]: (row["shape"], re.findall(r"`([a-z_]+)`", row["fields"].partition("(")[0]))
        for row in rows
        if row
    }


@pytest.fixture
def shapes() -> dict[str, tuple[str, list[str]]]:
    shapes = documented()
    assert shapes
    return shapes


async def answer(terminal: Terminal, *arguments: str, stdin: str = "") -> Any:
    """What a command answers with `--json`: one value on one line."""
    outcome = await terminal.run(*arguments, "--json", stdin=stdin)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.line)


def check(shapes: Mapping[str, tuple[str, list[str]]], command: str, found: Any) -> None:
    shape, fields = shapes[command]
    rows = found if shape == "a list of" else [found]
    assert isinstance(found, list) == (shape == "a list of")
    assert rows
    assert all(list(row) == fields for row in rows), (command, rows[0].keys())


async def test_keys_have_the_documented_shapes(terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]) -> None:
    """Made, rotated, listed and revoked: the same fields, and the key itself once only."""
    made = await answer(terminal, "key", "create", "shaper")
    rotated = await answer(terminal, "key", "rotate", "shaper")
    listed = await answer(terminal, "key", "list")
    revoked = await answer(terminal, "key", "revoke", made["id"])

    check(shapes, "key create", made)
    check(shapes, "key rotate", rotated)
    check(shapes, "key list", rotated["ending"])
    check(shapes, "key list", listed)
    check(shapes, "key revoke", revoked)
    assert revoked["id"] == made["id"]
    assert datetime.fromisoformat(revoked["revoked_at"]).tzinfo is not None


async def test_channels_have_the_documented_shapes(
    terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]
) -> None:
    """What became of each document, and what each channel is."""
    applied = await answer(terminal, "channel", "apply", "-", stdin=json.dumps(CHANNEL))
    listed = await answer(terminal, "channel", "list")

    check(shapes, "channel apply", applied)
    check(shapes, "channel list", listed)
    assert applied == [{"name": "shapes", "result": "created", "not_used_yet": applied[0]["not_used_yet"]}]


async def test_messages_and_tokens_have_the_documented_shapes(
    terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]
) -> None:
    """What is sent is what is heard."""
    token = await answer(terminal, "token", "sue", "--ttl", "15m")
    sent = await answer(terminal, "send", "--as", "tom", "--to", "sue", "--text", "hi")
    async with terminal.running("listen", "--as", "sue", "--json") as sue:
        heard = json.loads(await sue.line())

    check(shapes, "token", token)
    check(shapes, "send", sent)
    check(shapes, "listen", heard)
    assert heard["message"]["id"] == sent["message_id"]
    assert token["user"] == "sue"


async def test_scheduled_sends_have_the_documented_shapes(
    terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]
) -> None:
    """What is scheduled is listed and taken back, by the same id."""
    await answer(terminal, "channel", "apply", "-", stdin=json.dumps(CHANNEL))
    key = (await answer(terminal, "key", "create", "later"))["key"]
    text = ("--to", "sue", "--text", "hi")
    sent = await answer(terminal, "send", "--channel", "shapes", "--key", key, *text, "--at", "1h")
    listed = await answer(terminal, "scheduled", "list", "--key", key)
    cancelled = await answer(terminal, "scheduled", "cancel", sent["scheduled_id"], "--key", key)

    check(shapes, "scheduled list", listed)
    check(shapes, "scheduled cancel", cancelled)
    assert list(sent) == ["scheduled_id", "send_at", "duplicate", "state"]
    assert listed[0]["scheduled_id"] == cancelled["scheduled_id"] == sent["scheduled_id"]


async def test_an_erasure_has_the_documented_shape(
    terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]
) -> None:
    """Whom it was about, and how far it has come."""
    erased = await answer(terminal, "user", "erase", "nobody-in-particular")

    check(shapes, "user erase", erased)
    assert erased == {"user": "nobody-in-particular", "state": "done", "purged": 0}


async def test_dead_letters_have_the_documented_shapes(
    terminal: Terminal, ops: httpx2.AsyncClient, shapes: dict[str, tuple[str, list[str]]]
) -> None:
    """Listed, replayed and purged."""
    await make_letter(ops, "shape")

    check(shapes, "dead-letter list", await answer(terminal, "dead-letter", "list"))
    check(shapes, "dead-letter replay", await answer(terminal, "dead-letter", "replay", "--channel", "nowhere"))
    check(shapes, "dead-letter purge", await answer(terminal, "dead-letter", "purge", "--recipient", "shape"))


async def test_a_report_has_the_documented_shape(terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]) -> None:
    """And each of its checks."""
    report = await answer(terminal, "doctor")

    check(shapes, "doctor", report)
    assert {tuple(row) for row in report["checks"]} == {("name", "outcome", "detail", "remedy")}


async def test_an_error_is_never_json(terminal: Terminal) -> None:
    """Standard output stays empty, and the line and the exit code say what happened."""
    outcome = await terminal.run("key", "revoke", "0000000000000000", "--json")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("aldis: ")


async def test_every_command_that_answers_programs_is_documented(
    terminal: Terminal, shapes: dict[str, tuple[str, list[str]]]
) -> None:
    """A command with `--json` has its row."""
    commands = await commands_of(terminal)

    assert {command for command in commands if "--json" in (await terminal.run(*command.split(), "--help")).out} == set(
        shapes
    )


async def commands_of(terminal: Terminal, *group: str) -> list[str]:
    listing = (await terminal.run(*group, "--help")).out.partition("Commands:\n")[2]
    names = [line.split()[0] for line in listing.splitlines() if re.match(r"  [a-z]", line)]
    found = []
    for name in names:
        inner = [] if group else await commands_of(terminal, name)
        found += [f"{name} {part}" for part in inner] or [name]
    return found
