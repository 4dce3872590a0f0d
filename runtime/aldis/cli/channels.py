"""`aldis channel`: the channels of a server without Kubernetes, from the documents that Kubernetes would be given."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aldis.adapters.memory.clock import SystemClock
from aldis.bootstrap import open_admin_store, tell_of_channels
from aldis.cli import folder
from aldis.cli.documents import STANDARD_INPUT, parse_documents, read_text
from aldis.cli.failures import Failed
from aldis.cli.tables import build_table, print_json
from aldis.cli.terminal import say
from aldis.domain.channels import Channel, ChannelType
from aldis.domain.errors import Rejected
from aldis.services.apply_channel import apply_channel, parse_channel
from aldis.settings import Settings


def apply(file: str, *, data_dir: Path | None, as_json: bool) -> None:
    """Apply the channels of a file and say what became of each."""
    documents = load_documents(file)
    settings = folder.load(data_dir)
    folder.check_database(settings)
    done: list[dict[str, Any]] = []
    try:
        asyncio.run(_apply(documents, settings, done, as_json=as_json))
    finally:
        if as_json:
            print_json(done)


def load_documents(file: str) -> list[object]:
    """The documents of a file, each of which is right by itself. Raises `Failed` naming the first that is not."""
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        documents = parse_documents(read_text(file))
    except ValueError as error:
        raise Failed(f"{name} is neither YAML nor JSON: {error}") from error
    if not documents:
        raise Failed(f"{name} holds no channel")
    for number, document in enumerate(documents, start=1):
        try:
            parse_channel(document)
        except Rejected as error:
            raise Failed(f"{name}, document {number}: {error}") from error
    return documents


async def _apply(documents: Sequence[object], settings: Settings, done: list[dict[str, Any]], *, as_json: bool) -> None:
    async with open_admin_store(settings) as store:
        for document in documents:
            applied = await apply_channel(document, store=store, clock=SystemClock())
            name = applied.channel.name
            done.append({"name": name, "result": applied.result, "not_used_yet": list(applied.ignored)})
            if applied.ignored:
                say(f"{name}: not used yet: {', '.join(applied.ignored)}")
            if not as_json:
                print(f"{name} {applied.result}", flush=True)
    await tell_of_channels(settings)


def show(*, data_dir: Path | None, as_json: bool) -> None:
    """Print the channels."""
    settings = folder.load(data_dir)
    folder.check_database(settings)
    channels = asyncio.run(_list(settings))
    if as_json:
        print_json([to_json(channel) for channel in channels])
        return
    rows = [[channel.name, channel.type, channel.priority, channel.display_name] for channel in channels]
    print("\n".join(build_table(["NAME", "TYPE", "PRIORITY", "DISPLAY NAME"], rows)))


async def _list(settings: Settings) -> list[Channel]:
    async with open_admin_store(settings) as store:
        return await store.channels()


def to_json(channel: Channel) -> dict[str, Any]:
    """A channel for programs."""
    is_broadcast = channel.type is ChannelType.BROADCAST
    return {
        "name": channel.name,
        "type": channel.type,
        "display_name": channel.display_name,
        "priority": channel.priority,
        "time_to_live_ms": channel.time_to_live_ms,
        "max_content_bytes": channel.max_content_bytes,
        "messages_per_second": channel.messages_per_second,
        "audience": channel.audience.value if is_broadcast else None,
        "history": channel.history.value if is_broadcast else None,
    }
