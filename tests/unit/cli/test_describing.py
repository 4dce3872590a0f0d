import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from aldis.cli import describing
from aldis.cli.failures import Failed
from described import rest_document, socket_document

pytestmark = pytest.mark.timeout(20)  # each makes both documents from all routes


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_documents_are_those_that_a_server_has(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a server, and without a data folder."""
    describing.print_openapi(None)
    assert printed(capsys) == rest_document()

    describing.print_asyncapi(None)
    assert printed(capsys) == socket_document()


def test_a_document_can_say_where_its_server_is(capsys: pytest.CaptureFixture[str]) -> None:
    """For generated clients, which otherwise have to be told."""
    describing.print_openapi("https://chat.example.com/aldis/")
    document = printed(capsys)
    validate(document)
    assert document["servers"] == [{"url": "https://chat.example.com/aldis"}]

    describing.print_asyncapi("https://chat.example.com/aldis/")
    server = printed(capsys)["servers"]["socket"]
    assert (server["protocol"], server["pathname"]) == ("wss", "/aldis")
    assert server["variables"]["host"]["default"] == "chat.example.com"
    assert socket_document()["servers"]["socket"]["protocol"] == "ws"


@pytest.mark.parametrize("url", ["chat.example.com", "ftp://x", "https://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """Before anything is printed."""
    with pytest.raises(Failed, match="no address of a server"):
        describing.print_openapi(url)
