import pytest

from bench.lines import build_request, content_length


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"HTTP/1.1 201 Created\r\ncontent-length: 12\r\n\r\n", 12),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\ndate: now\r\n\r\n", 7),
        (b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n", 0),
    ],
)
def test_the_length_of_a_body_is_read_from_its_head(head: bytes, length: int) -> None:
    """Names of headers have no case, and an answer without a body has no length."""
    assert content_length(head) == length


def test_a_request_tells_the_length_of_its_body() -> None:
    """What has a body says how long it is; what has none says nothing of it."""
    post = build_request("POST", "/v1/messages", port=80, credential="ak_1", body=b"{}")
    get = build_request("GET", "/v1/badge", port=80)

    assert b"Content-Length: 2\r\n" in post
    assert b"Authorization: Bearer ak_1\r\n" in post
    assert post.endswith(b"\r\n\r\n{}")
    assert b"Content" not in get
    assert b"Authorization" not in get
