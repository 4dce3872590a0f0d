"""Amounts of memory, as far as a server has to be told of its own."""

import re
from decimal import Decimal

from aldis_operator.model.installation import Compute

MIB = 1024 * 1024
FALLBACK = 512 * MIB  # for who gave resources without memory: small enough for any node
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_FACTORS = {None: Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_FACTORS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGT", 2)}
_FACTORS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGT", 1)}


def to_bytes(quantity: str) -> int:
    """A quantity that the definition admits, as a number."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity} is no quantity")
    return int(Decimal(found[1]) * _FACTORS[found[2]])


def memory_of(compute: Compute) -> int:
    """The bytes that a container may use: its limit, else what it asks for."""
    memory = compute.limits.get("memory") or compute.requests.get("memory")
    return to_bytes(memory) if memory is not None else FALLBACK
