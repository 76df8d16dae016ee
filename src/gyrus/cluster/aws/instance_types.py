"""Instance types of EC2: the table of common ones, and what a type's name reveals.

The table is ``instance_types.csv``, as of 2026-11-28: architecture, vCPUs, memory, GPUs and Inferentia chips
by type, with every size of its families. A type that it does not have may exist all the same.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from gyrus.spec.faults import nearest

Architecture = Literal["amd64", "arm64"]

_TYPE = re.compile(
    r"(?P<family>u7[a-z]*-\d+tb|u-\d+tb\d|[a-z]+\d+[a-z]*(-[a-z0-9]+)?)"
    r"\.(?P<size>nano|micro|small|medium|(\d+)?x?large|metal(-\d+xl)?)",
    re.ASCII,
)
_GRAVITON = re.compile(r"a1|[a-z]+\d+[a-z]*g[a-z]*|[a-z]+\d+[a-z]*-gb\d+")
"""Families of ARM processors: a g among the letters after the generation."""
_AMD_GPUS = re.compile(r"g4ad")
_MACS = re.compile(r"mac\d.*")
_TOO_SMALL = ("nano", "micro")


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One type of EC2 instances."""

    name: str
    architecture: Architecture
    vcpu: int
    memory_mib: int
    gpus: int
    gpu: str
    """The GPU's model; "" if there is none."""
    inferentia: int
    """Inferentia chips."""


@cache
def known_types() -> Mapping[str, InstanceType]:
    """Return the table, by the names of the types."""
    text = (files("gyrus.cluster.aws") / "instance_types.csv").read_text("utf-8")
    return {row["type"]: _type_of(row) for row in csv.DictReader(text.splitlines())}


def check_instance_type(value: str) -> str:
    """Check the name of a type that nodes may have.

    A well-formed type of a family that the table does not have is accepted: whether it exists and is offered
    in the region is found when the cluster is created. Raises ValueError.
    """
    found = _TYPE.fullmatch(value)
    if not found or ("xlarge" not in found["size"] and re.match(r"\d", found["size"])):
        raise ValueError(f"is not an instance type; {_suggestion(value) or 'write for example m5.large'}")
    if reason := _unusable(found["family"], found["size"]):
        raise ValueError(reason)
    if value not in known_types() and found["family"] in _families():
        sizes = [name for name in known_types() if name.startswith(f"{found['family']}.")]
        raise ValueError(f"is not an instance type; {_suggestion(value, sizes) or f'write {sizes[0]}'}")
    return value


def less_than(kind: InstanceType, primary: InstanceType) -> str:
    """Return what a type has less of than the primary type of its node group. Returns "" if nothing.

    A type with Inferentia chips stands in only for one that has some, too.
    """
    pairs = (
        ("Inferentia chip", kind.inferentia, primary.inferentia),
        ("GPU", kind.gpus, primary.gpus),
        ("vCPU", kind.vcpu, primary.vcpu),
        ("GiB", kind.memory_mib / 1024, primary.memory_mib / 1024),
    )
    for what, has, least in pairs:
        if has < least or (what == "Inferentia chip" and has and not least):
            return f"{kind.name} has {_counted(has, what)}, and {primary.name} has {_counted(least, what)}"
    return ""


def _counted(number: float, what: str) -> str:
    """Return a number with its unit.

    >>> _counted(1, "GPU"), _counted(0, "GPU"), _counted(8, "GiB")
    ('1 GPU', 'no GPU', '8 GiB of memory')
    """
    if what == "GiB":
        return f"{number:g} GiB of memory"
    return f"{number:g} {what}{'s' if number > 1 else ''}" if number else f"no {what}"


def _unusable(family: str, size: str) -> str:
    if _GRAVITON.fullmatch(family):
        return f"has ARM processors, and images are built for amd64; write {_amd64_twin(family, size)}"
    if _AMD_GPUS.fullmatch(family):
        return "has AMD GPUs, for which there are no drivers here; write for example g4dn.xlarge"
    if _MACS.fullmatch(family):
        return "is a Mac, which cannot be a node; write for example m5.large"
    if size in _TOO_SMALL:
        return f"is too small for a node; write for example {family}.medium"
    return ""


def _amd64_twin(family: str, size: str) -> str:
    """Return the type with Intel processors that is nearest to one of a Graviton family."""
    first = re.match(r"([a-z]+)(\d*)", family)
    letter, generation = first.groups() if first else ("", "")
    letter = letter if letter in ("c", "g", "m", "p", "r", "t") else "r" if letter == "x" else "m"
    candidates = (f"{letter}{generation}i.{size}", f"{letter}{generation}.{size}", f"{letter}5.{size}")
    found = next((name for name in candidates if name in known_types()), None)
    return found or f"for example {nearest(f'{letter}5.{size}', _usable()) or 'm5.large'}"


def _suggestion(value: str, among: list[str] | None = None) -> str:
    close = nearest(value, among or _usable())
    return f'did you mean "{close}"?' if close else ""


@cache
def _families() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in known_types())


@cache
def _usable() -> tuple[str, ...]:
    """Return the types of the table that nodes may have."""
    return tuple(
        name
        for name, kind in known_types().items()
        if kind.architecture == "amd64" and not name.endswith(_TOO_SMALL)
    )


def _type_of(row: Mapping[str, str]) -> InstanceType:
    return InstanceType(
        name=row["type"],
        architecture="arm64" if row["architecture"] == "arm64" else "amd64",
        vcpu=int(row["vcpu"]),
        memory_mib=int(row["memory_mib"]),
        gpus=int(row["gpus"]),
        gpu=row["gpu"],
        inferentia=int(row["inferentia"]),
    )
