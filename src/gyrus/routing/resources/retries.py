"""The retries of a request: two budgets, of which the gateway's second pass counts one.

Envoy has one count of retries for each route, whatever the reason. A request that may be repeated needs two:
one of the tries that a replica may have begun, and one of requeues and failed connections, after which no
replica has begun anything. Such a request therefore goes directly to its pool on the first try only. Every
later try goes to a listener of Envoy itself, whose only route leads to the same pool (but see
:func:`first_in`)::

    client ─► route: 1st try ──────────────────────────────────► pool
                ├──► 2nd, 3rd try ──► second pass: up to 65 tries ──► the same pool
                └──► last try ──────► second pass: up to 65 tries ──► the same pool

The second pass retries requeues and failed connections. It does not retry a connection that broke, and marks
that answer, so that the first pass may send the request through it once more. Its tries of all requests cost
a hop, which a request that succeeds at once does not pay.

Three tries may begin. The first try may be requeued, and a worker may die while a request waits in its queue:
neither has begun, but the gateway cannot know. So one more try follows, marked as the last. A replica starts
it only if it knows how many workers died with the request; after two, it answers ``poison``.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyrus.contract.replica import BROKEN_HEADER, PLATFORM_REQUEUE_HEADER, REQUEUE_HEADER
from gyrus.routing.resources.kinds import Json, extension, header, seconds
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import WeightedPool

SECOND_PASS = "gyrus.retries"
"""Name of the cluster and of the listener of second passes. Its dot distinguishes it from pools."""
LAST_TRY = "gyrus.last-try"
"""Name of the cluster of the same listener that marks requests as on their last try."""

RETRIES = 64
"""Retries of a request that no replica has begun.

A request moves to another replica a few times at most: when replicas start, and when one stops. More moves
are a fault. With the back-off below, this number takes about 15 s.
"""
BEGUN_RETRIES = 2
"""Retries of a request that a replica may have begun."""
BACKOFF_FIRST = 0.005
BACKOFF_MOST = 0.5
"""Base and maximum of the back-off between retries, in seconds."""

ANSWER_HEADERS = (REQUEUE_HEADER, PLATFORM_REQUEUE_HEADER, BROKEN_HEADER)
"""Headers of answers that no client receives."""

_GROUPS = "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier"
_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
NEVER_STARTED = ("connect-failure", "reset-before-request", "refused-stream", "retriable-headers")


# The first pass


def never_started(settings: GatewaySettings, try_timeout: float) -> Json:
    """Build the retries of a request that a replica must not begin twice. ``try_timeout``: seconds."""
    return requeues(settings) | {"per_try_timeout": seconds(try_timeout)}


def maybe_started(settings: GatewaySettings, try_timeout: float, shares: Sequence[WeightedPool]) -> Json:
    """Build the retries of a request that may be repeated. All but the first try go to the second pass."""
    marks = [*_marks(settings), _equal(BROKEN_HEADER, "1")]
    last = 1 if _fronted(shares) else 0
    return _policy((*NEVER_STARTED, "reset"), BEGUN_RETRIES + last, marks) | {
        "per_try_timeout": seconds(try_timeout)
    }


def first_in(shares: Sequence[WeightedPool]) -> Json:
    """Build the choice of the cluster: one of these pools on the first try, the second pass on later ones.

    The second pass does not know the host of the first try. A worker that broke a connection is dead, so that
    it accepts no other. A server without the runtime in front may live on, and is not requeued by others: its
    first retry stays here, where Envoy avoids the host. It gets no last try, which it would start.
    """
    pools = [_weighted(share.pool.id, share.weight) for share in shares]
    again = [_weighted(SECOND_PASS, 1)]
    tries = [pools, again, again, [_weighted(LAST_TRY, 1)]] if _fronted(shares) else [pools, pools, again]
    groups = [{"name": f"try {number}", "clusters": clusters} for number, clusters in enumerate(tries, 1)]
    return {"extension": extension("gyrus.tries", _GROUPS, priority_groups=groups)}


def _fronted(shares: Sequence[WeightedPool]) -> bool:
    return any(share.pool.runtime_answers for share in shares)


def _weighted(cluster: str, weight: int) -> Json:
    return {"cluster_name": cluster, "weight": weight}


# Both passes


def requeues(settings: GatewaySettings) -> Json:
    """Build the retries of requeues and failed connections."""
    return _policy(NEVER_STARTED, RETRIES, _marks(settings))


def requeue_headers(settings: GatewaySettings) -> list[Json]:
    """Build the headers of an answer by which the gateway requeues a request."""
    headers = [header(REQUEUE_HEADER, "1")]
    if settings.requeue_secret:
        headers.append(header(PLATFORM_REQUEUE_HEADER, settings.requeue_secret))
    return headers


def _marks(settings: GatewaySettings) -> list[Json]:
    """Build the marks of an answer that requeues a request."""
    marks = [_equal(REQUEUE_HEADER, "1")]
    if settings.requeue_secret:
        marks.append(_equal(PLATFORM_REQUEUE_HEADER, settings.requeue_secret))
    return marks


def _equal(name: str, value: str) -> Json:
    return {"name": name, "string_match": {"exact": value}}


def _policy(reasons: Sequence[str], number: int, marks: list[Json]) -> Json:
    return {
        "retry_on": ",".join(reasons),
        "num_retries": number,
        "retriable_headers": marks,
        "retry_back_off": {"base_interval": seconds(BACKOFF_FIRST), "max_interval": seconds(BACKOFF_MOST)},
        "retry_host_predicate": [extension("gyrus.previous_hosts", _PREVIOUS_HOSTS)],
        "host_selection_retry_max_attempts": "20",
    }
