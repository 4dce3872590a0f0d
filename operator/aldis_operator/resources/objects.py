"""The frame of every child object: name, labels, owner, and a hash of what was intended."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aldis_operator.model.installation import Installation
from aldis_operator.resources.labels import labels

API = "aldis.dev/v1alpha1"
INTENT = "aldis.dev/intent"
HASH_CHARACTERS = 16  # 64 bits: enough to tell two versions of one object apart


def build_object(
    installation: Installation,
    kind: str,
    name: str,
    *,
    component: str,
    api: str = "v1",
    group: str | None = None,
    is_owned: bool = True,
    **content: Any,
) -> dict[str, Any]:
    """An object of the installation's namespace; one that is not owned stays when the resource is deleted."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": installation.namespace,
        "labels": labels(installation, component, group=group),
    }
    if is_owned:
        metadata["ownerReferences"] = [owner_of(installation)]
    plain = {"apiVersion": api, "kind": kind, "metadata": metadata, **content}
    return {**plain, "metadata": {**metadata, "annotations": {INTENT: hash_of(plain)}}}


def owner_of(installation: Installation) -> dict[str, Any]:
    """The resource, as the one owner that controls."""
    return {
        "apiVersion": API,
        "kind": "MessagingCluster",
        "name": installation.name,
        "uid": installation.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def hash_of(value: object) -> str:
    """What tells two values apart; the same value has the same hash in every process."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()[:HASH_CHARACTERS]


def intent_of(child: Mapping[str, Any]) -> str | None:
    """The hash that an object carries; None for one that we have not made."""
    found: str | None = child.get("metadata", {}).get("annotations", {}).get(INTENT)
    return found
