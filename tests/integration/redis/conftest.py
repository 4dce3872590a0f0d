"""What is logged is kept for the test, so that at the end of a run figures stand alone."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """The lines of this test."""
    with capture_logs() as lines:
        yield lines
