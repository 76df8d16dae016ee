"""APIs as table rows."""

from __future__ import annotations

from collections.abc import Sequence

from gyrus.cli.money import usd
from gyrus.cli.output import age, dim, status_styled, table
from gyrus.contract.operator import ApiOwner, ApiView
from gyrus.contract.visible import shown

HEADERS = ("NAME", "STATUS", "REVISION", "READY", "IN FLIGHT", "UPDATED", "ENDPOINT")
OWNER = "OWNER"
"""Another column, if a manifest deployed one of the APIs."""
COST = "COST/HOUR"
"""Another column, if machines have prices."""


def listing(apis: Sequence[ApiView]) -> str:
    """Return the table, followed by the reasons of the APIs that have a message."""
    if not apis:
        return dim("Nothing is deployed.")
    apis = shown(apis)
    reasons = [f"{api.name}: {first_line(api.message)}" for api in apis if api.message]
    text = table(*_columns(apis))
    return "\n".join([text, "", *(dim(reason) for reason in reasons)]) if reasons else text


def _columns(apis: Sequence[ApiView]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    headers, rows = HEADERS, [row(api) for api in apis]
    if any(api.owner is not ApiOwner.CLI for api in apis):
        owners = {ApiOwner.CLI: "CLI", ApiOwner.MANIFEST: "manifest"}
        headers = (*headers, OWNER)
        rows = [(*cells, owners[api.owner]) for cells, api in zip(rows, apis, strict=True)]
    if any(api.cost_per_hour is not None for api in apis):
        headers = (*headers, COST)
        rows = [(*cells, _cost(api)) for cells, api in zip(rows, apis, strict=True)]
    return headers, rows


def _cost(api: ApiView) -> str:
    return "" if api.cost_per_hour is None else usd(api.cost_per_hour)


def row(api: ApiView) -> tuple[str, ...]:
    api = shown(api)
    return (
        api.name,
        status_styled(api.status),
        str(api.revision),
        f"{api.replicas.ready}/{api.replicas.requested}",
        str(api.in_flight),
        age(api.updated_at),
        api.endpoint,
    )


def first_line(message: str) -> str:
    return message.partition("\n")[0]
