"""`/v1/admin/stats` and `/v1/admin/audit`: how much there is of everything, and who has changed what."""

from typing import Annotated, Any

import msgspec
from fastapi import Query, Response

from aldis import __version__
from aldis.api import admin_schemas as shapes
from aldis.api import answers
from aldis.api.auth import admin_router
from aldis.api.dependencies import Api
from aldis.api.paging import ID_PLACE, decode_place, encode_place
from aldis.domain.ids import rfc3339
from aldis.ports.administration import AuditEntry, AuditFilter
from aldis.telemetry.metrics import total_of

router = admin_router()

MOST = 100_000  # rows counted of a kind; beyond it the answer says "at least"


@router.get("/v1/admin/stats", summary="Get numbers", response_model=shapes.StatsAnswer)
async def admin_get_stats(api: Api) -> Response:
    """Numbers of this process since its start, of all gateways' connections, and of the database."""
    now = api.clock.now_ms()
    counts = await api.store.counts(now, MOST)
    answer = {
        "version": __version__,
        "schema_version": await api.store.schema_version(),
        "epoch": api.store.epoch,
        "uptime_seconds": max(0, now - api.admin.started_ms) // 1000,
        "connections": (await api.admin.roll()).total,
        "messages_accepted": total_of(api.metrics.messages_accepted),
        "events_delivered": total_of(api.metrics.events_delivered),
        "database_bytes": await api.store.database_bytes(),
        "counts": {name: {"value": count.value, "is_least": count.is_least} for name, count in counts.items()},
    }
    return answers.json_answer(answer, api.encoder)


@router.get("/v1/admin/audit", summary="Read the audit log", response_model=shapes.AuditAnswer)
async def admin_get_audit(query: Annotated[shapes.AuditQuery, Query()], api: Api) -> Response:
    """What administrators did, newest first."""
    before = decode_place(query.cursor, ID_PLACE)[0] if query.cursor is not None else None
    wanted = AuditFilter(query.actor, query.action, query.target)
    entries, place = await api.store.audit_entries(wanted, before, query.limit)
    answer = {
        "items": [entry_answer(entry) for entry in entries],
        "next": encode_place(place) if place is not None else None,
    }
    return answers.json_answer(answer, api.encoder)


def entry_answer(entry: AuditEntry) -> dict[str, Any]:
    """One line of the log."""
    return {
        "id": entry.id,
        "at": rfc3339(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "details": msgspec.Raw(entry.details),
    }
