"""docs/rest.md, typed as it stands: each command runs, and each answer has in it what the page shows."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest

from served import Server, served
from servers.surroundings import surroundings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
CHECKOUT = Path(__file__).parents[3]
BLOCK = re.compile(
    r"<!-- rest: (?P<name>\w+) -->\n```sh\n(?P<commands>.*?)```(?:\n```(?P<kind>json|text)\n(?P<answer>.*?)```)?",
    re.DOTALL,
)
ADDRESS = "http://127.0.0.1:8080"
END = "--- the answer ends ---"
VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-f]{8}\.e\d.*|eyJ\w+"
)  # ids, times, cursors: everybody has others
PATIENCE_SECONDS = 120.0


async def type_all(server: Server, commands: list[str]) -> list[str]:
    """Run each block in one shell, after the other; what each printed."""
    script = "set -e\n" + "\n".join(f"{block}\nprintf '\\n%s\\n' '{END}'" for block in commands)
    env = surroundings()
    env |= {"ALDIS_DATA_DIR": str(server.data_dir), "ALDIS_PORT": str(server.port), "no_proxy": "*"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=CHECKOUT, env=env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await shell.communicate()
    assert shell.returncode == 0, f"{out.decode()[-1000:]}\n{err.decode()[-1000:]}"
    return [printed.strip() for printed in out.decode().split(END)[:-1]]


def differences(shown: Any, answered: Any, path: str = "") -> list[str]:
    """Where an answer is not as the page shows it; what the page leaves out is not looked at."""
    if isinstance(shown, dict) and isinstance(answered, dict):
        missing = [f"{path}.{name} is missing" for name in shown if name not in answered]
        return missing + [
            line
            for name in shown
            if name in answered
            for line in differences(shown[name], answered[name], f"{path}.{name}")
        ]
    if isinstance(shown, list) and isinstance(answered, list) and len(shown) == len(answered):
        pairs = enumerate(zip(shown, answered, strict=True))
        return [line for place, (one, other) in pairs for line in differences(one, other, f"{path}[{place}]")]
    if isinstance(shown, str) and isinstance(answered, str) and VOLATILE.fullmatch(shown):
        return []
    return [] if shown == answered else [f"{path}: the page has {shown!r}, the answer {answered!r}"]


def test_a_difference_is_noticed() -> None:
    """What judges the page must be able to find it wrong."""
    answered = {"a": 1, "b": ["x"], "at": "2026-11-25T08:00:00.000Z", "more": 1}

    assert differences({"a": 1, "b": ["x"], "at": "2026-11-24T08:00:00.000Z"}, answered) == []
    assert differences({"a": 2}, answered)
    assert differences({"b": []}, answered)
    assert differences({"c": None}, answered)
    assert differences({"at": "soon"}, answered)


async def test_the_tour_of_rest_answers_as_it_says(tmp_path: Path) -> None:
    """Command after command in one shell; ids and times differ, all else is as the page shows."""
    blocks = list(BLOCK.finditer((CHECKOUT / "docs" / "rest.md").read_text(encoding="utf-8")))
    assert len(blocks) > 15

    async with served(tmp_path) as server:
        printed = await type_all(server, [block["commands"].replace(ADDRESS, server.url) for block in blocks])

    wrong = []
    for block, answer in zip(blocks, printed, strict=True):
        if block["kind"] == "json":
            wrong += [f"{block['name']}{line}" for line in differences(json.loads(block["answer"]), json.loads(answer))]
        elif block["kind"] == "text":
            lines = [
                re.sub(r"\d+", "N", line.strip()) for line in (*block["answer"].splitlines(), *answer.splitlines())
            ]
            half = len(lines) // 2
            wrong += [] if sorted(lines[:half]) == sorted(lines[half:]) else [f"{block['name']}: {answer}"]
    assert wrong == []
