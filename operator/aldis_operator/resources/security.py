"""What lets our pods run where the Pod Security level `restricted` is enforced, and a bit beyond."""

from typing import Any

UID = 10001  # of every process of ours: fixed, so that no image decides who owns a volume

POD: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "fsGroup": UID,
    "fsGroupChangePolicy": "OnRootMismatch",  # a large volume is not walked through at each start
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
