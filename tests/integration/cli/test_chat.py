import json
from signal import SIGINT, SIGTERM, Signals

import pytest

from integration.cli.terminal import Terminal
from integration.gateway.sockets import rest
from served import Server

pytestmark = pytest.mark.slow


async def send(terminal: Terminal, text: str, *options: str, to: str) -> str:
    """Send as alice; the message's id."""
    outcome = await terminal.run("send", "--as", "alice", "--to", to, "--text", text, *options)
    assert outcome.code == 0, outcome.err
    return outcome.line


async def test_what_one_sends_the_other_sees(terminal: Terminal) -> None:
    """A text arrives at a running listener in one line, with what could drive the terminal escaped."""
    async with terminal.running("listen", "--as", "bea") as bea:
        await send(terminal, "\x1b[2J two\nlines", to="bea")

        assert (await bea.line()).endswith(r"  chat  alice: \x1b[2J two\nlines")


async def test_a_listener_sees_what_becomes_of_a_message(server: Server, terminal: Terminal) -> None:
    """An edit has a line of its own with the new words, and a deletion one that says so."""
    async with terminal.running("listen", "--as", "hal") as hal, rest(server, server.token("alice")) as http:
        path = f"/v1/messages/{await send(terminal, 'one', to='hal')}"
        lines = [await hal.line()]
        edited = await http.patch(path, json={"content": {"type": "text", "text": "two"}})
        lines.append(await hal.line())
        deleted = await http.delete(path)
        lines.append(await hal.line())

    assert (edited.status_code, deleted.status_code) == (200, 204)
    assert [line.partition("  chat  ")[2] for line in lines] == [
        "alice: one", "alice [edited]: two", "alice: [deleted]",
    ]  # fmt: skip


async def test_a_text_can_come_from_standard_input(terminal: Terminal) -> None:
    """`-` reads it, without the newline that every tool puts at the end."""
    outcome = await terminal.run("send", "--as", "alice", "--to", "ben", "--text", "-", "--json", stdin="grüße\n")
    async with terminal.running("listen", "--as", "ben", "--json") as ben:
        event = json.loads(await ben.line())

    assert event["message"]["content"] == {"type": "text", "text": "grüße"}
    assert event["message"]["id"] == json.loads(outcome.out)["message_id"]


async def test_the_same_client_id_sends_once(terminal: Terminal) -> None:
    """Repeating a command whose outcome was in doubt makes no second message."""
    first, second = [await send(terminal, "once", "--client-id", "c-1", to="bob") for _ in range(2)]

    assert first == second


async def test_a_killed_listener_shows_each_message_once(terminal: Terminal) -> None:
    """Killed after a line, it goes on behind that line; what came meanwhile is neither lost nor doubled."""
    seen: list[str] = []
    for number in range(4):
        await send(terminal, f"message {number}", to="cleo")
        async with terminal.running("listen", "--as", "cleo") as cleo:
            seen.append((await cleo.line()).rpartition(": ")[2])
            cleo.process.kill()
            await cleo.process.wait()
    await send(terminal, "last", to="cleo")
    async with terminal.running("listen", "--as", "cleo") as cleo:
        seen.append((await cleo.line()).rpartition(": ")[2])

    assert seen == ["message 0", "message 1", "message 2", "message 3", "last"]


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
async def test_interrupting_is_the_ordinary_end_of_listening(terminal: Terminal, number: Signals) -> None:
    """Ctrl-C ends with 0 and without a word."""
    user = f"dan-{number.name}"
    async with terminal.running("listen", "--as", user) as dan:
        await send(terminal, "hi", to=user)
        await dan.line()

        outcome = await dan.end(number)

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


async def test_an_older_listener_gives_way_to_a_newer_one(terminal: Terminal) -> None:
    """A device is in one place: the first listener ends with 1 and says why."""
    async with terminal.running("listen", "--as", "eve") as first:
        await send(terminal, "hi", to="eve")
        await first.line()
        async with terminal.running("listen", "--as", "eve"):
            outcome = await first.ended()

    assert outcome.code == 1
    assert "replaced" in outcome.err
    assert "4409" in outcome.err
    assert "Traceback" not in outcome.err


async def test_a_listener_comes_back_by_itself(own_server: Server) -> None:
    """When the server is started again the listener says so, and shows what comes then."""
    terminal = Terminal(own_server.data_dir, own_server.port)
    async with terminal.running("listen", "--as", "fay") as fay:
        await send(terminal, "before", to="fay")
        assert (await fay.line()).endswith("before")

        await own_server.restart()

        await fay.complaint("coming back")
        await fay.complaint("connected again")
        await send(terminal, "after", to="fay")
        assert (await fay.line()).endswith("after")


async def test_receipts_are_shown_when_they_are_asked_for(terminal: Terminal) -> None:
    """With `-v` the sender sees that a message was delivered; without, only messages."""
    await send(terminal, "hi", to="gus")
    async with terminal.running("listen", "--as", "gus") as gus:
        await gus.line()
    async with terminal.running("listen", "--as", "alice", "--device", "verbose", "-v") as alice:
        await send(terminal, "again", to="gus")
        async with terminal.running("listen", "--as", "gus") as gus:
            await gus.line()
            while not ("  receipt  " in (line := await alice.line()) and '"user":"gus"' in line):
                assert line, "it ended without a receipt"


async def test_a_backend_is_lent_a_key_for_the_call(terminal: Terminal) -> None:
    """`--channel` alone sends a notification; the key that it took is revoked afterwards."""
    spec = {"type": "Notification", "delivery": {"priority": "high"}}
    document = {"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": "alarms"}, "spec": spec}
    await terminal.run("channel", "apply", "-", stdin=json.dumps(document))

    outcome = await terminal.run("send", "--channel", "alarms", "--to", "hal", "--text", "fire")

    async with terminal.running("listen", "--as", "hal") as hal:
        assert (await hal.line()).endswith("  notification/alarms  backend cli [high]: fire")
    assert outcome.code == 0
    keys = json.loads((await terminal.run("key", "list", "--all", "--json")).out)
    lent = [key for key in keys if key["name"] == "cli"]
    assert lent
    assert all(key["revoked_at"] for key in lent)
    assert all(key["scopes"] == ["send"] for key in lent)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--as alice --priority urgent", "forbidden_field (priority)"),
        ("--as bob", "bad_request (to.user)"),
        ("--channel nowhere --key ak_wrong", "unauthorized"),
        ("--channel nowhere", "unknown_channel (channel)"),
        ("--as alice --url http://127.0.0.1:1", "cannot reach http://127.0.0.1:1"),
    ],
)
async def test_a_refusal_is_one_line_with_what_to_do(terminal: Terminal, options: str, words: str) -> None:
    """Nothing on standard output, the reason at the end of standard error, and the exit code 1."""
    outcome = await terminal.run("send", "--to", "bob", "--text", "hi", *options.split())

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1].startswith(f"aldis: {words}")
    assert "Traceback" not in outcome.err


async def test_a_listener_with_a_wrong_secret_is_sent_away(
    terminal: Terminal, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A token that the server does not take ends the listener with 1 and the reason."""
    stranger = Terminal(tmp_path_factory.mktemp("stranger"), server.port)
    (stranger.data_dir / "secret").write_text("another-secret-of-thirty-two-bytes")

    outcome = await stranger.run("listen", "--as", "bob")

    assert outcome.code == 1
    assert "unauthorized" in outcome.err.splitlines()[-1]
    assert "4401" in outcome.err
