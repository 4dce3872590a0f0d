import base64
import hashlib
import re
from dataclasses import dataclass, field

import httpx2
import pytest
from fastapi import FastAPI

from aldis.api import page
from aldis.api.dependencies import OpenConnection
from aldis.api.page import connected_html


@dataclass
class Connected:
    """What the page asks of the dependencies."""

    rows: list[OpenConnection] = field(default_factory=list)

    def connections(self) -> list[OpenConnection]:
        return self.rows


async def fetch(connected: Connected, *, client: str = "127.0.0.1", host: str = "aldis.test") -> httpx2.Response:
    app = FastAPI()
    app.state.api = connected
    app.include_router(page.router)
    transport = httpx2.ASGITransport(app=app, client=(client, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://aldis.test") as caller:
        return await caller.get("/", headers={"host": host})


ALICE = OpenConnection("alice", "phone", "ios", 1_800_000_000_000)


async def test_the_page_shows_who_is_connected() -> None:
    """User, device, platform and since when, for whoever looks from the same machine."""
    response = await fetch(Connected([ALICE]))

    assert response.status_code == 200
    for word in ("1 user on 1 connection", "alice", "phone", "ios", "2027-01-15 08:00:00 UTC"):
        assert word in response.text


async def test_names_are_not_told_to_other_machines() -> None:
    """The page asks nobody who they are, so elsewhere it only counts."""
    response = await fetch(Connected([ALICE]), client="192.0.2.7")

    assert "1 user on 1 connection" in response.text
    assert "<td>alice" not in response.text


async def test_only_the_pages_own_style_and_script_may_run() -> None:
    """The policy names their hashes; what is on the page is what was hashed."""
    response = await fetch(Connected())

    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


async def test_nothing_comes_from_outside() -> None:
    """No address but our own stands on the page, and no inline style or handler that the policy would stop."""
    text = (await fetch(Connected())).text

    assert set(re.findall(r"https?://[^/\s\"<]+", text)) == {"http://aldis.test"}
    assert not re.search(r"\s(style|on\w+)=", text)


@pytest.mark.parametrize("host", ["<script>", "a b", "$(reboot)", "x'y", 'x"y', "a/b"])
async def test_a_strange_host_is_not_repeated(host: str) -> None:
    """The commands are meant to be pasted into a terminal."""
    text = (await fetch(Connected(), host=host)).text

    assert "curl -s http://127.0.0.1:8080/v1/messages" in text


async def test_the_commands_are_shown_whole() -> None:
    """A shell's own dollars survive the template."""
    text = (await fetch(Connected())).text

    assert "TOKEN=$(aldis token bob)" in text
    assert "Bearer $TOKEN" in text


def test_what_people_call_themselves_is_escaped() -> None:
    """A platform is free text of a client."""
    html = connected_html([OpenConnection("alice", None, "<b>&", 0)], is_here=True)

    assert "<b>" not in html
    assert "&lt;b&gt;&amp;" in html


def test_a_cluster_shows_no_list() -> None:
    """One process does not know the others' connections."""
    assert "/metrics" in connected_html(None, is_here=True)


def test_a_crowd_is_cut() -> None:
    """A page is for looking, not for counting."""
    crowd = [OpenConnection(f"u{number}", None, "x", 0) for number in range(500)]

    html = connected_html(crowd, is_here=True)

    assert html.count("<td>u") == 100
    assert "500 users on 500 connections" in html
