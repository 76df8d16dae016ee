"""The packages that manifests name."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import click
import pytest

from gyrus.cli.apis import listing
from gyrus.cli.description import described
from gyrus.client.client import Client
from gyrus.contract.operator import ApiDescription, ApiOwner, ApiView, ReplicaCounts, Status
from support.command_line import Gyrus
from support.operator_thread import Operator


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "handler.py").write_text("class Handler:\n    def predict(self, payload): ...\n")
    (folder / "gyrus.yaml").write_text("{name: iris, kind: RealtimeAPI, handler: {path: handler.py}}")
    return folder


def test_push_uploads_and_deploys_nothing(operator: Operator, gyrus: Gyrus, project: Path) -> None:
    pushed = gyrus("package", "push", project)
    assert pushed.code == 0, pushed.err
    digest = pushed.out.strip()
    assert f"    sha256: {digest}" in pushed.err.splitlines()
    with Client() as client:
        assert client.has_package(digest)
        assert client.apis() == []


def test_build_writes_the_bytes_that_push_sends(
    operator: Operator, gyrus: Gyrus, project: Path, tmp_path: Path
) -> None:
    file = tmp_path / "iris.tar"
    built = gyrus("package", "build", project, file, "-o", "json").json
    content = file.read_bytes()
    assert built == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    assert gyrus("package", "push", project, "-o", "json").json == built


def test_a_package_that_cannot_be_written(gyrus: Gyrus, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "iris.tar"
    ran = gyrus("package", "build", project, file)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"error: The package cannot be written to {file}: No such file or directory.\n"
        "  Name a file in a folder that exists, on a disk with free space.\n"
    )


def view(name: str, owner: ApiOwner) -> ApiView:
    return ApiView(
        name=name,
        kind="RealtimeAPI",
        status=Status.LIVE,
        endpoint=f"http://gateway/{name}",
        revision=1,
        replicas=ReplicaCounts(requested=1, ready=1, up_to_date=1),
        in_flight=0,
        created_at="2026-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
        message="",
        owner=owner,
    )


def test_the_list_shows_owners_if_one_is_a_manifest() -> None:
    both = click.unstyle(listing([view("iris", ApiOwner.CLI), view("text", ApiOwner.MANIFEST)])).splitlines()
    assert [line.split()[-1] for line in both] == ["OWNER", "CLI", "manifest"]
    assert "OWNER" not in listing([view("iris", ApiOwner.CLI)])


def test_a_description_names_the_manifest(operator: Operator) -> None:
    with Client() as client:
        client.deploy([{"name": "iris", "kind": "RealtimeAPI", "process": {"command": ["serve"]}}])
        description = client.describe("iris")
    text = click.unstyle(described(_owned(description)))
    assert "  owner      a manifest: the object iris of apis.gyrus.dev" in text
    assert "owner " not in click.unstyle(described(description))


def _owned(description: ApiDescription) -> ApiDescription:
    api = dataclasses.replace(description.api, owner=ApiOwner.MANIFEST)
    return dataclasses.replace(description, api=api)
