import pytest

from aldis.cli.server import Server, parse_server, server_at


@pytest.mark.parametrize(
    ("text", "url", "socket_url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/connect"),
        ("https://chat.example.org/", "https://chat.example.org", "wss://chat.example.org/v1/connect"),
        ("wss://chat.example.org/aldis", "https://chat.example.org/aldis", "wss://chat.example.org/aldis/v1/connect"),
        ("http://[::1]:8080", "http://[::1]:8080", "ws://[::1]:8080/v1/connect"),
    ],
)
def test_one_address_gives_all(text: str, url: str, socket_url: str) -> None:
    """REST and the socket are found from either kind of address."""
    server = parse_server(text)

    assert server == Server(url)
    assert server.messages_url == f"{url}/v1/messages"
    assert server.socket_url == socket_url


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:8080", "ftp://a", "http://", "http://a:b", "http://u:p@a", "http://a?b", "http://[a"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Nothing is guessed, and no password hides in an address."""
    with pytest.raises(ValueError, match="is not an address"):
        parse_server(text)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - nothing is bound
        ("::", "http://[::1]:8080"),
        ("chat.local", "http://chat.local:8080"),
    ],
)
def test_a_server_that_listens_everywhere_is_found_at_home(host: str, url: str) -> None:
    """What `serve` was told to listen on leads to an address that can be connected to."""
    assert server_at(host, 8080).url == url


@pytest.mark.parametrize(
    ("url", "is_local"),
    [("http://127.0.0.1:1", True), ("http://[::1]", True), ("http://localhost", True), ("http://a.org", False)],
)
def test_this_machine_needs_no_proxy(*, url: str, is_local: bool) -> None:
    """A proxy from the environment is for other machines only."""
    assert Server(url).is_local is is_local
