from __future__ import annotations

from typing import Any

from gyrus.spec.upgrades import current_version, upgraded


def noted(word: str) -> Any:
    def upgrade(document: dict[str, Any]) -> dict[str, Any]:
        return document | {"seen": [*document.get("seen", []), word]}

    return upgrade


CHAIN = (noted("1 to 2"), noted("2 to 3"))


def test_each_version_takes_the_steps_after_it() -> None:
    assert current_version(CHAIN) == 3
    assert upgraded({}, 1, CHAIN) == {"seen": ["1 to 2", "2 to 3"]}
    assert upgraded({}, 2, CHAIN) == {"seen": ["2 to 3"]}
    assert upgraded({}, 3, CHAIN) == {}


def test_batches_keep_the_wait_that_was_the_default() -> None:
    handler: dict[str, Any] = {"path": "h.py", "batching": {"max_size": 8}}
    assert upgraded({"handler": handler}, 1)["handler"]["batching"] == {"max_size": 8, "max_wait": "5ms"}
    handler["batching"] = {"max_size": 8, "max_wait": "20ms"}
    assert upgraded({"handler": handler}, 1) == {"handler": handler}
    for other in ({}, {"handler": None}, {"handler": {"path": "h.py", "batching": None}}):
        assert upgraded(other, 1) == other
