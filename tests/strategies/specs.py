"""Valid specifications, of every shape."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from gyrus.spec.api import (
    Autoscaling,
    Batching,
    Compute,
    Handler,
    Process,
    Ready,
    ScheduledMinimum,
    UpdateStrategy,
)
from gyrus.spec.networking import Networking
from gyrus.spec.realtime import RealtimeSpec

names = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in {"healthz", "readyz", "metrics"}
)
files = st.from_regex(r"[a-z_]{1,8}(/[a-z_]{1,8}){0,2}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
shares = st.integers(1, 50) | st.integers(1, 100).map("{}%".format)
requirements = st.none() | files.map("{}.txt".format)


def durations(least: int, most: int) -> st.SearchStrategy[timedelta]:
    """Of so many milliseconds."""
    return st.integers(least, most).map(lambda n: timedelta(milliseconds=n))


batchings = st.builds(Batching, max_size=st.integers(1, 64), max_wait=st.just("auto") | durations(0, 60_000))
handlers = st.builds(
    Handler,
    path=files.map("{}.py".format),
    config=st.dictionaries(texts, json_values, max_size=3),
    requirements=requirements,
    batching=st.none() | batchings,
    processes=st.integers(1, 8),
    warm_start=st.sampled_from([None, "off", "module", "model"]),
)
processes = st.builds(
    Process,
    command=st.tuples(files, texts) | st.tuples(files),
    ready=st.none() | st.builds(Ready, path=st.just("/health")),
    protocol=st.sampled_from(["http1", "http2"]),
    requirements=requirements,
)
computes = st.builds(
    Compute,
    cpu=st.floats(0, 64),
    mem=st.none() | st.integers(2**20, 2**40),
    gpu=st.integers(0, 8),
)
update_strategies = st.builds(UpdateStrategy, max_surge=shares, max_unavailable=shares)
networkings = st.builds(Networking, endpoint=st.none() | names.map("/models/{}".format))
environments = st.dictionaries(
    st.from_regex(r"[A-FH-Z_][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "PORT"),
    texts,
    max_size=3,
)


schedule_lines = st.builds(
    ScheduledMinimum,
    cron=st.sampled_from(["0 8 * * mon-fri", "*/5 * * * *", "30 2 1 1 *"]),
    min_replicas=st.just(0),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin"]),
)


@st.composite
def autoscalings(draw: st.DrawFn, least_min: int = 0) -> Autoscaling:
    counts = st.lists(st.integers(least_min, 200), min_size=3, max_size=3)
    least, first, most = sorted(draw(counts))
    return Autoscaling(
        min_replicas=least,
        max_replicas=max(most, 1),
        init_replicas=draw(st.none() | st.just(first)),
        target_in_flight=draw(st.none() | st.floats(0.1, 100)),
        window=draw(durations(1000, 600_000)),
        upscale_stabilization_period=draw(durations(0, 600_000)),
        downscale_stabilization_period=draw(durations(0, 600_000)),
        max_upscale_factor=draw(st.floats(1.01, 10)),
        max_downscale_factor=draw(st.floats(0, 0.99)),
        upscale_tolerance=draw(st.floats(0, 1)),
        downscale_tolerance=draw(st.floats(0, 0.99)),
        panic_window=draw(durations(1000, 60_000)),
        panic_threshold=draw(st.none() | st.floats(1.01, 10)),
        forecast=draw(st.booleans()),
        schedule=tuple(draw(st.lists(schedule_lines, max_size=2))),
    )


@st.composite
def api_specs(draw: st.DrawFn, name: st.SearchStrategy[str] = names) -> RealtimeSpec:
    source = draw(handlers | processes)
    handler = source if isinstance(source, Handler) else None
    fields: dict[str, Any] = {"handler" if handler else "process": source}
    countable = not isinstance(source, Process) or source.protocol == "http1"
    if countable and draw(st.booleans()):
        least = handler.smallest_slots if handler else 1
        fields["max_concurrency"] = draw(st.none() | st.integers(least, 9999))
    return RealtimeSpec(
        name=draw(name),
        **fields,
        max_queue_length=draw(st.integers(0, 1000)),
        timeout=draw(durations(1, 3_600_000)),
        max_hold=draw(st.none() | durations(0, 3_600_000)),
        idempotent=draw(st.booleans()),
        compute=draw(computes),
        env=draw(environments),
        autoscaling=draw(autoscalings(least_min=0 if countable else 1)),
        update_strategy=draw(update_strategies),
        networking=draw(networkings),
    )
