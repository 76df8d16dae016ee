"""A gateway without Envoy."""

from __future__ import annotations

from gyrus.state.board import Board


async def acknowledge(board: Board) -> None:
    """Confirm every route as soon as it is heard of."""
    with board.route_signals.listen() as listener:
        async for names in listener:
            for name in names:
                route = board.routes.get(name)
                if route is None:
                    board.acknowledged.pop(name, None)
                    board.reachable.pop(name, None)
                else:
                    pools = {pool.id: pool.endpoints for pool in route.pools}
                    board.acknowledged[name] = board.reachable[name] = pools
            board.acknowledged_signals.notify(*names)
