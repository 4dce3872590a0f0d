"""The nodes of RabbitMQ, where some are set."""

from collections.abc import Callable, Iterator

from aldis.cli.checks.finding import Finding, fail, ok, warn
from aldis.domain.amqp_address import AmqpAddress
from aldis.domain.errors import AldisError

OLDEST = (3, 10)
UNREACHABLE = "See that this machine can reach it, and that user, password, virtual host and certificate are right."
TOO_OLD = "Use RabbitMQ 3.10 or newer: older ones know no at-least-once dead letters."
Node = tuple[str, int]


def check_broker(address: AmqpAddress, *, ask: Callable[[Node], str]) -> Iterator[Finding]:
    """One of the nodes must take us; one that does not is a failure only where no other does."""
    answers = [(f"{host}:{port}", _answer((host, port), ask)) for host, port in address.nodes]
    is_served = any(isinstance(answer, str) for _, answer in answers)
    for shown, answer in answers:
        if isinstance(answer, str):
            yield _check_version(shown, answer)
        else:
            told = warn if is_served else fail
            yield told("broker", f"{shown} cannot be used ({_cause(answer)})", UNREACHABLE)


def _answer(node: Node, ask: Callable[[Node], str]) -> str | AldisError:
    try:
        return ask(node)
    except AldisError as error:
        return error


def _cause(error: AldisError) -> str:
    """What it is called: its words may hold what is secret."""
    return type(error.__cause__ or error).__name__


def _check_version(shown: str, version: str) -> Finding:
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdecimal())
    detail = f"{shown} is RabbitMQ {version}"
    return ok("broker", detail) if numbers >= OLDEST else fail("broker", detail, TOO_OLD)
