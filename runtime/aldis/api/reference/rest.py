"""The page of REST, from the OpenAPI document."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from aldis.api.problems import CODES_KEY
from aldis.api.reference.frame import Section, article, build_page, shown
from aldis.api.reference.markup import Markup, code, element, join, json_code, prose, table, words
from aldis.api.reference.shapes import Shapes
from aldis.contract.examples import example_of
from aldis.domain.errors import CODES

Json = Mapping[str, Any]
PATH = "/docs"
BASE = "https://aldis.example"  # stands for the server's address until the page is handed out
MAX_LINE = 40  # characters of a body that is shown in one line
_PLACES = {"path": "Path", "query": "Query", "header": "Headers"}
_CALLERS = {"userToken": "a user's token", "backendKey": "a backend's key"}


def build_rest_page(document: Json) -> str:
    """The whole page."""
    drawing = _Drawing(document)
    return build_page(
        path=PATH,
        title="REST",
        version=document["info"]["version"],
        document="/openapi.json",
        intro=prose(document["info"]["description"]),
        sections=[*drawing.sections(), _problems()],
    )


def _problems() -> Section:
    rows = [
        [element("code", name, id=f"problem-{name}"), str(found.status), found.remedy] for name, found in CODES.items()
    ]
    return Section("problems", "Errors", table(["Code", "Status", "What to do"], rows))


class _Drawing:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._shapes = Shapes(document["components"]["schemas"])

    def sections(self) -> Iterator[Section]:
        for tag in self._document["tags"]:
            found = list(self._operations(tag["name"]))
            content = join([prose(tag["description"]), *(self._operation(*each) for each in found)])
            entries = [(op["operationId"], join([_method(m), " ", op["summary"]])) for m, _, op in found]
            yield Section(tag["name"], tag["name"].capitalize(), content, entries)

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Json]]:
        for path, operations in self._document["paths"].items():
            for method, operation in operations.items():
                if operation["tags"][:1] == [tag]:
                    yield method.upper(), path, operation

    def _operation(self, method: str, path: str, operation: Json) -> Markup:
        anchor = operation["operationId"]
        what = [
            element("h3", element("a", operation["summary"], href=f"#{anchor}")),
            element("p", _method(method), " ", element("code", path, class_="path"), class_="call"),
            prose(operation["description"]),
            _callers(operation),
            *self._parameters(operation),
            *self._body(operation),
            *self._answers(operation),
        ]
        return article(anchor, what, self._examples(method, path, operation))

    def _parameters(self, operation: Json) -> Iterator[Markup]:
        for place, title in _PLACES.items():
            found = [each for each in operation.get("parameters", ()) if each["in"] == place]
            rows = [
                self._shapes.field(
                    each["name"], {**each["schema"], "description": each["description"]}, is_required=each["required"]
                )
                for each in found
            ]
            if rows:
                yield join([element("h4", title), element("ul", *rows, class_="fields")])

    def _body(self, operation: Json) -> Iterator[Markup]:
        for media in operation.get("requestBody", {}).get("content", {}).values():
            title = "Body" if operation["requestBody"].get("required") else "Body, may be left out"
            yield join([element("h4", title), self._shapes.fields(media["schema"])])

    def _answers(self, operation: Json) -> Iterator[Markup]:
        answers = operation["responses"].items()
        yield element("h4", "Answers")
        yield element("div", *(self._answer(status, each) for status, each in answers), class_="answers")

    def _answer(self, status: str, answer: Json) -> Markup:
        badge = element("span", status, class_=f"status s{status[0]}")
        if CODES_KEY in answer:
            codes = [element("a", element("code", each), href=f"#problem-{each}") for each in answer[CODES_KEY]]
            return element("p", badge, " ", *(part for each in codes for part in (each, " ")))
        inside = [self._shapes.fields(media["schema"]) for media in answer.get("content", {}).values()]
        headers = [
            self._shapes.field(name, {**header["schema"], "description": header["description"]}, is_required=False)
            for name, header in answer.get("headers", {}).items()
        ]
        told = [part for part in inside if part] + (
            [element("h5", "Headers"), element("ul", *headers, class_="fields")] if headers else []
        )
        summary = join([badge, " ", words(answer["description"])])
        return element("details", element("summary", summary), *told) if told else element("p", summary)

    def _examples(self, method: str, path: str, operation: Json) -> Iterator[Markup]:
        bodies = self._shown(operation.get("requestBody", {}).get("content", {}))
        for place, (title, body) in enumerate(bodies or [("", None)]):
            request = code(self._curl(method, path, operation, body))
            yield shown(title or "Request", request, is_open=place == 0)
        for status, answer in operation["responses"].items():
            if CODES_KEY not in answer:
                for place, (title, value) in enumerate(self._shown(answer.get("content", {}))):
                    shape = json_code(value) if not isinstance(value, str) else code(value)
                    yield shown(f"{status} {title}".strip(), shape, is_open=place == 0)

    def _shown(self, content: Json) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for media in content.values():
            found += [(each["summary"], each["value"]) for each in media.get("examples", {}).values()]
            if "example" in media:
                found.append(("", media["example"]))
        return found

    def _curl(self, method: str, path: str, operation: Json, body: Any) -> str:
        verb = "" if method == "GET" else f" -X {method}"
        lines = [f"curl{verb} {shlex.quote(BASE + self._filled(path, operation))}"]
        lines += [f'-H "Authorization: Bearer ${_variable(operation)}"'] if operation["security"] else []
        if body is not None:
            text = json.dumps(body, ensure_ascii=False, indent=2 if len(str(body)) > MAX_LINE else None)
            lines += ['-H "Content-Type: application/json"', f"-d {shlex.quote(text)}"]
        return " \\\n  ".join(lines)

    def _filled(self, path: str, operation: Json) -> str:
        """The path with examples of what it needs."""
        query: list[str] = []
        for each in operation.get("parameters", ()):
            value = each.get("example", example_of(each["schema"], {}))
            if each["in"] == "path":
                path = path.replace(f"{{{each['name']}}}", str(value))
            elif each["in"] == "query" and each["required"]:
                query += [f"{each['name']}={one}" for one in (value if isinstance(value, list) else [value])]
        return f"{path}?{'&'.join(query)}" if query else path


def _method(method: str) -> Markup:
    return element("span", method, class_=f"method {method.lower()}")


def _callers(operation: Json) -> Markup:
    named = [
        f"{_CALLERS[scheme]}{' with the scope ' + ', '.join(scopes) if scopes else ''}"
        for each in operation["security"]
        for scheme, scopes in each.items()
    ]
    return element("p", f"Call it with {' or '.join(named)}." if named else "Anyone may call it.", class_="callers")


def _variable(operation: Json) -> str:
    schemes = [scheme for each in operation["security"] for scheme in each]
    return "TOKEN" if "userToken" in schemes else "KEY"
