"""The driver of nodes of this operator, if the installation has node groups that it plans."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gyrus.aio.clock import Clock
from gyrus.cluster.settings import NodeScaling
from gyrus.contract.cluster import NODES_VARIABLE
from gyrus.contract.nodes import NodesView
from gyrus.kubernetes.client import ClusterClient
from gyrus.operator.errors import StartError
from gyrus.operator.platform import Tasks
from gyrus.operator.required_replicas import ReplicaDemand
from gyrus.state.board import Board
from gyrus.state.store import Store

if TYPE_CHECKING:
    from gyrus.cluster.aws.nodes.group_prices import GroupPrices

log = logging.getLogger(__name__)


def node_scaling(document: str) -> NodeScaling | None:
    """Return the node groups that the pod has got. Returns None if there are none. Raises StartError."""
    if not document:
        return None
    try:
        return NodeScaling.model_validate_json(document)
    except ValidationError as error:
        (first, *_) = error.errors()
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise StartError(
            f"The variable {NODES_VARIABLE} cannot be read: {where}: {first['msg']}. Check nodes of the "
            "values file, and run `gyrus cluster install` again."
        ) from error


def group_prices(settings: NodeScaling | None, clock: Clock) -> GroupPrices | None:
    """Return the prices of the node groups. Returns None without node groups."""
    if settings is None:
        return None
    # Imported late, so that other operators need no boto3.
    from gyrus.cluster.aws.calls import AwsCalls
    from gyrus.cluster.aws.nodes.group_prices import GroupPrices
    from gyrus.cluster.aws.prices.refresh import price_refresh

    refreshed = price_refresh(AwsCalls(settings.region), settings.region)
    return GroupPrices(refreshed, settings.groups, clock, settings.public_addresses)


def node_tasks(
    settings: NodeScaling | None,
    prices: GroupPrices | None,
    client: ClusterClient,
    store: Store,
    board: Board,
    clock: Clock,
) -> Tasks:
    """Return the tasks that plan nodes, by name. There are none without node groups."""
    if settings is None or prices is None:
        return {}
    board.nodes = NodesView(scaler=settings.scaler)
    if not settings.planned:
        return {}
    for name in prices.unpriced():
        log.error("No nodes are planned for the group %s: its instance types are unknown", name)
    from gyrus.cluster.aws.calls import AwsCalls
    from gyrus.cluster.aws.nodes.changes import NodeChanges
    from gyrus.cluster.aws.nodes.driver import NodeDriver
    from gyrus.cluster.aws.nodes.evictions import Evictions
    from gyrus.cluster.aws.nodes.notice_queue import NoticeQueue
    from gyrus.cluster.aws.nodes.observer import NodeObserver

    aws = AwsCalls(settings.region)
    demand = ReplicaDemand(store, board)
    observer = NodeObserver(aws, settings.cluster, client, clock, demand.required)
    driver = NodeDriver(
        observer=observer,
        changes=NodeChanges(aws, client, observer, Evictions(client)),
        queue=NoticeQueue(aws, settings.notices, clock) if settings.notices else None,
        store=store,
        rules=prices.rules,
        clock=clock,
        publish=partial(_publish, board),
    )
    return {"nodes": driver.run}


def _publish(board: Board, view: NodesView) -> None:
    board.nodes = view
