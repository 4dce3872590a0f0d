"""The descriptions of what a server of this version serves, without a server."""

from typing import Any

from aldis.api.app import build_routes
from aldis.gateway.asyncapi import build_asyncapi


def describe_rest() -> dict[str, Any]:
    """The OpenAPI document."""
    return build_routes().openapi()


def describe_socket() -> dict[str, Any]:
    """The AsyncAPI document."""
    return build_asyncapi()
