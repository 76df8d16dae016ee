from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from gyrus.contract.pods import CA_FILE, UNREACHABLE, BuildOrder, FetchOrder
from gyrus.contract.replica import HandlerConfig, Reason, ReplicaConfig
from gyrus.pods.failure import FilesUnreachable, PodFailed, run
from gyrus.pods.order import read_access, read_order

CONFIG = ReplicaConfig(
    id="a-1-abcde", api="a", revision=1, project="/gyrus/project", python="/p",
    handler=HandlerConfig(path="handler.py", config={"depth": 3}), listen=("0.0.0.0:8000",),
)  # fmt: skip


@pytest.mark.parametrize(
    "order",
    [FetchOrder(package=None, environment="e", config=CONFIG), BuildOrder(environment="e", package="p")],
)
def test_orders_arrive_as_the_operator_encodes_them(order: FetchOrder | BuildOrder) -> None:
    assert read_order(type(order), {"GYRUS_ORDER": msgspec.json.encode(order).decode()}) == order


def test_what_is_missing_is_named() -> None:
    with pytest.raises(PodFailed, match="GYRUS_ORDER is missing in the pod"):
        read_order(BuildOrder, {})
    with pytest.raises(PodFailed, match="GYRUS_ORDER cannot be read: BuildOrder"):
        read_order(BuildOrder, {"GYRUS_ORDER": "{}"})
    with pytest.raises(PodFailed, match="GYRUS_SECRET is missing"):
        read_access({"GYRUS_FILES": "https://files", "GYRUS_POD": "a"})


def test_the_certificate_is_where_it_is_mounted() -> None:
    environ = {"GYRUS_FILES": "https://files", "GYRUS_POD": "a-1-b", "GYRUS_SECRET": "s"}
    assert read_access(environ).ca == CA_FILE
    assert read_access(environ | {"GYRUS_CA": "/ca"}).ca == "/ca"
    assert read_access(environ).authorization == "Bearer a-1-b.s"


@pytest.mark.parametrize(("kind", "code"), [(PodFailed, 1), (FilesUnreachable, UNREACHABLE)])
def test_a_failure_reaches_the_pods_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[PodFailed], code: int
) -> None:
    def fail() -> None:
        raise kind(Reason.DEPENDENCIES, "installing requirements.txt failed", ("no such package",))

    assert run(fail, tmp_path / "log") == code
    document = json.loads((tmp_path / "log").read_bytes())
    assert document == {
        "reason": "DependencyFailure",
        "message": "installing requirements.txt failed",
        "lines": ["no such package"],
    }
    assert capsys.readouterr().err.splitlines() == [
        "no such package",
        "DependencyFailure: installing requirements.txt failed",
    ]


def test_a_success_leaves_no_message(tmp_path: Path) -> None:
    assert run(lambda: None, tmp_path / "log") == 0
    assert not (tmp_path / "log").exists()
