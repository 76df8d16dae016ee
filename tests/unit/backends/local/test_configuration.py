"""From the user's specification to a supervisor's configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gyrus.backends.local.configuration import LaunchContext, configure
from gyrus.contract.home import Home
from gyrus.contract.replica import HandlerConfig, ProcessConfig, ReplicaConfig
from gyrus.runtime.codec import decode
from gyrus.spec.realtime import RealtimeSpec
from support.backends import order_of

HOME = Home(Path("/home/me/.gyrus"))


def configured(context: LaunchContext | None = None, **fields: object) -> ReplicaConfig:
    spec = RealtimeSpec.model_validate({"name": "iris"} | fields)
    order = order_of(spec, id="iris-1-aaaaa", generation=4, package="d")
    context = context or LaunchContext(project=Path("/p"), python=Path("/e/bin/python"))
    return configure(order, context, HOME)


def test_a_handler() -> None:
    handler = {
        "path": "handler.py",
        "config": {"a": 1},
        "processes": 2,
        "batching": {"max_size": 2, "max_wait": "20ms"},
    }
    config = configured(
        handler=handler, max_concurrency=4, timeout="10s", compute={"mem": "1Gi"}, env={"KEY": "value"}
    )
    assert config.handler == HandlerConfig(
        path="handler.py", config={"a": 1}, batch_max_size=2, batch_max_wait=0.02
    )
    assert (config.processes, config.limits.max_concurrency, config.limits.max_queue_length) == (2, 2, 50)
    assert (config.limits.timeout, config.grace) == (10.0, 40.0)
    assert config.memory == 2**30
    assert config.env == {"KEY": "value"}
    assert (config.project, config.python, config.revision) == ("/p", "/e/bin/python", 4)
    assert config.run_dir == "/home/me/.gyrus/run"
    assert config.log_dir == "/home/me/.gyrus/logs/replicas/iris/iris-1-aaaaa"
    assert config.notify == "/home/me/.gyrus/run/notify.sock"


def test_a_server_that_is_not_ours() -> None:
    process = {"command": ["serve", "--port", "$PORT"], "ready": {"path": "/health"}}
    config = configured(process=process)
    assert config.process == ProcessConfig(command=("serve", "--port", "$PORT"), ready_path="/health")
    assert config.limits.max_concurrency is None
    assert not config.queue_proxy
    assert configured(process=process, max_concurrency=3).queue_proxy


def test_devices_are_shown_to_their_holders_and_hidden_from_others() -> None:
    process = {"command": ["serve"]}
    context = LaunchContext(project=Path("/p"), python=Path("/e"), devices=("0", "2"), has_devices=True)
    assert configured(context, process=process).env == {"CUDA_VISIBLE_DEVICES": "0,2"}
    none = LaunchContext(project=Path("/p"), python=Path("/e"), has_devices=True)
    assert configured(none, process=process).env == {"CUDA_VISIBLE_DEVICES": ""}
    own = configured(context, process=process, env={"CUDA_VISIBLE_DEVICES": "7"})
    assert own.env == {"CUDA_VISIBLE_DEVICES": "7"}
    assert configured(process=process).env == {}


@pytest.mark.parametrize(
    "fields", [{"handler": {"path": "h.py", "config": {"a": [1, None]}}}, {"process": {"command": ["a"]}}]
)
def test_the_supervisor_reads_what_we_write(fields: dict[str, object]) -> None:
    config = configured(None, **fields)
    assert decode(ReplicaConfig, msgspec.json.encode(config)) == config
