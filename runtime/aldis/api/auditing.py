"""Which audit action a call writes, told at its route: a test holds every changing call under `/v1/admin` to it."""

from typing import Any

from aldis.domain.audit import Action

AUDITED = "x-audit-action"


def audited(action: Action) -> dict[str, Any]:
    """The `openapi_extra` of a route whose call writes `action` in the transaction of its change."""
    return {AUDITED: action.value}
