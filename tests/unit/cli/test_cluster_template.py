"""The command gyrus cluster template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import Gyrus

SPEC = """\
cluster_name: vision
region: eu-west-1
node_groups:
  - {name: cpu, instance_type: m5.large}
  - {name: gpu, instance_type: g5.xlarge}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a cluster.yaml, in which the commands run."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "cluster.yaml").write_text(SPEC)
    monkeypatch.chdir(folder)
    return folder


FILES = ["base.json", "group-cpu.json", "group-gpu.json", "base-with-nodes.json"]


def test_templates_are_written(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus("cluster", "template")
    assert ran.code == 0
    assert ran.out == "".join(f"templates/{name}\n" for name in FILES)
    assert ran.err == (
        "\nApply base.json first:  aws cloudformation deploy --region eu-west-1 "
        "--capabilities CAPABILITY_NAMED_IAM --stack-name gyrus-vision "
        "--template-file templates/base.json\n"
    )
    assert sorted(each.name for each in (folder / "templates").iterdir()) == sorted(FILES)
    assert gyrus("cluster", "template", "--folder", "templates").code == 0
    printed = gyrus("cluster", "template", "-f", "cluster.yaml", "-o", "json").json
    assert printed == {name: json.loads((folder / "templates" / name).read_text()) for name in FILES}


def test_one_group_is_printed(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus("cluster", "template", "--group", "gpu")
    assert ran.json["Description"] == "gyrus cluster vision, node group gpu"
    assert not (folder / "templates").exists()


def test_policies_are_printed(gyrus: Gyrus) -> None:
    found = gyrus("cluster", "template", "--policies").json
    assert list(found) == ["administrator", "operator", "installed-operator"]
    found = gyrus("cluster", "template", "--policies", "--account", "123456789012").json
    resources = found["operator"][0]["Statement"][2]["Resource"]
    assert resources == ["arn:aws:sqs:eu-west-1:123456789012:gyrus-vision"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--group", "gpo"], 'cluster.yaml has no node group "gpo".\n  Did you mean "gpu"?'),
        (["--group", "other"], 'cluster.yaml has no node group "other".\n  Choose one of: cpu, gpu'),
        (
            ["--group", "gpu", "--policies"],
            "--group and --policies exclude each other.\n  Choose one of them.",
        ),
        (
            ["--account", "123456789012"],
            "--account has no effect on templates.\n  Write --policies, or leave it out.",
        ),
        (
            ["--policies", "--account", "12345"],
            '"12345" is not an AWS account.\n  Write its 12 digits, for example 123456789012.',
        ),
    ],
)
def test_wrong_options(gyrus: Gyrus, arguments: list[str], error: str) -> None:
    ran = gyrus("cluster", "template", *arguments)
    assert (ran.code, ran.err) == (2, f"error: {error}\n")


def test_a_file_with_faults(gyrus: Gyrus, folder: Path) -> None:
    (folder / "cluster.yaml").write_text("region: eu-west-1\nnode_groups: [{name: cpu}]\n")
    ran = gyrus("cluster", "template")
    assert ran.code == 2
    assert "cluster.yaml has 1 fault" in ran.err


def test_a_folder_that_cannot_be_written(gyrus: Gyrus, folder: Path) -> None:
    (folder / "templates").write_text("mine")
    ran = gyrus("cluster", "template")
    assert (ran.code, ran.err) == (1, "error: templates/base.json cannot be written: File exists.\n")
