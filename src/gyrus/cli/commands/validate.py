"""The command ``gyrus validate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.failures import fault_document, specification_failure
from gyrus.cli.output import print_json, print_result, table
from gyrus.cli.sample_file import usable_samples
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.packaging.left_out import LeftOutFile
    from gyrus.spec.api import ApiSpec
    from gyrus.spec.load import SpecFile

HEADERS = ("NAME", "KIND", "PROGRAM", "REPLICAS", "ENDPOINT")


@click.command("validate", cls=Command)
@click.argument("path", default=".", type=click.Path(path_type=Path))
@pass_session
def command(session: CliSession, path: Path) -> None:
    """Check a YAML file and the files that it names, without deploying it.

    PATH is the file, or a folder with a gyrus.yaml (default: this folder).
    """
    from gyrus.client.project import left_out_of
    from gyrus.packaging.errors import FolderRefused
    from gyrus.spec.faults import SpecError, SpecFault
    from gyrus.spec.load import load

    try:
        read = load(path)
        left_out = left_out_of(read)
    except (SpecError, FolderRefused) as error:
        whole = SpecFault(file=str(path), mark=None, field="", message=str(error))
        faults = error.faults if isinstance(error, SpecError) else [whole]
        if session.json:
            print_json({"valid": False, "faults": [fault_document(fault) for fault in faults]})
        if isinstance(error, FolderRefused):
            raise
        raise specification_failure(error, str(path)) from error
    _show(session, read, left_out)


def _show(session: CliSession, read: SpecFile, left_out: Sequence[LeftOutFile]) -> None:
    from gyrus.cli.left_out import warn, warnings

    if session.json:
        apis = [spec.model_dump(mode="json") for spec in read.apis]
        print_json({"valid": True, "apis": apis, "warnings": warnings(left_out)})
        return
    warn(left_out)
    print_result(f"{read.path} is valid.\n")
    print_result(table(HEADERS, [_row(spec) for spec in read.apis]))
    _show_costs(session, read)
    usable_samples([spec.model_dump(mode="json") for spec in read.apis], read.folder)


def _show_costs(session: CliSession, read: SpecFile) -> None:
    """Print what the APIs may cost, if this machine's platform is up and has a price."""
    from gyrus.cli.costs import possible_costs
    from gyrus.client.environments import LOCAL
    from gyrus.client.errors import ClientError

    try:
        if session.chosen() != LOCAL:  # to check a file needs no other machine
            return
        rates = session.client().costs().rates
    except ClientError:
        return
    if rates is not None:
        print_result("")
        for line in possible_costs(read.apis, rates):
            print_result(line)


def _row(spec: ApiSpec) -> tuple[str, ...]:
    return spec.name, spec.kind, spec.runs, spec.replica_range, spec.endpoint_path
