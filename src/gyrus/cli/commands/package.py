"""The command ``gyrus package``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.failures import CommandFailure
from gyrus.cli.output import print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, global_options, pass_session

if TYPE_CHECKING:
    from gyrus.client.project import ProjectArchive


@click.group("package", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Make the package that a manifest names: the files around a YAML file, with their digest.

    The same files have the same digest on every machine.
    """


command.params += global_options()

_project = click.argument("path", default=".", type=click.Path(path_type=Path))


@command.command("push", cls=Command)
@_project
@pass_session
def push(session: CliSession, path: Path) -> None:
    """Upload the package of a project to the operator, and deploy nothing.

    PATH is the YAML file, or a folder with a gyrus.yaml (default: this folder). The operator removes it after
    an hour in which no API used it.
    """
    from gyrus.cli.left_out import warn
    from gyrus.client.project import Project

    client = session.client()
    with Project.read(path, client.info().max_package) as project:
        warn(project.left_out)
        client.upload_package(project.package)
        _print(session, project.package)


@command.command("build", cls=Command)
@_project
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_session
def build(session: CliSession, path: Path, file: Path) -> None:
    """Write the package of a project to FILE, for a web server or an object store.

    PATH is the YAML file, or a folder with a gyrus.yaml.
    """
    from gyrus.cli.left_out import warn
    from gyrus.client.project import Project

    with Project.read(path) as project:
        warn(project.left_out)
        _write(project.package, file)
        _print(session, project.package)


def _write(package: ProjectArchive, file: Path) -> None:
    try:
        with file.open("wb") as written:
            written.writelines(package.chunks())
    except OSError as fault:
        raise CommandFailure(
            f"The package cannot be written to {file}: {fault.strerror}.",
            remedy="Name a file in a folder that exists, on a disk with free space.",
        ) from fault


def _print(session: CliSession, package: ProjectArchive) -> None:
    if session.json:
        print_json({"sha256": package.digest, "size": package.size})
        return
    print_result(package.digest)
    print_note(f"In the manifest's spec:\n  package:\n    sha256: {package.digest}")
