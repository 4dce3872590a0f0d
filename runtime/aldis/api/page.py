"""The page at `/`: what this is, who is connected, what to try. It needs nothing from outside itself.

Names are shown to this machine only; others see how many there are, because the page asks nobody who they are.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from string import Template

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from aldis import __version__
from aldis.api.dependencies import Api, OpenConnection

router = APIRouter(tags=["descriptions"])

MAX_SHOWN = 100  # connections; a page is for looking, not for counting
_HERE = frozenset({"127.0.0.1", "::1"})
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:]{2,45}\](:[0-9]{1,5})?")
_SOURCE = (resources.files("aldis.api") / "static" / "index.html").read_text(encoding="utf-8")
_PAGE = Template(_SOURCE)


def content_security_policy(source: str) -> str:
    """Nothing but the page's own style and script, known by their hashes."""
    style, script = (_hash(source, tag) for tag in ("style", "script"))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(source: str, tag: str) -> str:
    match = re.search(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
    assert match is not None, f"the page has a {tag}"
    return f"'sha256-{base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()}'"


HEADERS = {
    "content-security-policy": content_security_policy(_SOURCE),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@router.head("/", include_in_schema=False)
@router.get("/", summary="A page to start from", response_class=HTMLResponse)
async def show_page(request: Request, api: Api) -> Response:
    """What this is, who is connected, what to try."""
    is_here = request.client is not None and request.client.host in _HERE
    connections = [OpenConnection(*each) for each in api.connections()] if api.connections is not None else None
    html = _PAGE.substitute(
        version=escape(__version__),
        url=escape(base_url(request)),
        connected=connected_html(connections, is_here=is_here),
    )
    return HTMLResponse(html, headers=HEADERS)


def base_url(request: Request) -> str:
    """Where the caller reached us; a Host header that is none is not repeated."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if _HOST.fullmatch(host) else '127.0.0.1:8080'}"


def connected_html(connections: Sequence[OpenConnection] | None, *, is_here: bool) -> str:
    """Who is connected, as rows of a table or as a sentence."""
    if connections is None:
        return "<p>In a cluster each gateway knows its own connections only; see <code>/metrics</code>.</p>"
    if not connections:
        return "<p>Nobody yet. Start <code>aldis listen --as alice</code> in a terminal and watch.</p>"
    users = len({each.user for each in connections})
    summary = f"<p>{_count(users, 'user')} on {_count(len(connections), 'connection')}.</p>"
    if not is_here:
        return f"{summary}<p>Their names are shown on the machine itself only.</p>"
    shown = sorted(connections)[:MAX_SHOWN]
    more = f"<p>The first {MAX_SHOWN} are shown.</p>" if len(connections) > MAX_SHOWN else ""
    rows = "".join(_row(each) for each in shown)
    head = "<tr><th>User</th><th>Device</th><th>Platform</th><th>Since</th></tr>"
    return f'{summary}<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>{more}'


def _row(connection: OpenConnection) -> str:
    since = datetime.fromtimestamp(connection.since_ms / 1000, UTC)
    cells = (connection.user, connection.device or "(unnamed)", connection.platform)
    time = f'<time datetime="{since:%Y-%m-%dT%H:%M:%SZ}">{since:%Y-%m-%d %H:%M:%S} UTC</time>'
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}<td>{time}</td></tr>"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
