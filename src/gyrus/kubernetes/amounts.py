"""Amounts of resources: what a node offers to pods, and what a pod requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from gyrus.kubernetes.resources import Manifest

Amounts = Mapping[str, Decimal]
"""By Kubernetes' name of the resource: cores of ``cpu``, bytes of ``memory``, a number of others. A missing
resource is none."""

CPU, MEMORY, GPU = "cpu", "memory", "nvidia.com/gpu"
_QUANTITY = re.compile(r"([+-]?\d*\.?\d+|[+-]?\d+\.)(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_UNITS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"
_ALWAYS = "Always"
NONE = Decimal(0)


def quantity(text: str | int | float) -> Decimal:
    """Read a quantity as Kubernetes writes it. Raises ValueError.

    >>> quantity("250m"), quantity("1Ki"), quantity(2), quantity("1e3")
    (Decimal('0.250'), Decimal('1024'), Decimal('2'), Decimal('1000'))
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, exponent, unit = found.groups()
    if exponent is not None:
        return Decimal(number) * 10 ** int(exponent)
    if unit is None:
        return Decimal(number)
    if unit.endswith("i"):
        return Decimal(number) * 1024 ** (_BINARY.index(unit[0]) + 1)
    return Decimal(number) * Decimal(10) ** _UNITS[unit]


def allocatable(node: Manifest) -> Amounts:
    """Return what a node offers to pods."""
    status: Mapping[str, Any] = node.get("status") or {}
    return _amounts(status.get("allocatable"))


def requested(pod: Manifest) -> Amounts:
    """Return what the scheduler counts for a pod: its containers together, or more for an init container."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    running = total_of(map(_requests, spec.get("containers") or ()))
    peak: Amounts = {}
    beside: Amounts = {}
    for init in spec.get("initContainers") or ():
        if init.get("restartPolicy") == _ALWAYS:  # it runs on beside those that follow
            beside = total_of((beside, _requests(init)))
            peak = _most(peak, beside)
        else:
            peak = _most(peak, total_of((beside, _requests(init))))
    return total_of((_most(total_of((running, beside)), peak), _amounts(spec.get("overhead"))))


def total_of(amounts: Iterable[Amounts]) -> Amounts:
    total: dict[str, Decimal] = {}
    for each in amounts:
        for resource, amount in each.items():
            total[resource] = total.get(resource, NONE) + amount
    return total


def fits_into(needs: Amounts, amounts: Amounts) -> bool:
    return all(need <= amounts.get(resource, NONE) for resource, need in needs.items())


def _most(first: Amounts, second: Amounts) -> Amounts:
    return {name: max(first.get(name, NONE), second.get(name, NONE)) for name in {**first, **second}}


def _requests(container: Mapping[str, Any]) -> Amounts:
    resources: Mapping[str, Any] = container.get("resources") or {}
    return _amounts(resources.get("requests"))


def _amounts(found: Mapping[str, Any] | None) -> Amounts:
    return {name: quantity(amount) for name, amount in (found or {}).items()}
