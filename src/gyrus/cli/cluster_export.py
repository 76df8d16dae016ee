"""The command ``gyrus cluster export``: all APIs of an operator as projects that can be deployed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrus.cli.failures import WrongInput
from gyrus.cli.output import counted, print_json, print_note, print_result, warning
from gyrus.cli.session import CliSession, Command, pass_session
from gyrus.contract.visible import escaped

if TYPE_CHECKING:
    from gyrus.client.client import Client

FOLDER = Path("gyrus-export")
FILE = "gyrus.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedApi:
    """One API: its specification, and the digest of its files."""

    name: str
    revision: int
    package: str | None
    spec: dict[str, Any]


@click.command("export", cls=Command)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder for the projects, one folder an API (default: {FOLDER}; with -o json: none).",
)
@pass_session
def export(session: CliSession, folder: Path | None) -> None:
    """Write each deployed API as a project: its specification as gyrus.yaml, and its files.

    Each folder can be deployed elsewhere: gyrus -e OTHER deploy FOLDER/NAME. The specifications have the
    values of environment variables. With -o json, print the specifications.
    """
    client = session.client()
    apis = [*_exported(client)]
    if folder is not None or not session.json:
        _write_all(client, apis, folder or FOLDER)
    if session.json:
        print_json(apis)


def _exported(client: Client) -> Iterator[ExportedApi]:
    """Yield each API at its target revision. One that is being deleted is left out."""
    for api in client.apis():
        if api.status == "deleting":
            continue
        description = client.describe(api.name)
        revision = description.api.revision
        packages = {each.number: each.package for each in client.history(api.name)}
        yield ExportedApi(
            name=api.name, revision=revision, package=packages.get(revision), spec=description.spec
        )


def _write_all(client: Client, apis: list[ExportedApi], folder: Path) -> None:
    """Write the projects, unless one of their folders exists."""
    there = [str(folder / api.name) for api in apis if (folder / api.name).exists()]
    if there:
        raise WrongInput(
            f"{escaped(', '.join(there))} {'exists' if len(there) == 1 else 'exist'} already.",
            remedy="Remove it, or name another folder with --folder.",
        )
    for api in apis:
        written = _write(client, api, folder)
        print_note(f"{api.name} revision {api.revision} is in {written}")
    print_result(f"{counted(len(apis), 'API')} exported to {folder}.")
    if apis:
        print_result(f"Deploy each with: gyrus -e OTHER deploy {folder}/NAME")
    if any(_has_variables(api.spec) for api in apis):
        print_note(warning("The files have the values of environment variables, which may be secrets."))


def _write(client: Client, api: ExportedApi, folder: Path) -> Path:
    """Write one project, and return its YAML file. The folder appears when it is complete."""
    from gyrus.packaging.unpacking import unpack

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{api.name}.", dir=folder) as temporary:
            project = Path(temporary) / "project"
            if api.package is None:
                project.mkdir()
            else:
                archive = Path(temporary) / "package.tar"
                with archive.open("wb") as file:
                    client.download_package(api.package, file)
                unpack(archive, project)
                _make_writable(project)
            name = FILE if not (project / FILE).exists() else f"{api.name}.gyrus.yaml"
            _write_private(project / name, _yaml(api))
            project.replace(folder / api.name)
    except OSError as fault:
        raise WrongInput(
            f"{api.name} cannot be written to {folder}: {fault.strerror}.",
            remedy="Name a folder on a disk with free space that you may write to: --folder FOLDER.",
        ) from fault
    return folder / api.name / name


def _make_writable(project: Path) -> None:
    """Let the user edit the files: unpacked ones are read-only."""
    for parent, _, names in os.walk(project):
        for name in names:
            file = Path(parent) / name
            if not file.is_symlink():
                file.chmod(file.stat().st_mode | 0o200)


def _write_private(file: Path, text: str) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def _yaml(api: ExportedApi) -> str:
    import yaml

    return yaml.safe_dump([_without_nulls(api.spec)], sort_keys=False, allow_unicode=True)


def _without_nulls(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the specification without fields that have no value."""
    return {name: value for name, value in spec.items() if value is not None}


def _has_variables(spec: dict[str, Any]) -> bool:
    """Return whether a specification has environment variables, wherever."""
    return any(
        (name == "env" and bool(value)) or (isinstance(value, dict) and _has_variables(value))  # pyright: ignore[reportUnknownArgumentType] -- of JSON
        for name, value in spec.items()
    )
