"""Types of options whose text another package parses: service times, prices, policies, shares."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gyrus.simulator.service import ServiceTimes, Spread


class ParsedType(click.ParamType[Any]):
    """An option's type; the ValueError of ``parse`` continues a sentence that begins with the value."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def _service(text: str) -> ServiceTimes:
    from gyrus.simulator.service import parse_service

    return parse_service(text)


def _spread(text: str) -> Spread:
    from gyrus.simulator.service import parse_spread

    return parse_spread(text)


def _policy(text: str) -> str:
    from gyrus.simulator.baselines import check

    check(text)
    return text


def _scaler(text: str) -> str:
    from gyrus.simulator.nodes.policies.by_name import POLICIES

    if text not in POLICIES:
        raise ValueError(f"is no policy for nodes; the policies are {', '.join(POLICIES)}")
    return text


def _price(text: str) -> float:
    from gyrus.simulator.figures import parse_price

    return parse_price(text)


def _host(text: str) -> str:
    """Parse a host's name or address, as clients address it. Empty stands for none."""
    name = text.strip().lower()
    if not re.fullmatch(r"[a-z0-9_.-]*|\[[0-9a-f:.]+\]", name):
        raise ValueError("is not a host; write for example models.example.com, without a scheme and a port")
    return name


def _factor(text: str) -> float:
    """Parse a speed factor.

    >>> _factor("10x"), _factor("0.5")
    (10.0, 0.5)
    """
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError("is not a factor; write for example 10x")
    return value


def _share(text: str) -> float:
    """Parse a share between 0 and 1.

    >>> _share("1%"), _share("0.25")
    (0.01, 0.25)
    """
    number, percent, rest = text.partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if rest or not 0 <= value <= 1:
        raise ValueError("is not a share; write for example 1% or 0.01")
    return value


def _size(text: str) -> int:
    from gyrus.spec.quantities import parse_memory

    return parse_memory(text)


SIZE = ParsedType("size", _size)
SERVICE = ParsedType("time", _service)
SPREAD = ParsedType("time", _spread)
POLICY = ParsedType("policy", _policy)
SCALER = ParsedType("policy", _scaler)
PRICE = ParsedType("price", _price)
FACTOR = ParsedType("factor", _factor)
SHARE = ParsedType("share", _share)
HOST = ParsedType("host", _host)
