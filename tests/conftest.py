"""What tests of delivery have counted is told at the end of a run, also when all went well."""

import pytest

pytest_plugins = ("servers.fixtures", "databases")  # real servers and databases, for whoever asks for one

COUNTED = (
    "integration/api",
    "integration/promise",
    "integration/gateway",
    "integration/broadcast",
    "integration/core/test_model",
    "integration/redis",
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines that such tests have printed."""
    told = [
        (report.nodeid.rpartition("::")[2], line)
        for report in terminalreporter.getreports("passed")
        if any(place in report.nodeid for place in COUNTED)
        for line in report.capstdout.splitlines()
        if line.strip()
    ]
    if told:
        terminalreporter.section("what was counted")
    for name, line in told:
        terminalreporter.write_line(f"{name}: {line}")
