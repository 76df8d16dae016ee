"""The commands gyrus cluster init and validate, and the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.command_line import Gyrus

SMALL = "region: us-east-1\nnode_groups: [{name: cpu, instance_type: m5.large}]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the commands run."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_first_file_needs_a_region_only(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus("cluster", "init")
    assert (ran.code, ran.out) == (0, "cluster.yaml\n")
    assert ran.err == "\nWrite the region into it.\nCheck it:  gyrus cluster validate cluster.yaml\n"
    ran = gyrus("cluster", "validate")
    assert ran.code == 2
    assert ran.err == (
        "error: cluster.yaml has 1 fault.\n\n"
        '  cluster.yaml:8:9: region: "YOUR-REGION" stands for the region to fill in; '
        "write for example us-east-1\n"
    )
    file = folder / "cluster.yaml"
    file.write_text(file.read_text().replace("YOUR-REGION", "eu-west-1"))
    ran = gyrus("cluster", "validate")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "cluster.yaml is valid.\n\n"
        "NODE GROUP  INSTANCES  TYPES     CAPACITY   VOLUME      PRIORITY\n"
        "cpu         1 to 5     m5.large  on demand  50 GiB gp3  1\n"
    )


def test_a_first_file_with_its_region_is_valid(gyrus: Gyrus) -> None:
    ran = gyrus("cluster", "init", "my cluster.yaml", "--region", "eu-west-1", "-o", "json")
    assert ran.json == {"file": "my cluster.yaml", "region": "eu-west-1"}
    found = gyrus("cluster", "validate", "my cluster.yaml", "-o", "json").json
    assert (found["valid"], found["unknown"], found["cluster"]["region"]) == (True, [], "eu-west-1")


def test_an_existing_file_is_not_overwritten(gyrus: Gyrus, folder: Path) -> None:
    (folder / "cluster.yaml").write_text("mine")
    ran = gyrus("cluster", "init", "--region", "eu-west-1")
    assert ran.code == 2
    assert ran.err == (
        "error: cluster.yaml exists already, and gyrus cluster init overwrites nothing.\n"
        "  Choose another file: gyrus cluster init FILE\n"
    )
    assert (folder / "cluster.yaml").read_text() == "mine"


def test_a_file_that_cannot_be_written(gyrus: Gyrus) -> None:
    ran = gyrus("cluster", "init", "none/cluster.yaml", "--region", "eu-west-1")
    assert (ran.code, ran.err) == (
        1,
        "error: none/cluster.yaml cannot be written: No such file or directory.\n",
    )


def test_a_wrong_region_writes_nothing(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus("cluster", "init", "--region", "eu-west1")
    assert ran.code == 2
    assert ran.err == 'error: "eu-west1" is not a region.\n  Did you mean "eu-west-1"?\n'
    assert not list(folder.iterdir())


def test_a_file_that_does_not_exist(gyrus: Gyrus) -> None:
    ran = gyrus("cluster", "validate")
    assert ran.code == 2
    assert ran.err == "error: There is no file cluster.yaml.\n  Write one with: gyrus cluster init\n"


def test_faults_as_json(gyrus: Gyrus, folder: Path) -> None:
    (folder / "c.yaml").write_text(SMALL.replace("m5", "m6g"))
    ran = gyrus("cluster", "validate", "c.yaml", "-o", "json")
    assert ran.code == 2
    assert ran.json == {
        "valid": False,
        "faults": [
            {
                "file": "c.yaml",
                "line": 2,
                "column": 42,
                "field": "node_groups[0].instance_type",
                "message": '"m6g.large" has ARM processors, and images are built for amd64',
                "remedy": "write m6i.large",
            }
        ],
    }


def test_what_only_aws_knows_is_named(gyrus: Gyrus, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(SMALL.replace("m5", "m99").replace("us-east-1", "us-east-9"))
    ran = gyrus("cluster", "validate")
    assert ran.code == 0
    assert ran.err == (
        "\ngyrus does not know the region us-east-9. Only AWS knows whether it exists.\n"
        "\ngyrus does not know the instance type m99.large. Only AWS knows whether it exists.\n"
    )


def test_spot_capacity_is_shown(gyrus: Gyrus, folder: Path) -> None:
    spot = "spot: true, spot_config: {instance_distribution: [m5.xlarge], on_demand_base_capacity: 2}"
    (folder / "cluster.yaml").write_text(SMALL.replace("m5.large}", "m5.large, " + spot + "}"))
    row = re.split("  +", gyrus("cluster", "validate").out.splitlines()[-1])
    assert row == ["cpu", "1 to 5", "m5.large, m5.xlarge", "spot, from 2 on demand", "50 GiB gp3", "1"]


def test_a_cluster_is_no_api(gyrus: Gyrus, folder: Path) -> None:
    (folder / "cluster.yaml").write_text(SMALL)
    ran = gyrus("validate", "cluster.yaml")
    assert ran.code == 2
    assert ran.err == (
        "error: cluster.yaml has 1 fault.\n\n"
        "  cluster.yaml:1:1: region: is a field of cluster.yaml, not of an "
        "API; run: gyrus cluster validate FILE\n"
    )


def test_the_schema_of_a_cluster(gyrus: Gyrus) -> None:
    schema = gyrus("schema", "--cluster").json
    assert (schema["title"], gyrus("schema").json["title"]) == ("cluster.yaml", "gyrus.yaml")
