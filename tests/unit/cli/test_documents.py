from pathlib import Path

import pytest

from aldis.cli.documents import parse_documents, read_text
from aldis.cli.failures import Failed


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("---\na: 1\n---\n", [{"a": 1}]),
        ("", []),
        ('{"a": 1}', [{"a": 1}]),
        ('{\n\t"a": 1\n}', [{"a": 1}]),
        ('[{"a": 1}, {"b": 2}]', [{"a": 1}, {"b": 2}]),
        ("{a: 1}\n---\n{b: 2}", [{"a": 1}, {"b": 2}]),
        ("[{a: 1}, {b: 2}]", [{"a": 1}, {"b": 2}]),
    ],
)
def test_documents_come_as_yaml_or_json(text: str, documents: list[object]) -> None:
    """Several documents are several, whichever way they are written; empty ones are none."""
    assert parse_documents(text) == documents


@pytest.mark.parametrize("text", ["a: [", '{"a": ', "a: !!python/object:os.system x", "[" * 100_000])
def test_what_cannot_be_read_is_refused_with_a_reason(text: str) -> None:
    """A broken file, or one that would run code, is refused in one line."""
    with pytest.raises(ValueError, match=r"\w") as refusal:
        parse_documents(text)

    assert "\n" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and one that is no text fail with a word about it."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")

    for name in ("missing", "binary"):
        with pytest.raises(Failed, match=name):
            read_text(str(tmp_path / name))
