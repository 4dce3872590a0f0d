import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from integration.cli.terminal import Terminal
from served import Server

pytestmark = pytest.mark.slow
CHANNEL = {
    "apiVersion": "aldis.dev/v1alpha1",
    "kind": "Channel",
    "metadata": {"name": "news"},
    "spec": {"type": "Notification", "displayName": "News"},
}
UNAUTHORIZED = 401
NOTICE_SECONDS = 6.0  # a running server follows a revocation within 5


def channel(name: str, **spec: object) -> dict[str, object]:
    return {**CHANNEL, "metadata": {"name": name}, "spec": {"type": "Notification", **spec}}


async def test_a_token_opens_the_server(terminal: Terminal, server: Server) -> None:
    """What `aldis token` prints is taken by the server of that folder."""
    token = (await terminal.run("token", "alice", "--ttl", "5m")).line

    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{server.url}/v1/badge", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 200


async def test_a_key_is_printed_alone_and_works_until_it_is_revoked(terminal: Terminal, server: Server) -> None:
    """Keys are made and revoked beside a running server, which follows within seconds."""
    await terminal.run("channel", "apply", "-", stdin=json.dumps(channel("keyed")))
    made = await terminal.run("key", "create", "shop", "--channel", "keyed")
    to_bob = ("send", "--to", "bob", "--channel", "keyed", "--text", "hi", "--key", made.line)
    assert "shown this once" in made.err
    assert (await terminal.run(*to_bob)).code == 0

    revoked = await terminal.run("key", "revoke", made.line)

    assert revoked.code == 0
    assert made.line not in revoked.out + revoked.err
    await wait_refused(server, made.line)
    refused = await terminal.run(*to_bob)
    assert refused.code == 1
    assert "revoked" in refused.err


async def wait_refused(server: Server, key: str) -> None:
    async with asyncio.timeout(NOTICE_SECONDS), httpx2.AsyncClient(trust_env=False) as client:
        headers = {"authorization": f"Bearer {key}"}
        while (await client.get(f"{server.url}/v1/badge", headers=headers)).status_code != UNAUTHORIZED:
            await asyncio.sleep(0.1)


async def test_keys_are_listed_without_their_secrets(terminal: Terminal) -> None:
    """Lists show what a key may do; revoked ones only when they are asked for."""
    made = json.loads((await terminal.run("key", "create", "robot", "--admin", "--json")).out)
    await terminal.run("key", "revoke", made["id"])

    valid = json.loads((await terminal.run("key", "list", "--json")).out)
    ever = await terminal.run("key", "list", "--all", "--json")

    assert made["id"] not in {key["id"] for key in valid}
    (listed,) = [key for key in json.loads(ever.out) if key["id"] == made["id"]]
    assert listed["scopes"] == ["admin", "send", "send_as"]
    assert listed["revoked_at"] is not None
    assert made["key"].split("_", 2)[2] not in ever.out


async def test_a_key_is_rotated_beside_a_running_server(terminal: Terminal, server: Server) -> None:
    """The new key works at once and with the old one's rights; the old one goes on for the overlap and then ends."""
    old = json.loads((await terminal.run("key", "create", "turner", "--scope", "send", "--json")).out)

    new = json.loads((await terminal.run("key", "rotate", "turner", "--overlap", "2s", "--json")).out)

    assert (new["scopes"], new["expires_at"]) == (["send"], None)
    assert [each["id"] for each in new["ending"]] == [old["id"]]
    await wait_refused(server, old["key"])
    async with httpx2.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {new['key']}"}) as client:
        assert (await client.get(f"{server.url}/v1/badge")).status_code == 403
    valid = json.loads((await terminal.run("key", "list", "--json")).out)
    assert old["id"] not in {key["id"] for key in valid}
    assert new["id"] in {key["id"] for key in valid}


async def test_a_key_expires_by_itself(terminal: Terminal, server: Server) -> None:
    """`--expires` is honoured by the running server."""
    made = json.loads((await terminal.run("key", "create", "guest", "--expires", "1s", "--json")).out)

    await wait_refused(server, made["key"])

    assert made["expires_at"] is not None
    assert (await terminal.run("key", "rotate", "guest")).code == 1


async def test_revoking_what_is_no_key_fails(terminal: Terminal) -> None:
    """A wrong id is said in a line."""
    outcome = await terminal.run("key", "revoke", "0000000000000000")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("aldis: there is no key 0000000000000000")


async def test_applying_says_what_became_of_each_channel(terminal: Terminal, tmp_path: Path) -> None:
    """A file may hold several; a second time changes nothing; a change is an update."""
    file = tmp_path / "channels.yaml"
    file.write_text("\n---\n".join(json.dumps(channel(name)) for name in ("first", "second")))
    created = await terminal.run("channel", "apply", str(file))
    unchanged = await terminal.run("channel", "apply", str(file), "--json")
    updated = await terminal.run("channel", "apply", "-", stdin=json.dumps(channel("first", displayName="One")))

    assert (created.code, created.out) == (0, "first created\nsecond created\n")
    assert [entry["result"] for entry in json.loads(unchanged.out)] == ["unchanged", "unchanged"]
    assert updated.out == "first updated\n"
    listed = json.loads((await terminal.run("channel", "list", "--json")).out)
    assert {"first": "One", "second": ""}.items() <= {entry["name"]: entry["display_name"] for entry in listed}.items()


async def test_fields_that_say_nothing_yet_are_told(terminal: Terminal) -> None:
    """A document for Kubernetes is taken; what is not used yet is warned of beside the answer."""
    outcome = await terminal.run("channel", "apply", "-", stdin=json.dumps(channel("warned", push={"enabled": True})))

    assert (outcome.code, outcome.out) == (0, "warned created\n")
    assert outcome.err == "warned: not used yet: push\n"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (json.dumps(channel("wrong", colour="red")), "document 2: there is no field spec.colour"),
        (json.dumps({**CHANNEL, "kind": "Room"}), "document 2: kind: "),
        ("a: [", "neither YAML nor JSON"),
    ],
)
async def test_one_mistake_in_a_file_changes_nothing(terminal: Terminal, document: str, words: str) -> None:
    """The document and the field are named, and the right ones beside it are not applied either."""
    outcome = await terminal.run("channel", "apply", "-", stdin=f"{json.dumps(channel('innocent'))}\n---\n{document}")

    assert (outcome.code, outcome.out) == (1, "")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert "innocent" not in (await terminal.run("channel", "list")).out


@pytest.mark.parametrize("line", ["key create shop", "key list", "channel list", "send --to a --channel b --text c"])
async def test_a_folder_without_a_server_is_not_made_by_accident(line: str, tmp_path: Path) -> None:
    """A key in a new database would be of no use: the wrong folder is told."""
    outcome = await Terminal(tmp_path / "data", 1).run(*line.split())

    assert (outcome.code, outcome.out) == (1, "")
    assert "there is no database" in outcome.err
    assert not (tmp_path / "data").exists()
