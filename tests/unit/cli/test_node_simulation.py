"""``gyrus simulate --cluster``: no operator and no AWS is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import Gyrus

TRACE = "time,service_time\n" + "".join(f"{n},{n % 3}\n" for n in range(600))
CLUSTER = """region: us-east-1
node_groups:
  - {name: cpu, instance_type: m6i.xlarge, min_instances: 0, max_instances: 20, spot: true}
"""
SPOT = "at,event,group,value\n0,price,,50%\n2m,interruption,cpu,100%\n2m,shortage,cpu,20m\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, a trace of ten minutes, a cluster.yaml and a file of spot events."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "gyrus.yaml").write_text(
        "- {name: chat, kind: RealtimeAPI, handler: {path: handler.py}, compute: {cpu: 1, mem: 2Gi}}\n"
    )
    (folder / "trace.csv").write_text(TRACE)
    (folder / "cluster.yaml").write_text(CLUSTER)
    (folder / "spot.csv").write_text(SPOT)
    return folder


def arguments(folder: Path, *more: str | Path) -> tuple[str | Path, ...]:
    return (
        "simulate", folder, "--trace", folder / "trace.csv", "--service-time", "column", "--startup", "30s",
        "--cluster", folder / "cluster.yaml", *more,
    )  # fmt: skip


def test_the_table_has_cost_and_misses_of_the_cluster_s_scaler(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus(*arguments(folder))
    assert ran.code == 0, ran.err
    title, _, headers, row = ran.out.splitlines()
    assert title == "trace.csv: 600 requests in 9m59s, 1.0 in progress on average; for chat"
    assert headers.split()[:4] == ["SCALER", "COST", "PER", "1,000"]
    assert row.startswith("gyrus ")
    assert "$0." in row
    assert "EC2 and its spot market are simulated." in ran.err
    (folder / "cluster.yaml").write_text(CLUSTER + "scaler: karpenter\n")
    assert gyrus(*arguments(folder)).out.splitlines()[-1].startswith("karpenter ")


def test_a_comparison_shows_the_distance_from_gyrus(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus(*arguments(folder, "--compare"))
    assert ran.code == 0
    first, second = ran.out.split("\n\n")[1:]
    names = [line.split()[0] for line in first.splitlines()[1:]]
    assert names == ["gyrus", "cluster-autoscaler", "karpenter", "on-demand"]
    assert [line.split()[0] for line in second.splitlines()[1:]] == names[1:]
    assert "COST × gyrus" in second


def test_json_has_cost_misses_and_nodes_over_time(gyrus: Gyrus, folder: Path) -> None:
    more = ("--scaler", "gyrus", "--scaler", "on-demand", "--spot-file", folder / "spot.csv", "-o", "json")
    reported = gyrus(*arguments(folder, *more)).json
    assert (reported["trace"], reported["requests"], reported["policy"]) == ("trace.csv", 600, "gyrus")
    spot, on_demand = reported["scalers"]
    assert [spot["scaler"], on_demand["scaler"]] == ["gyrus", "on-demand"]
    assert (spot["interruptions"], on_demand["interruptions"]) == (1, 0)
    assert spot["cost_per_1000"] == pytest.approx(spot["cost"] / 0.6)
    assert on_demand["cost"] == pytest.approx(0.192 * on_demand["node_hours"])
    for one in (spot, on_demand):
        ends = ("refused", "timed_out", "lost", "late")
        assert one["slo_misses"] == sum(one[name] for name in ends)
        assert one["nodes"][-1]["cost"] == pytest.approx(one["cost"])
    assert {one["on_demand"] > 0 for one in spot["nodes"]} == {True, False}, "it falls back to on demand"
    assert set(spot["nodes"][0]) == {
        "at", "spot", "on_demand", "starting", "required", "serving", "cost",
    }  # fmt: skip


def test_equal_seeds_give_equal_reports(gyrus: Gyrus, folder: Path) -> None:
    def once(seed: str) -> str:
        more = ("--spot-seed", seed, "--spot-rate", "100%", "--scaler", "karpenter", "-o", "json")
        return json.dumps(gyrus(*arguments(folder, *more)).json)

    assert once("1") == once("1") != once("2")


def test_a_chart_is_drawn(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus(*arguments(folder, "--plot", folder / "nodes.svg"))
    assert ran.code == 0
    assert f"The chart of nodes and cost is in {folder / 'nodes.svg'}." in ran.err
    assert (folder / "nodes.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("more", "reported"),
    [
        (
            ("--scaler", "magic"),
            "'magic' is no policy for nodes; the policies are gyrus, cluster-autoscaler, ",
        ),
        (("--price", "1/h"), "--price cannot be combined with --cluster: its nodes have prices."),
        (("--tune",), "--tune cannot be combined with --cluster."),
        (("--policy", "hpa", "--policy", "kpa"), "--cluster takes one --policy, which scales the replicas."),
        (
            ("--spot-rate", "1%", "--spot-file", "s.csv"),
            "--spot-rate and --spot-file both describe the spot market.",
        ),
        (("--spot-file", "none.csv"), "none.csv: cannot be read: No such file or directory."),
        (("--cluster", "none.yaml"), "none.yaml"),
    ],
)
def test_wrong_options_are_one_clear_error(
    gyrus: Gyrus, folder: Path, more: tuple[str, ...], reported: str
) -> None:
    ran = gyrus(*arguments(folder, *more))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert reported in ran.err


def test_options_about_nodes_need_a_cluster(gyrus: Gyrus, folder: Path) -> None:
    given = arguments(folder, "--spot-rate", "10%")
    ran = gyrus(*given[:8], *given[10:])
    assert ran.code == 2
    assert "--spot-rate is about nodes, and no cluster is given." in ran.err
    assert "Add --cluster cluster.yaml." in ran.err


@pytest.mark.parametrize(
    ("api", "cluster", "reported"),
    [
        (
            "cpu: 4",
            CLUSTER,
            "A replica of chat requests 4 CPU, 2.0 GiB, and no node of {file} has it: cpu offers 3.74 CPU, "
            "13.7 GiB.",
        ),
        (
            "cpu: 1",
            CLUSTER.replace("m6i.xlarge", "z9.large"),
            "Node group cpu: gyrus does not know the resources of the instance type z9.large, so it cannot "
            "simulate its nodes.",
        ),
    ],
)
def test_a_cluster_that_cannot_run_the_api_is_one_clear_error(
    gyrus: Gyrus, folder: Path, api: str, cluster: str, reported: str
) -> None:
    spec = folder / "gyrus.yaml"
    spec.write_text(spec.read_text().replace("cpu: 1", api))
    file = folder / "cluster.yaml"
    file.write_text(cluster)
    ran = gyrus(*arguments(folder))
    assert ran.code == 2
    assert reported.format(file=file) in " ".join(ran.err.split())


def test_node_groups_of_the_api_are_those_of_the_cluster(gyrus: Gyrus, folder: Path) -> None:
    spec = folder / "gyrus.yaml"
    spec.write_text(spec.read_text().replace("}}", "}, node_groups: [gpu]}"))
    ran = gyrus(*arguments(folder))
    assert ran.code == 2
    assert f"chat has node_groups: gpu, and {folder / 'cluster.yaml'} has the groups cpu." in " ".join(
        ran.err.split()
    )
    (folder / "cluster.yaml").write_text(CLUSTER + "  - {name: gpu, instance_type: g4dn.xlarge}\n")
    assert gyrus(*arguments(folder)).code == 0
