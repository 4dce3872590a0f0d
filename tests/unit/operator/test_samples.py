from pathlib import Path
from typing import Any

import pytest
import yaml

from aldis.services.apply_channel import parse_channel
from unit.operator.admission import refusals

SAMPLES = sorted((Path(__file__).parents[3] / "samples").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


DOCUMENTS = [(f"{path.stem} {each['metadata']['name']}", each) for path in SAMPLES for each in documents(path)]


@pytest.mark.parametrize("document", [each for _, each in DOCUMENTS], ids=[name for name, _ in DOCUMENTS])
def test_a_sample_is_taken(document: dict[str, Any]) -> None:
    """By its definition, with no field that nobody knows."""
    assert refusals(document) == []


@pytest.mark.parametrize(
    "document", [each for _, each in DOCUMENTS if each["kind"] == "Channel"], ids=lambda each: each["metadata"]["name"]
)
def test_the_runtime_takes_the_channels_of_the_samples(document: dict[str, Any]) -> None:
    """And all that they say has an effect, or is for the operator."""
    assert set(parse_channel(document).ignored) <= {"clusterRef", "credentials", "deletionPolicy"}


def test_the_samples_are_those_that_are_promised() -> None:
    """One for a laptop, one for a small production, one on services that are there already."""
    assert [path.stem for path in SAMPLES] == ["dev", "external", "production"]
