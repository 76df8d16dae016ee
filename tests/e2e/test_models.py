"""Models from a bucket: a revision has the objects that it was deployed with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.aws.emulators import Emulator, moto_server
from support.platform import Platform, platform_of_its_own
from support.project import Project, handler_api

pytestmark = pytest.mark.aws
HANDLER = """
import json

class Handler:
    def __init__(self, config, models):
        self.centers = json.loads((models / "centers.json").read_text())
        self.labels = (models / "labels" / "names.txt").read_text().split()

    def predict(self, payload):
        def distance(label):
            return sum((a - b) ** 2 for a, b in zip(payload, self.centers[label]))
        return min(self.labels, key=distance)
"""
CENTERS = {
    "setosa": [5.0, 3.4, 1.5, 0.2],
    "versicolor": [5.9, 2.8, 4.3, 1.3],
    "virginica": [6.6, 3.0, 5.6, 2.0],
}
SWAPPED = CENTERS | {"setosa": CENTERS["virginica"], "virginica": CENTERS["setosa"]}
FLOWER = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with moto_server(tmp_path_factory.mktemp("moto")) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def platform(moto: Emulator) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in moto.variables.items():
            patch.setenv(name, value)
        with platform_of_its_own(options=("--overcommit",)) as platform:
            yield platform


def put(moto: Emulator, bucket: str, centers: object) -> None:
    s3 = moto.client("s3")
    s3.put_object(Bucket=bucket, Key="iris/centers.json", Body=json.dumps(centers).encode())
    s3.put_object(Bucket=bucket, Key="iris/labels/names.txt", Body=" ".join(CENTERS).encode())


def deploy(platform: Platform, folder: Path, models: str, name: str = "iris") -> Any:
    api = handler_api(name, handler={"path": "handler.py", "models": models})
    Project(folder).write(api, handler=HANDLER)
    return platform.json("deploy", folder, "--yes")[0]


def test_models_of_a_bucket(platform: Platform, moto: Emulator, tmp_path: Path) -> None:
    bucket = moto.bucket(versioned=True)
    put(moto, bucket, CENTERS)
    assert deploy(platform, tmp_path, f"s3://{bucket}/iris/")["revision"] == 1
    assert platform.ask("iris", FLOWER).body == b"setosa"
    assert deploy(platform, tmp_path, f"s3://{bucket}/iris/")["revision"] == 1  # nothing has changed

    put(moto, bucket, SWAPPED)
    shutil.rmtree(platform.home.models)  # as on another machine: the next replica fetches again
    platform.gyrus("refresh", "iris")
    assert platform.ask("iris", FLOWER).body == b"setosa"

    assert deploy(platform, tmp_path, f"s3://{bucket}/iris/")["revision"] == 2
    assert platform.ask("iris", FLOWER).body == b"virginica"
    platform.gyrus("rollback", "iris")
    assert platform.ask("iris", FLOWER).body == b"setosa"


def test_models_of_a_folder(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "models/labels").mkdir(parents=True)
    (tmp_path / "models/centers.json").write_text(json.dumps(CENTERS))
    (tmp_path / "models/labels/names.txt").write_text(" ".join(CENTERS))
    deploy(platform, tmp_path / "project", "../models", "folder")
    assert platform.ask("folder", FLOWER).body == b"setosa"
    shutil.rmtree(tmp_path / "models")
    assert platform.ask("folder", FLOWER).body == b"setosa"


def test_missing_models_are_refused_at_the_deploy(platform: Platform, moto: Emulator, tmp_path: Path) -> None:
    bucket = moto.bucket()
    Project(tmp_path).write(
        handler_api("missing", handler={"path": "handler.py", "models": f"s3://{bucket}/iris"}),
        handler=HANDLER,
    )
    assert (
        f"missing: handler.models: There are no models at s3://{bucket}/iris: no object has this name, or "
        "one that begins with it and a slash. Check the URL, or store the models there"
    ) in platform.failure("deploy", tmp_path, "--yes", code=2)
    Project(tmp_path).write(
        handler_api("missing", handler={"path": "handler.py", "models": "s3://no-bucket-here/iris"}),
        handler=HANDLER,
    )
    assert (
        "handler.models: The bucket no-bucket-here of s3://no-bucket-here/iris does not exist: correct the "
        "URL, or create it"
    ) in platform.failure("deploy", tmp_path, "--yes", code=2)
    assert "missing" not in {api["name"] for api in platform.json("get")}


def test_a_kill_during_the_fetch_leaves_nothing_broken(
    platform: Platform, moto: Emulator, tmp_path: Path
) -> None:
    bucket = moto.bucket()
    put(moto, bucket, CENTERS)
    for number in range(12):
        moto.client("s3").put_object(Bucket=bucket, Key=f"iris/big-{number}", Body=os.urandom(9 * 2**20))
    api = handler_api("killed", handler={"path": "handler.py", "models": f"s3://{bucket}/iris"})
    platform.gyrus("deploy", Project(tmp_path).write(api, handler=HANDLER), "--no-wait", "--yes")
    deadline = time.monotonic() + 30
    while not [*platform.home.models.glob(".unfinished-*/*")] and time.monotonic() < deadline:
        time.sleep(0.005)
    operator = json.loads(platform.home.operator_file.read_bytes())["pid"]
    os.kill(operator, signal.SIGKILL)
    unfinished = [*platform.home.models.glob(".unfinished-*")]
    assert len(unfinished) == 1
    platform.up("--overcommit")
    deadline = time.monotonic() + 60
    while platform.json("get", "killed")["status"] != "live" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert platform.ask("killed", FLOWER).body == b"setosa"
    assert [*platform.home.models.glob(".unfinished-*")] == []


def test_progress_is_shown_and_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, moto_server(tmp_path) as moto:
        for name, value in moto.variables.items():
            patch.setenv(name, value)
        bucket = moto.bucket()
        put(moto, bucket, CENTERS)
        moto.client("s3").put_object(Bucket=bucket, Key="iris/big", Body=os.urandom(80 * 2**20))
        with platform_of_its_own(options=("--overcommit",)) as platform:
            api = handler_api("slow", handler={"path": "handler.py", "models": f"s3://{bucket}/iris"})
            platform.gyrus(
                "deploy", Project(tmp_path / "a").write(api, handler=HANDLER), "--no-wait", "--yes"
            )
            moto.pause()
            try:
                message = platform.json("get", "slow")["message"]
                assert message.startswith("fetching the models"), message
            finally:
                moto.go_on()
            platform.gyrus("deploy", tmp_path / "a", "--yes")
            assert platform.ask("slow", FLOWER).body == b"setosa"
