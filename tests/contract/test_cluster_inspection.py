"""``gyrus cluster info`` and ``health`` on an emulated account, without Kubernetes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.cluster_file import load_cluster
from gyrus.cluster.aws.cluster_stacks import ClusterStacks
from gyrus.cluster.aws.creation import Creation
from gyrus.cluster.aws.stacks import Stacks
from gyrus.cluster.aws.templates.account_facts import AccountFacts
from support.aws.account import AwsAccount, aws_account

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
TEXT = """cluster_name: vision
region: eu-west-1
node_groups:
  - {name: cpu, instance_type: m5.large, max_instances: 3}
"""
QUICK = Backoff(0.02, 0.2)


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(TEXT)
    return path


def run(account: AwsAccount, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder = file.parent
    own = {"GYRUS_HOME": str(folder / "home"), "KUBECONFIG": str(folder / "kubeconfig"), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "gyrus.cli.main", "cluster", *arguments, "-f", str(file)],
        env=os.environ | account.environment | own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_before_and_after_its_stacks(account: AwsAccount, file: Path) -> None:
    health = run(account, file, "health")
    assert health.returncode == 1
    assert health.stdout.splitlines() == [
        "wrong stack gyrus-vision: does not exist. Create it with: gyrus cluster up",
        "wrong stack gyrus-vision--cpu: does not exist. Run: gyrus cluster up, which continues",
        "wrong control plane vision: does not exist. Create it with: gyrus cluster up",
    ]
    assert health.stderr == (
        "error: The cluster vision in eu-west-1 is not healthy.\n"
        "  See to 3 parts above, the first one first\n"
    )
    info = run(account, file, "info")
    assert info.returncode == 0
    assert "does not exist. Create it with: gyrus cluster up" in info.stdout
    assert "Nothing runs." in info.stdout

    await _create(account, file)
    health = run(account, file, "health")
    assert health.returncode == 1  # no Kubernetes answers behind this control plane
    wrong = [line for line in health.stdout.splitlines() if not line.startswith("ok ")]
    assert len(wrong) == 1
    assert wrong[0].startswith("wrong Kubernetes: cannot be read: The cluster at https://")
    data: dict[str, Any] = json.loads(run(account, file, "info", "-o", "json").stdout)
    assert [stack["status"] for stack in data["stacks"]] == ["UPDATE_COMPLETE", "CREATE_COMPLETE"]
    (group,) = data["node_groups"]
    assert (group["group"], group["capacity_type"], group["desired"]) == ("cpu", "on-demand", 2)
    assert [node["instance_type"] for node in data["nodes"]] == ["m5.large", "m5.large"]
    assert data["usd_per_hour"]["minimum"] < data["usd_per_hour"]["now"] < data["usd_per_hour"]["maximum"]
    assert data["bucket"] == "gyrus-vision-000000000000-eu-west-1"
    assert data["installation"] is None
    assert list(data["unread"]) == ["kubernetes"]
    parts = json.loads(run(account, file, "health", "-o", "json").stdout)["parts"]
    assert [part["part"] for part in parts if not part["healthy"]] == ["Kubernetes"]


async def _create(account: AwsAccount, file: Path) -> None:
    spec, aws = load_cluster(file), account.calls()
    facts = AccountFacts(zones=("eu-west-1a", "eu-west-1b"))
    parts = ClusterStacks(spec, Stacks(aws, polls=QUICK), facts, {})
    creation = Creation(aws, parts, lambda _: None)
    await creation.make_stacks()
    await creation.finish_stacks()


def test_a_file_and_a_context_exclude_each_other(account: AwsAccount, file: Path) -> None:
    for command in ("info", "health"):
        ran = run(account, file, command, "--context", "staging")
        assert ran.returncode == 2
        assert ran.stderr == (
            "error: A cluster.yaml names its cluster, and --context another one.\n"
            "  Write one of them: -f FILE, or --context NAME\n"
        )
