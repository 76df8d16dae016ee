"""The judge of the soak excuses what a fault explains, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.soak.apis import TARGETS
from support.soak.memory import Growth, Weight, growths, role_of
from support.soak.scenario import PIECES, Ask, Kill, Manner, Pace, Victim, scenario
from support.soak.verdict import Explanation, History, Judge, Killed
from support.soak.visitor import Seen, is_answer

BY_NAME = {target.name: target for target in TARGETS}
OPERATOR_AWAY = History(away=[(10.0, 13.0)])


def ask(api: str = "narrow", manner: Manner = Manner.PLAIN, number: int = 7) -> Ask:
    return Ask(at=0.0, number=number, api=api, manner=manner, seconds=0.1, padding=0, patience=0.0)


def seen(
    sent: float, ended: float, status: int | None, problem: str = "", api: str = "narrow", **more: Any
) -> Seen:
    return Seen(ask=ask(api), sent=sent, ended=ended, status=status, problem=problem, **more)


def killed(at: float, api: str = "narrow") -> History:
    return History(kills=[Killed(kill=Kill(at=at, victim=Victim.WORKER, api=api), at=at, pid=1)])


def explained(one: Seen, history: History = History(), *others: Seen) -> Explanation:  # noqa: B008
    return Judge(BY_NAME, history, [one, *others]).explain(one)


@pytest.mark.slow
@given(st.integers(0, 1000))
def test_equal_seeds_give_equal_scenarios(seed: int) -> None:
    assert scenario(seed, 20.0, TARGETS) == scenario(seed, 20.0, TARGETS)


@settings(max_examples=examples(0.2), deadline=None)
@given(st.integers(0, 1000), st.floats(30, 300))
def test_requests_are_in_order_and_numbered(seed: int, seconds: float) -> None:
    made = scenario(seed, seconds, TARGETS)
    assert [one.number for one in made.asks] == list(range(len(made.asks)))
    assert sorted(made.asks, key=lambda one: one.at) == list(made.asks)


@pytest.mark.slow
@settings(max_examples=examples(0.2), deadline=None)
@given(st.integers(0, 1000), st.floats(60, 600))
def test_kills_keep_their_distance(seed: int, seconds: float) -> None:
    pace = Pace()
    kills = scenario(seed, seconds, TARGETS).kills
    assert all(kill.at < seconds - pace.quiet for kill in kills)
    for api in (None, *BY_NAME):
        times = [kill.at for kill in kills if kill.api == api]
        assert all(later - earlier >= pace.again for earlier, later in pairwise(times))
    late = [kill for kill in kills if kill.at > seconds / 2]
    assert not any(kill.api is None or BY_NAME[kill.api].spared for kill in late)


def test_half_an_hour_has_everything_in_it() -> None:
    made = scenario(1, 1800.0, TARGETS)
    assert {one.manner for one in made.asks} == set(Manner)
    assert {kill.victim for kill in made.kills} == set(Victim)
    assert Counter(one.api for one in made.asks).keys() == BY_NAME.keys()
    assert any(len(one.body) > 10_000_000 for one in made.asks[:2000])


def test_an_answer_is_that_request_s_own() -> None:
    assert is_answer(b'{"number": 7, "length": 0}', ask())
    assert not is_answer(b'{"number": 8, "length": 0}', ask())
    pieces = [f"data: {json.dumps({'number': 7, 'piece': piece})}\n\n" for piece in range(PIECES)]
    assert is_answer("".join(pieces).encode(), ask("streams"))
    assert not is_answer("".join(pieces[1:]).encode(), ask("streams"))
    assert not is_answer("".join([*pieces[1:], pieces[0].replace("7", "8")]).encode(), ask("streams"))


def test_good_answers_and_clients_that_leave() -> None:
    assert explained(seen(1, 2, 200, whole=True)) is Explanation.ANSWERED
    assert explained(seen(1, 2, None, left=True)) is Explanation.LEFT
    assert explained(seen(1, 2, 200)) is Explanation.NONE
    assert explained(seen(1, 2, None)) is Explanation.NONE
    assert explained(seen(1, 2, 500, "handler-failed", left=True)) is Explanation.NONE


def test_a_full_queue_takes_a_crowd_and_the_contract_s_words() -> None:
    target = BY_NAME["narrow"]
    refused = seen(5, 5.01, 503, "queue-full", retry_after=True)
    crowd = [seen(4, 6, 200, whole=True) for _ in range(target.slots + target.queue)]
    assert explained(refused, History(), *crowd) is Explanation.FULL
    assert explained(refused, History(), *crowd[1:]) is Explanation.NONE
    two = History(ready={"narrow": [(4.0, 2), (5.5, 2)]})
    assert explained(refused, two, *crowd) is Explanation.NONE
    rude = seen(5, 5.01, 503, "queue-full", retry_after=False)
    assert explained(rude, History(), *crowd) is Explanation.NONE


@pytest.mark.parametrize(
    ("sent", "ended", "status", "problem", "expected"),
    [
        (9.0, 10.1, 502, "upstream-failed", Explanation.KILLED),
        (9.0, 10.1, 200, "", Explanation.KILLED),
        (9.0, 15.0, 502, "upstream-failed", Explanation.NONE),
        (9.0, 9.5, 502, "upstream-failed", Explanation.NONE),
        (10.5, 10.6, 502, "upstream-failed", Explanation.NONE),
        (9.0, 10.1, 503, "no-replica", Explanation.NONE),
        (9.0, 10.1, 504, "timeout", Explanation.NONE),
        (9.0, 10.1, None, "", Explanation.NONE),
    ],
)
def test_a_kill_explains_what_was_in_flight(
    sent: float, ended: float, status: int | None, problem: str, expected: Explanation
) -> None:
    assert explained(seen(sent, ended, status, problem), killed(10.0)) is expected
    assert explained(seen(sent, ended, status, problem), killed(10.0, "foreign")) is Explanation.NONE


def test_an_idempotent_api_loses_nothing_that_has_not_begun_to_be_answered() -> None:
    assert BY_NAME["cold"].idempotent
    lost = seen(9.0, 10.1, 502, "upstream-failed", api="cold")
    assert explained(lost, killed(10.0, "cold")) is Explanation.NONE


def test_without_an_operator_no_request_is_held() -> None:
    refused = seen(11.0, 11.5, 503, "no-replica", retry_after=True, api="cold")
    idle = History(away=OPERATOR_AWAY.away, ready={"cold": [(9.0, 0)]})
    busy = History(away=OPERATOR_AWAY.away, ready={"cold": [(9.0, 1)]})
    assert explained(refused, idle) is Explanation.NO_REPLICA
    assert explained(refused, busy) is Explanation.NONE
    assert explained(refused, History(ready={"cold": [(9.0, 0)]})) is Explanation.NONE


def weights(*sizes: int, pid: int = 1) -> list[Weight]:
    return [Weight(at=10.0 * n, role="operator", pid=pid, rss=size) for n, size in enumerate(sizes)]


def test_growth_is_measured_once_a_process_is_warm() -> None:
    looks = weights(10, 50, 100, 100, 100, 110, 110, 120)
    assert list(growths(looks, settling=20, window=20)) == [
        Growth(role="operator", pid=1, before=100, after=110)
    ]
    assert list(growths(looks[:5], settling=20, window=20)) == []


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("python -m gyrus.runtime.supervisor /h/replicas/iris-1-ab3de", "gyrus.runtime.supervisor of iris"),
        ("python -m gyrus.operator --x", "gyrus.operator"),
        ("/lib/envoy/envoy -c bootstrap.json --restart-epoch 0", "envoy"),
        ("python server.py", ""),
    ],
)
def test_whose_process_it_is(command: str, role: str) -> None:
    assert role_of(command.split()) == role
