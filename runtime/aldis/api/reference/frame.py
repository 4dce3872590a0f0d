"""What both pages have: the head, the way from one to the other, the list of contents, and their style."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import NamedTuple

from aldis.api.reference.markup import Markup, element, join

_STYLE = Markup((resources.files("aldis.api") / "static" / "reference.css").read_text(encoding="utf-8"))
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_PAGES = {"/": "Start", "/docs": "REST", "/docs/socket": "Socket"}


class Section(NamedTuple):
    """A part of a page; `entries` are what the list of contents has for it."""

    anchor: str
    title: str
    content: Markup
    entries: Sequence[tuple[str, Markup]] = ()


def build_page(
    *, path: str, title: str, version: str, document: str, intro: Markup, sections: Iterable[Section]
) -> str:
    """The whole page."""
    parts = list(sections)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Aldis: {title}"),
        element("link", rel="icon", href="data:,"),
        element("style", _STYLE),
    )
    main = element(
        "main",
        element("section", element("h1", title), intro, class_="intro", id="top"),
        *(element("section", element("h2", part.title), part.content, id=part.anchor) for part in parts),
    )
    body = element("body", _bar(path, version, document), element("div", _contents(parts), main, class_="frame"))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _bar(path: str, version: str, document: str) -> Markup:
    links = [
        element("a", name, href=target, **({"aria_current": "page"} if target == path else {}))
        for target, name in _PAGES.items()
    ]
    brand = element("a", "Aldis", element("small", version), href="/", class_="brand")
    download = element("a", document.rpartition("/")[2], href=document, class_="download")
    return element("header", brand, element("nav", *links, aria_label="Pages"), download, class_="bar")


def _contents(parts: Iterable[Section]) -> Markup:
    switch = join([
        element("input", type="checkbox", id="menu"),
        element("label", "Contents", for_="menu", class_="menu"),
    ])  # fmt: skip
    lists = [element("div", element("a", part.title, href=f"#{part.anchor}"), _entries(part)) for part in parts]
    return element("div", switch, element("nav", *lists, aria_label="Contents"), class_="side")


def _entries(part: Section) -> Markup:
    items = [element("li", element("a", label, href=f"#{anchor}")) for anchor, label in part.entries]
    return element("ul", *items) if items else Markup("")


def article(anchor: str, what: Iterable[str], show: Iterable[str]) -> Markup:
    """A thing, told on the left and shown on the right, if there is something to be shown."""
    right = join(show)
    parts = [element("div", *what, class_="what"), *([element("div", right, class_="show")] if right else [])]
    return element("article", *parts, id=anchor, **({} if right else {"class_": "plain"}))


def shown(title: str, content: Markup, *, is_open: bool = True) -> Markup:
    """An example with its title, by which it is opened."""
    return element("details", element("summary", title), content, class_="shown", **({"open": ""} if is_open else {}))
