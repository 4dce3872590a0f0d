"""docs/contract.md and the two descriptions say the same: calls, frames, codes, headers, examples, channels."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aldis.api import headers
from aldis.contract.examples import example_of
from aldis.contract.schemas import Schema, name_of, references
from aldis.gateway.asyncapi import CLOSE_CODES_KEY, NEWS
from aldis.gateway.described import commands
from aldis.services.channel_schema import channel_schema
from aldis.services.news import EPHEMERA, STATES
from described import Json, check_frame, check_value, kinds_of, rest_document, socket_components, socket_document

CHECKOUT = Path(__file__).parents[3]
PAGE = (CHECKOUT / "docs" / "contract.md").read_text(encoding="utf-8")
METHODS = r"(?:GET|POST|PUT|PATCH|DELETE)"
CALL = re.compile(rf"(?P<methods>{METHODS}(?:\|{METHODS})*)?\s*(?P<path>/\S*)?")
CODE = re.compile(r"`([^`]+)`")


def section(heading: str) -> str:
    """The part of the page below a heading, with what is below that."""
    match = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^(?!\1#)#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert match is not None, f"the page has no heading {heading}"
    return match[2]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, without their heads."""
    found: list[list[str]] = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        lines = [line.strip().strip("|") for line in block.splitlines()]
        found += [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines[2:]]
    return found


def calls_of(cell: str) -> Iterator[tuple[str, str, set[str]]]:
    """The calls that a cell names: each method, path and query."""
    waiting: list[str] = []
    methods: list[str] = []
    for code in CODE.findall(cell.replace("\\|", "|")):
        match = CALL.fullmatch(code)
        if match is None:
            continue  # a body
        named = match["methods"].split("|") if match["methods"] else []
        if not match["path"]:
            waiting += named
            continue
        methods, waiting = [*waiting, *named] or methods, []
        path, _, query = match["path"].partition("?")
        for method in methods:
            yield method, shape_of(path), set(re.findall(r"(\w+)=", query))


def shape_of(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"\{\w+\}", "{}", path)


REST_ROWS = [
    cells for heading in ("REST", "Administration") for cells in rows(section(heading)) if any(calls_of(cells[0]))
]
PAGE_CALLS = [call for cells in REST_ROWS for call in calls_of(cells[0])]
DESCRIBED = {
    (method.upper(), shape_of(path)): operation
    for path, methods in rest_document()["paths"].items()
    for method, operation in methods.items()
}


def test_every_call_of_the_page_is_described_and_the_other_way_round() -> None:
    """A call that is served stands in a table, and one that stands in a table is served."""
    assert {(method, path) for method, path, _ in PAGE_CALLS} == set(DESCRIBED)


@pytest.mark.parametrize(("method", "path", "query"), PAGE_CALLS, ids=[f"{m} {path}" for m, path, _ in PAGE_CALLS])
def test_the_query_of_a_call_is_told_in_full(method: str, path: str, query: set[str]) -> None:
    """Every parameter, and none that is refused."""
    operation = DESCRIBED[method, path]
    described = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}

    assert query == described


def test_every_header_is_told_by_the_page() -> None:
    """Those of requests and of answers."""
    stated = set(re.findall(r"`([A-Z][\w-]+)(?:: [^`]*)?`", " ".join(cells[0] for cells in rows(section("REST")))))
    asked = {p["name"] for op in DESCRIBED.values() for p in op.get("parameters", ()) if p["in"] == "header"}

    assert {*asked, *headers._HEADERS} <= stated


def named(cell: str) -> Iterator[set[str]]:
    """The fields that a cell names without values: `{"user","blocked_at"}`."""
    for code in CODE.findall(cell):
        if re.match(r'\{"\w+",', code) and "…" not in code:
            yield set(re.findall(r'"(\w+)"', re.sub(r":\s*\{.*?\}", "", code)))


def shapes_of(operation: Json) -> Iterator[set[str]]:
    """The fields of each shape that a call takes or answers, however deep inside of another."""
    shapes: dict[str, Schema] = rest_document()["components"]["schemas"]
    answers = [answer for status, answer in operation["responses"].items() if status < "300"]
    waiting, seen = [*references([operation.get("requestBody", {}), answers])], set[str]()
    while waiting:
        name = waiting.pop()
        if name in shapes and name not in seen:
            seen.add(name)
            waiting += references(shapes[name])
            yield set(shapes[name].get("properties", ()))


@pytest.mark.parametrize("cells", REST_ROWS, ids=[cells[0] for cells in REST_ROWS])
def test_the_fields_that_a_row_names_are_all_that_there_are(cells: list[str]) -> None:
    """None is left out, and none is there that is not taken or answered by one of its calls."""
    known = [fields for method, path, _ in calls_of(cells[0]) for fields in shapes_of(DESCRIBED[method, path])]

    for fields in named(cells[-1]):
        assert fields in known, fields


# -- examples ---------------------------------------------------------------------------------------------------


def test_every_example_is_what_it_shows() -> None:
    """The blocks of JSON on the page."""
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert blocks
    for block in map(json.loads, blocks):
        name = "Batch" if "results" in block else "Message"
        check_value({"$ref": f"#/components/schemas/{name}"}, block, "the page")


def frames_in(text: str) -> Iterator[Json]:
    """The frames that a text shows, with what they leave out as "…"."""
    for code in CODE.findall(" ".join(text.split())):
        if code.startswith('{"') and not re.match(r'\{"\w+",', code):  # not one that only names its fields
            filled = re.sub(r"\{…\}|\[…\]|(?<=:)[nm](?=[,}])", '"…"', code)
            yield json.loads(re.sub(r",\s*…", "", filled))


def fill(value: Any, schema: Schema) -> Any:
    """What a frame on the page leaves out, as it may be."""
    components: dict[str, Schema] = socket_components()["schemas"]
    whole = components[name_of(schema["$ref"])] if "$ref" in schema else schema
    variants: list[Schema] = whole.get("oneOf") or whole.get("anyOf") or []
    if value == "…":
        return example_of(whole, components)
    if isinstance(value, list):
        return [fill(part, whole.get("items", {})) for part in value]
    if not isinstance(value, dict):
        return value
    if variants:
        return fill(value, next((part for part in variants if fits(value, part, components)), variants[0]))
    return {key: fill(part, whole.get("properties", {}).get(key, {})) for key, part in value.items()}


def fits(value: Json, schema: Schema, components: dict[str, Schema]) -> bool:
    """Whether a variant has these fields, and this type."""
    fields = (components[name_of(schema["$ref"])] if "$ref" in schema else schema).get("properties", {})
    type_ = fields.get("type", {})
    allowed = type_.get("enum", [type_["const"]] if "const" in type_ else [])
    return value.keys() <= fields.keys() and (not allowed or value.get("type") in allowed)


def check_shown(frame: Json, *, by_client: bool) -> None:
    """Raise `AssertionError` for a frame that could not be one."""
    name = kinds_of(frame, by_client=by_client)[0]
    check_frame(fill(frame, {"$ref": f"#/components/schemas/{name}"}), by_client=by_client)


SOCKET_TABLE = rows(section("WebSocket").partition("News:")[0])
NEWS_TEXT = section("WebSocket").partition("News:")[2].partition("\n**")[0]


@pytest.mark.parametrize(("said", "answered"), SOCKET_TABLE, ids=[cells[0] for cells in SOCKET_TABLE])
def test_the_frames_of_the_table_are_described(said: str, answered: str) -> None:
    """What a client says, and what it is answered, but for the parts that stand for themselves."""
    command, *parts = frames_in(said)
    check_shown(command, by_client=True)
    assert all("conversation" in part for part in parts)  # another recipient
    for answer in frames_in(answered):
        check_shown(answer, by_client=False)


def test_the_page_has_every_command() -> None:
    """In its table, and no other."""
    stated = {next(key for key in next(frames_in(cells[0])) if key != "id") for cells in SOCKET_TABLE}

    assert stated == set(commands())


def test_the_page_has_all_news() -> None:
    """Each kind of frame that nobody asked for, each type of state, each type of event, and what is ephemeral."""
    shown = [
        frame for frame in frames_in(NEWS_TEXT) if frame.keys() & {"source", "ephemeral", "ping", "error", "disconnect"}
    ]
    for frame in shown:
        check_shown(frame, by_client=False)
    kinds = {kind for frame in shown for kind in kinds_of(frame, by_client=False)}
    types = set(re.findall(r"^  - `(\w+)`:", NEWS_TEXT, re.MULTILINE))

    assert {*NEWS, "ErrorReply", *(type_.__name__ for type_ in EPHEMERA)} - {"StateNews"} <= kinds
    assert types == set(STATES)
    for type_ in ("message", "message.edited", "message.deleted"):
        assert f"`{type_}`" in NEWS_TEXT


def test_the_fields_of_state_are_told_in_full() -> None:
    """`{"conversation_id","read_seq","unread"}` names them all."""
    for type_, fields in re.findall(r"^  - `(\w+)`: `\{(.*?)\}`", NEWS_TEXT, re.MULTILINE):
        described = socket_components()["schemas"][STATES[type_].__name__]["properties"]
        stated = re.findall(r'(?<![{,])"(\w+)"|,"(\w+)"', re.sub(r"\{.*?\}", "", fields))
        assert {first or second for first, second in stated} == set(described), type_


def test_what_to_do_about_a_close_code_is_the_codes_own() -> None:
    """Word for word."""
    stated = {int(code): remedy for code, _, remedy in rows(section("Close codes"))}

    described = socket_document()["channels"]["socket"][CLOSE_CODES_KEY]
    assert stated == {each["code"]: each["remedy"] for each in described}


def paths_of(schema: Schema, prefix: str = "") -> Iterator[str]:
    """All fields of a channel, as the page writes them."""
    for name, part in schema["properties"].items():
        inner = next((each for each in (part, *part.get("anyOf", ())) if "properties" in each), None)
        if inner is None:
            yield f"{prefix}{name}"
        else:
            yield from paths_of(inner, f"{prefix}{name}.")


def test_the_page_has_every_field_of_a_channel() -> None:
    """`delivery.backoff.initial`, `.factor`, `.max`: the later ones go on from the first."""
    stated: set[str] = set()
    for cells in rows(section("Channels")):
        parent = ""
        for path in CODE.findall(cells[0]):
            stated.add(f"{parent}{path}" if path.startswith(".") else path)
            parent = path.rpartition(".")[0] if not path.startswith(".") else parent

    assert stated == set(paths_of(channel_schema()))
