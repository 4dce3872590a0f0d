"""The pages of the two descriptions: whole, well-formed, alone, and safe."""

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from aldis.api.reference import frame, rest, socket
from aldis.api.reference.markup import Markup, element, prose, words
from aldis.domain.errors import CODES
from described import rest_document, socket_document

VOID = {"meta", "link", "input", "br"}
PAGES: dict[str, Callable[[], str]] = {
    rest.PATH: lambda: rest.build_rest_page(rest_document()),
    socket.PATH: lambda: socket.build_socket_page(socket_document()),
}
each_page = pytest.mark.parametrize("html", [make() for make in PAGES.values()], ids=PAGES)


class Reader(HTMLParser):
    """Reads a page as a strict browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@each_page
def test_a_page_is_well_formed(html: str) -> None:
    """Each element ends where it should, and each id is there once."""
    reader = read(html)

    assert len(reader.ids) == len(set(reader.ids))


@each_page
def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(html: str) -> None:
    """No script, no picture, no address but our own; no style but the one that the policy names."""
    reader = read(html)

    assert not reader.tags & {"script", "img", "iframe", "form", "object"}
    assert not [name for name in reader.attributes if name == "style" or name.startswith("on")]
    assert {link for link in reader.links if not link.startswith(("#", "/", "data:,"))} == set()


@each_page
def test_the_policy_allows_the_style_and_nothing_else(html: str) -> None:
    """By its hash."""
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = frame.HEADERS["content-security-policy"]

    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "script-src" not in policy


@each_page
def test_every_link_within_a_page_leads_somewhere(html: str) -> None:
    """The list of contents, the codes, the headings."""
    reader = read(html)

    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_the_page_of_rest_has_every_operation_and_every_code() -> None:
    """Each with its path, its examples and its refusals."""
    html = PAGES[rest.PATH]()
    ids = read(html).ids

    for path, operations in rest_document()["paths"].items():
        assert f">{path}</code>" in html
        assert {operation["operationId"] for operation in operations.values()} <= set(ids)
    assert {f"problem-{code}" for code in CODES} <= set(ids)


def test_the_page_of_the_socket_has_every_kind_of_frame_and_every_close_code() -> None:
    """Commands with their answers, news with their events."""
    html = PAGES[socket.PATH]()
    document = socket_document()

    for message in document["components"]["messages"].values():
        assert str(words(message["summary"])) in html
    for each in document["channels"]["socket"]["x-close-codes"]:
        assert f"<code>{each['code']}</code>" in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `b<c` & d", "a <code>b&lt;c</code> &amp; d"),
        ("**bold** words", "<strong>bold</strong> words"),
        ("see /asyncapi.json", 'see <a href="/asyncapi.json"><code>/asyncapi.json</code></a>'),
        ("<script>", "&lt;script&gt;"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
    ],
)
def test_words_are_escaped(text: str, html: str) -> None:
    """Whatever they say."""
    assert words(text) == html


def test_prose_has_paragraphs_and_lists() -> None:
    """As CommonMark has them, as far as the descriptions use it."""
    assert prose("One\nline.\n\n1. first\n2. second\n\n- a") == (
        "<p>One line.</p><ol><li>first</li><li>second</li></ol><ul><li>a</li></ul>"
    )


def test_what_is_markup_already_is_not_escaped_again() -> None:
    """The type says which is which, also of attributes."""
    inner: Any = element("b", "<")

    assert isinstance(inner, Markup)
    assert element("a", inner, href='"') == '<a href="&quot;"><b>&lt;</b></a>'
