from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.config.kubeconfig import KubeConfig

from gyrus.cluster.aws.eks import EksCluster
from gyrus.cluster.aws.kubeconfig import (
    context_name,
    read_kubeconfig,
    with_context,
    without_context,
    write_kubeconfig,
)
from gyrus.cluster.errors import ClusterError

OTHER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "other", "cluster": {"server": "https://other"}}],
    "users": [{"name": "other", "user": {"token": "t"}}],
    "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}],
    "current-context": "other",
    "preferences": {"colors": True},
}
CLUSTER = EksCluster(
    name="vision",
    region="eu-west-1",
    status="ACTIVE",
    version="1.34",
    endpoint="https://eks",
    authority="YQ==",
    tags={},
)
PROGRAM = ("/bin/gyrus", "cluster", "token", "vision", "--region", "eu-west-1")
NAME = context_name("vision", "eu-west-1")


def test_a_context_is_added_to_those_of_others_and_removed_again():
    added = with_context(OTHER, CLUSTER, PROGRAM)
    assert added["current-context"] == "other"
    assert added["preferences"] == {"colors": True}
    assert without_context(added, NAME) == OTHER


def test_a_repetition_changes_nothing():
    added = with_context(OTHER, CLUSTER, PROGRAM)
    assert with_context(added, CLUSTER, PROGRAM) == added


def test_the_first_context_is_the_current_one_as_long_as_it_exists(tmp_path: Path):
    file = tmp_path / "folder" / "config"
    write_kubeconfig(file, with_context(read_kubeconfig(file), CLUSTER, PROGRAM))
    assert file.stat().st_mode & 0o777 == 0o600
    config = KubeConfig.from_file(file)
    assert config.current_context == NAME
    chosen = config.get(NAME)
    assert chosen is not None
    assert chosen.cluster.server == "https://eks"
    assert chosen.user is not None
    assert chosen.user.exec is not None
    assert (chosen.user.exec.command, *(chosen.user.exec.args or ())) == PROGRAM
    write_kubeconfig(file, without_context(read_kubeconfig(file), NAME))
    assert yaml.safe_load(file.read_text())["current-context"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "{} is not a kubeconfig: it has no fields."),
        ("a: [", "{} is not a readable kubeconfig: while parsing"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_never_replaced(tmp_path: Path, text: str, message: str):
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ClusterError) as caught:
        read_kubeconfig(file)
    assert str(caught.value).startswith(message.format(file))
    assert file.read_text() == text
