"""The page of the socket, from the AsyncAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any

from aldis.api.reference.frame import Section, article, build_page, shown
from aldis.api.reference.markup import Markup, element, join, json_code, prose, table, words
from aldis.api.reference.shapes import Shapes
from aldis.contract.schemas import name_of
from aldis.domain.errors import CODES

Json = Mapping[str, Any]
PATH = "/docs/socket"
_SOURCES = [
    ("e", "the user's express lane: urgent and high"),
    ("s", "the user's standard lane: normal and low"),
    ("be", "broadcasts, express"),
    ("bs", "broadcasts, standard"),
    ("r", "the user's state"),
]


def build_socket_page(document: Json) -> str:
    """The whole page."""
    drawing = _Drawing(document)
    return build_page(
        path=PATH,
        title="Socket",
        version=document["info"]["version"],
        document="/asyncapi.json",
        intro=prose(document["info"]["description"]),
        sections=[drawing.ways(), drawing.commands(), drawing.news(), _sources(), drawing.close_codes(), _errors()],
    )


def _sources() -> Section:
    rows = [[element("code", name), meaning] for name, meaning in _SOURCES]
    return Section("sources", "Sources", table(["Source", "What it tells"], rows))


def _errors() -> Section:
    rows = [[element("code", name), found.remedy] for name, found in CODES.items()]
    return Section("errors", "Errors", table(["Code", "What to do"], rows))


class _Drawing:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._components = document["components"]
        self._shapes = Shapes(self._components["schemas"])

    def ways(self) -> Section:
        """The channels: three ways to hear the same."""
        parts = [self._way(name, channel) for name, channel in self._document["channels"].items()]
        entries = [(f"way-{name}", join([each["title"]])) for name, each in self._document["channels"].items()]
        return Section("ways", "Ways in", join(parts), entries)

    def _way(self, name: str, channel: Json) -> Markup:
        call = element("p", element("span", "GET", class_="method get"), " ", element("code", channel["address"]))
        what = [element("h3", channel["title"]), call, prose(channel["description"])]
        query = self._document["operations"].get(name, {}).get("bindings", {}).get("http", {}).get("query")
        if query is not None and name != "socket":
            what += [element("h4", "Query"), self._shapes.fields(query)]
        return article(f"way-{name}", what, [])

    def commands(self) -> Section:
        """What a client says, and what it is answered."""
        found = {
            name: operation
            for name, operation in self._document["operations"].items()
            if operation["action"] == "receive"
        }
        content = join(self._command(name, operation) for name, operation in found.items())
        return Section("commands", "Commands", content, [(f"command-{n}", element("code", n)) for n in found])

    def _command(self, name: str, operation: Json) -> Markup:
        (asked,) = self._messages(operation["messages"])
        answers = self._messages(operation["reply"]["messages"])
        what = [
            element("h3", element("a", name, href=f"#command-{name}")),
            element("p", words(asked["summary"])),
            self._body(asked),
        ]
        show = [shown("Client", json_code(asked["examples"][0]["payload"]))]
        for answer in answers[:-1]:
            what += [element("h4", "Answer"), element("p", words(answer["summary"])), self._body(answer)]
            show.append(shown("Server", json_code(answer["examples"][0]["payload"])))
        if len(answers) == 1:
            what.append(element("p", "It gets no answer unless it is refused.", class_="callers"))
        return article(f"command-{name}", what, show)

    def news(self) -> Section:
        """What nobody asked for, and errors."""
        operations = [o for o in self._document["operations"].values() if o["channel"]["$ref"].endswith("/socket")]
        found = [m for o in operations if o["action"] == "send" for m in self._messages(o["messages"])]
        found.append(self._components["messages"]["ErrorReply"])
        content = join(self._one_news(message) for message in found)
        entries = [(message["name"], join([_title(message["name"])])) for message in found]
        return Section("news", "News", content, entries)

    def _one_news(self, message: Json) -> Markup:
        name = message["name"]
        what = [
            element("h3", element("a", _title(name), href=f"#{name}")),
            element("p", words(message["summary"])),
            self._shapes.fields(message["payload"]),
        ]
        return article(name, what, [shown("Server", json_code(message["examples"][0]["payload"]))])

    def close_codes(self) -> Section:
        """How a connection ends."""
        codes = self._document["channels"]["socket"]["x-close-codes"]
        rows = [[element("code", str(c["code"])), c["reason"], _comes_back(c), words(c["remedy"])] for c in codes]
        return Section("close-codes", "Close codes", table(["Code", "Reason", "Come back?", "What to do"], rows))

    def _messages(self, references: Sequence[Json]) -> list[Json]:
        return [self._components["messages"][name_of(each["$ref"])] for each in references]

    def _body(self, message: Json) -> Markup:
        """The fields of a frame without its id, which all of them have."""
        schema = self._components["schemas"][name_of(message["payload"]["$ref"])]
        fields = {name: part for name, part in schema["properties"].items() if name != "id"}
        (body,) = fields.values()
        return self._shapes.fields(body)


def _title(name: str) -> str:
    return name.removesuffix("News").removesuffix("Reply")


def _comes_back(code: Json) -> str:
    return "yes" if code["reconnect"] else "no"
