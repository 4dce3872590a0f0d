"""The custom resource and the runtime read the same document: what one takes or refuses, so does the other."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from aldis.domain.errors import Rejected
from aldis.services.apply_channel import NOT_USED_YET, parse_channel
from aldis.services.channel_schema import channel_schema
from aldis.services.channel_spec import spec_of
from aldis_operator.crds.structural import structural
from aldis_operator.model.channel import NO_EFFECT, ChannelSpec
from unit.channels import channels
from unit.operator.admission import refusals

CHECKOUT = Path(__file__).parents[3]
OPERATORS_OWN = {"clusterRef", "credentials", "deletionPolicy"}  # of no meaning to the runtime, now and later


def document(spec: dict[str, Any], name: str = "some") -> dict[str, Any]:
    return {"apiVersion": "aldis.dev/v1alpha1", "kind": "Channel", "metadata": {"name": name}, "spec": spec}


def is_taken_by_runtime(whole: dict[str, Any]) -> bool:
    try:
        parse_channel(whole)
    except Rejected:
        return False
    return True


SPECS = channels().map(spec_of)  # what the runtime tells of any channel that can be declared


@given(SPECS)
def test_what_the_runtime_tells_is_taken(spec: dict[str, Any]) -> None:
    """A channel that was declared by hand can be kept as a resource as it is."""
    assert refusals(document(spec)) == []


# Each of these is right or wrong for both, with the fields of a type where they belong and where they do not.
PARTS: list[dict[str, Any]] = [
    {},
    {"colour": 1},
    {"displayName": "x" * 200},
    {"displayName": "x" * 201},
    {"audience": "Everyone"},
    {"audience": "Nobody"},
    {"history": "Hidden"},
    {"chat": {}},
    {"chat": {"who": "Agents", "agents": ["a*"]}},
    {"chat": {"who": "Anyone", "agents": ["a*"]}},
    {"chat": {"agents": ["a*"]}},
    {"chat": {"who": "Agents", "agents": ["a b"]}},
    {"chat": {"who": "Agents", "agents": [""]}},
    {"chat": {"who": "Agents", "agents": ["a" * 129]}},
    {"delivery": {"priority": "urgent"}},
    {"delivery": {"priority": "asap"}},
    {"delivery": {"timeToLive": "1s"}},
    {"delivery": {"timeToLive": "999ms"}},
    {"delivery": {"timeToLive": "87600h"}},
    {"delivery": {"timeToLive": "87600h1ms"}},
    {"delivery": {"timeToLive": "1 day"}},
    {"delivery": {"timeToLive": "1.5h"}},
    {"delivery": {"maxAttempts": 50}},
    {"delivery": {"maxAttempts": 51}},
    {"delivery": {"backoff": {"factor": 1.5}}},
    {"delivery": {"backoff": {"factor": 11}}},
    {"delivery": {"backoff": {"initial": "24h"}}},
    {"delivery": {"backoff": {"initial": "24h1ms"}}},
    {"delivery": {"backoff": {"max": "5s"}}},
    {"delivery": {"backoff": {"max": "4s"}}},
    {"delivery": {"backoff": {"initial": "2s", "max": "3s"}}},
    {"delivery": {"backoff": {"initial": "3s", "max": "2s"}}},
    {"delivery": {"backoff": {"jitter": True}}},
    {"limits": {"messagesPerSecond": 1, "maxContentBytes": 2**31 - 1}},
    {"limits": {"messagesPerSecond": 0}},
    {"limits": {"maxContentBytes": 2**31}},
    {"limits": {"maxContentBytes": "1k"}},
]


@pytest.mark.parametrize("type_", ["Notification", "Broadcast", "Chat", "Mail"])
@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("name", ["some", "chat"])
def test_both_judge_alike(name: str, part: dict[str, Any], type_: str) -> None:
    """What one refuses, the other would refuse."""
    whole = document({"type": type_, **part}, name)

    assert (refusals(whole) == []) is is_taken_by_runtime(whole)


def test_both_know_the_same_fields() -> None:
    """All of them, at each level that both look into."""
    ours, theirs = structural(ChannelSpec), channel_schema()

    assert set(ours["properties"]) == set(theirs["properties"])
    for name in ("delivery", "limits", "chat"):
        assert set(ours["properties"][name]["properties"]) == set(inside(theirs["properties"][name])), name


def inside(schema: Any) -> dict[str, Any]:
    """The fields of a part, also where it may be null."""
    found: dict[str, Any] = schema.get("properties") or next(
        part["properties"] for part in schema["anyOf"] if "properties" in part
    )
    return found


def test_the_fields_without_effect_are_told_as_such() -> None:
    """Those that the runtime accepts and does not use, but for what the operator itself does."""
    told = {name for name, part in structural(ChannelSpec)["properties"].items() if part["description"] == NO_EFFECT}

    assert told == set(NOT_USED_YET) - OPERATORS_OWN


@pytest.mark.parametrize("path", sorted((CHECKOUT / "examples").glob("*-channel.yaml")), ids=lambda path: path.name)
def test_the_examples_are_taken(path: Path) -> None:
    """As they are, with the same command line or with kubectl."""
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))

    assert [refusals(each) for each in documents] == [[]] * len(documents)
