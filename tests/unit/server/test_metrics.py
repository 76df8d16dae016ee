from __future__ import annotations

from collections import Counter

from gyrus.server.metrics import snapshot_of
from gyrus.state.board import Board, Traffic


def test_what_is_rendered_does_not_change_meanwhile() -> None:
    board = Board()
    board.traffic["iris"] = Traffic(in_flight=3)
    board.decisions["iris"] = Counter({("", "stay"): 1})
    snapshot = snapshot_of(board)
    board.traffic["wine"] = Traffic()
    board.held["iris"] = 2
    board.decisions["iris"]["", "up"] += 1
    assert (snapshot.traffic, snapshot.held) == ({"iris": Traffic(in_flight=3)}, {})
    assert snapshot.decisions == {"iris": Counter({("", "stay"): 1})}
