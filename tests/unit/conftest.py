"""Unit tests are quick and alone: two seconds each, and no socket but the event loop's own pair."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

UNIT_TESTS = Path(__file__).parent
TIMEOUT_SECONDS = 2  # a unit test takes milliseconds; more means that it waits for something
LAW_SECONDS = 20  # for Hypothesis, which in a new checkout first makes its tables of characters


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each unit test the short timeout, unless it states its own."""
    for item in items:
        if item.path.is_relative_to(UNIT_TESTS) and item.get_closest_marker("timeout") is None:
            is_law = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
            item.add_marker(pytest.mark.timeout(LAW_SECONDS if is_law else TIMEOUT_SECONDS))


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fail a test that opens a socket; asyncio wakes its loop through a Unix pair, which stays allowed."""
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()
