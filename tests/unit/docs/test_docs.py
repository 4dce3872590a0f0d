import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from aldis.adapters.sql import schema
from aldis.domain.errors import CODES
from aldis.gateway.close_codes import REASONS
from aldis.services.apply_channel import NOT_USED_YET, parse_channel
from aldis.settings import PREFIX, Settings
from aldis.telemetry.metrics import Metrics

CHECKOUT = Path(__file__).parents[3]
PAGES = sorted(
    path.relative_to(CHECKOUT)
    for pattern in ("*.md", "docs/**/*.md", "runtime/**/*.md", "operator/**/*.md", "examples/**/*.md")
    for path in CHECKOUT.glob(pattern)
)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
METRIC = re.compile(r"\baldis_[a-z_]+\b")


def page(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """The part of a page below one heading."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page(name), re.DOTALL | re.MULTILINE)
    assert match is not None, f"{name} has no heading {heading}"
    return match[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a text's table, without its header."""
    lines = [line.strip().strip("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines[2:]]


def words(cell: str) -> list[str]:
    """What stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


def anchors(text: str) -> set[str]:
    """The names under which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub(lambda match: match[0].strip("`"), text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links() -> Iterator[tuple[Path, str]]:
    for path in PAGES:
        for match in LINK.finditer(CODE.sub("", page(str(path)))):
            if not re.match(r"[a-z]+:", match["target"]):
                yield path, match["target"]


def leaves(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, str]]:
    """Each variable of a settings model with its default as the page writes it."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{variable}__")
        elif field.default_factory is not None:
            yield variable, "sqlite:///<data folder>/aldis.db"
        else:
            yield variable, "none" if field.default is None else str(field.default).removesuffix(".0")


def test_the_contract_lists_every_error_code() -> None:
    """The table of the page is the table of the code, statuses and remedies included."""
    stated = [
        (words(code)[0], int(status), remedy) for code, status, remedy in rows(section("docs/contract.md", "Errors"))
    ]

    assert stated == [(name, code.status, code.remedy) for name, code in CODES.items()]


def test_the_contract_lists_every_close_code() -> None:
    """Each with the reason that is said on the wire."""
    stated = [(int(code), reason) for code, reason, _ in rows(section("docs/contract.md", "Close codes"))]

    assert stated == [(int(code), reason) for code, reason in REASONS.items()]


def test_the_contract_lists_every_field_of_a_channel_that_has_no_effect() -> None:
    """What is accepted and not used is told as such."""
    told = [
        words(field) for field, effect in rows(section("docs/contract.md", "Channels")) if effect.startswith("none;")
    ]

    assert told == [list(NOT_USED_YET)]


def test_the_settings_are_listed_with_their_defaults() -> None:
    """Every variable, none that is not there, and what it is when nobody sets it."""
    table = rows(section("docs/operations.md", "Settings"))
    stated = {words(variable)[0]: (words(default) or [default])[0].lower() for variable, default, _ in table}

    assert stated == {variable: default.lower() for variable, default in leaves(Settings)}


def test_the_metrics_are_listed() -> None:
    """Every metric of ours, by the name under which it is scraped, with its labels."""
    table = rows(section("docs/operations.md", "Metrics"))
    stated = {words(name)[0]: words(labels) for name, labels, _ in table}

    assert stated == dict(scraped(Metrics()))


def scraped(metrics: Metrics) -> Iterator[tuple[str, list[str]]]:
    for metric in vars(metrics).values():
        if (name := getattr(metric, "_name", None)) is not None:
            yield f"{name}{'_total' if metric._type == 'counter' else ''}", list(metric._labelnames)


def test_no_page_speaks_of_a_metric_that_is_not_there() -> None:
    """A metric that was renamed is renamed in the text, too."""
    known = {name for name, _ in scraped(Metrics())}

    assert set(METRIC.findall(page("docs/operations.md"))) <= known


def test_every_table_is_described() -> None:
    """ARCHITECTURE.md names the tables of the schema and no other."""
    described = {name for cells in rows(section("ARCHITECTURE.md", "The data")) for name in words(cells[0])}

    assert described == set(schema.metadata.tables)


@pytest.mark.parametrize(("path", "target"), list(links()), ids=str)
def test_every_link_leads_somewhere(path: Path, target: str) -> None:
    """A relative link names a file that is there, and a heading that it has."""
    name, _, anchor = target.partition("#")
    found = (CHECKOUT / path).parent / name if name else CHECKOUT / path

    assert found.exists()
    assert not anchor or anchor in anchors(found.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted((CHECKOUT / "examples").glob("*-channel.yaml")), ids=lambda path: path.name)
def test_the_examples_can_be_applied(path: Path) -> None:
    """A channel of the examples is right, and all that it says has an effect."""
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))

    assert [parse_channel(document).ignored for document in documents] == [()] * len(documents)
