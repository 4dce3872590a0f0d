"""What tests of delivery have counted is told at the end of a run, also when all went well."""

from functools import partial

import pytest

from clustered import Servers, clustered
from served import serve_by

pytest_plugins = ("servers.fixtures", "databases")  # real servers and databases, for whoever asks for one

COUNTED = (
    "integration/api",
    "integration/promise",
    "integration/gateway",
    "integration/broadcast",
    "integration/core/test_model",
    "integration/redis",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the same tests run on a cluster."""
    parser.addoption("--cluster", action="store_true", help="tests of a server get two gateways and a worker instead")


@pytest.fixture(scope="session", autouse=True)
def _on_cluster(request: pytest.FixtureRequest) -> None:
    """With `--cluster`, what `served` opens is a cluster behind a proxy."""
    if request.config.getoption("--cluster"):
        servers: Servers = request.getfixturevalue("cluster_servers")
        serve_by(partial(clustered, servers))


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
