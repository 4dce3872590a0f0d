"""HTML that is safe by its type: what is not `Markup` is escaped when it is put into an element."""

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

_INLINE = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|(?<![\w`])(?P<path>/(?:openapi|asyncapi)\.json)\b")
_ITEM = re.compile(r"(?:- |\d+\. )(?P<words>.*)", re.DOTALL)
_JSON = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*")(?=:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>\b(?:true|false|null)\b)')
_VOID = frozenset({"input", "link", "meta", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Markup:
    """An element. `class_` and `for_` lose their line; children that are no `Markup` are escaped."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Parts in a row."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def words(text: str) -> Markup:
    """A line of CommonMark: code, strong words, and links to the documents."""
    parts: list[str] = []
    end = 0
    for match in _INLINE.finditer(text):
        parts += [text[end : match.start()], _inline(match)]
        end = match.end()
    return join([*parts, text[end:]])


def _inline(match: re.Match[str]) -> Markup:
    if match["code"] is not None:
        return element("code", match["code"])
    if match["strong"] is not None:
        return element("strong", match["strong"])
    return element("a", element("code", match["path"]), href=match["path"])


def prose(text: str) -> Markup:
    """Paragraphs and lists of CommonMark."""
    return join(_block(block) for block in text.split("\n\n"))


def _block(block: str) -> Markup:
    lines = block.strip().split("\n")
    if not all(_ITEM.match(line) for line in lines):
        return element("p", words(" ".join(lines)))
    items = [element("li", words(match["words"])) for line in lines if (match := _ITEM.match(line))]
    return element("ol" if lines[0][0].isdigit() else "ul", *items)


def json_code(value: Any) -> Markup:
    """JSON with its kinds of words told apart."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    parts: list[str] = []
    end = 0
    for match in _JSON.finditer(text):
        kind = match.lastgroup or ""
        parts += [text[end : match.start()], element("span", match[0], class_=f"j-{kind}")]
        end = match.end()
    return element("pre", element("code", *parts, text[end:]), tabindex="0")


def code(text: str) -> Markup:
    """A block of code as it is. It can be scrolled with the keys, too."""
    return element("pre", element("code", text), tabindex="0")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """A table that scrolls by itself where there is no room."""
    header = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    whole = element("table", element("thead", header), element("tbody", *body))
    return element("div", whole, class_="scroll", tabindex="0")
