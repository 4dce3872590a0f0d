"""`aldis openapi` and `aldis asyncapi`: the descriptions without a server, for those who generate clients."""

import json
from typing import Any
from urllib.parse import urlsplit

from aldis import bootstrap
from aldis.cli.failures import Failed

SECURE = {"ws": "wss", "http": "https"}


def print_openapi(url: str | None) -> None:
    """REST; `url` is where its server is. Raises `Failed`."""
    document = bootstrap.describe_rest()
    if url is not None:
        _split(url)
        document["servers"] = [{"url": url.rstrip("/")}]
    _print(document)


def print_asyncapi(url: str | None) -> None:
    """The socket; `url` is where its server is. Raises `Failed`."""
    document = bootstrap.describe_socket()
    if url is not None:
        is_secure, host, path = _split(url)
        for server in document["servers"].values():
            server["variables"]["host"]["default"] = host
            if is_secure:
                server["protocol"] = SECURE[server["protocol"]]
            if path:
                server["pathname"] = path
    _print(document)


def _split(url: str) -> tuple[bool, str, str]:
    """Whether it is secure, the host and the path. Raises `Failed`."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise Failed(f"{url} is no address of a server; give one as in https://chat.example.com")
    return parts.scheme == "https", parts.netloc, parts.path.rstrip("/")


def _print(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))
