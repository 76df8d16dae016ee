"""The commands ``gyrus cluster init`` and ``gyrus cluster validate``: cluster.yaml, without AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from gyrus.cli.failures import CommandFailure, WrongInput, fault_document, specification_failure
from gyrus.cli.output import print_json, print_note, print_result, table
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.cluster.aws.cluster_spec import ClusterSpec
    from gyrus.cluster.aws.node_group import NodeGroup

FILE = Path("cluster.yaml")
HEADERS = ("NODE GROUP", "INSTANCES", "TYPES", "CAPACITY", "VOLUME", "PRIORITY")


@click.command("init", cls=Command)
@click.argument("file", default=FILE, type=click.Path(path_type=Path))
@click.option("--region", help="The AWS region of the cluster (default: a place to fill in).")
@pass_session
def init(session: CliSession, file: Path, region: str | None) -> None:
    """Write a cluster.yaml with every field, its default and its meaning.

    FILE is its name (default: cluster.yaml). An existing file is never overwritten.
    """
    from gyrus.cluster.aws.initial_file import initial_file

    if region is not None:
        _check_region(region)
    _write(file, initial_file(region, quote(str(file))))
    if session.json:
        print_json({"file": str(file), "region": region})
        return
    print_result(str(file))
    fill_in = "" if region else "Write the region into it.\n"
    print_note(f"\n{fill_in}Check it:  gyrus cluster validate {quote(str(file))}")


@click.command("validate", cls=Command)
@click.argument("file", default=FILE, type=click.Path(path_type=Path))
@pass_session
def validate(session: CliSession, file: Path) -> None:
    """Check a cluster.yaml, without AWS.

    FILE is its name (default: cluster.yaml).
    """
    from gyrus.cluster.aws.cluster_file import load_cluster
    from gyrus.spec.faults import SpecError

    try:
        cluster = load_cluster(file)
    except SpecError as error:
        if session.json:
            print_json({"valid": False, "faults": [fault_document(fault) for fault in error.faults]})
        raise specification_failure(error, str(file)) from error
    unknown = list(_unknown(cluster))
    if session.json:
        print_json({"valid": True, "cluster": cluster.model_dump(mode="json"), "unknown": unknown})
        return
    print_result(f"{file} is valid.\n")
    print_result(table(HEADERS, [_row(group) for group in cluster.node_groups]))
    for name in unknown:
        print_note(f"\ngyrus does not know {name}. Only AWS knows whether it exists.")


def _check_region(region: str) -> None:
    """Check the name of a region. Raises WrongInput."""
    from gyrus.cluster.aws.regions import check_region

    try:
        check_region(region)
    except ValueError as error:
        message, _, remedy = str(error).partition("; ")
        sentence = remedy[:1].upper() + remedy[1:]
        end = "" if sentence.endswith("?") else "."
        raise WrongInput(f'"{region}" {message}.', remedy=f"{sentence}{end}") from error


def _write(file: Path, text: str) -> None:
    """Write a new file. Raises WrongInput if it exists, and CommandFailure."""
    try:
        with file.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except FileExistsError as error:
        raise WrongInput(
            f"{file} exists already, and gyrus cluster init overwrites nothing.",
            remedy="Choose another file: gyrus cluster init FILE",
        ) from error
    except OSError as error:
        raise CommandFailure(f"{file} cannot be written: {error.strerror}.") from error


def _row(group: NodeGroup) -> tuple[str, ...]:
    volume = f"{group.instance_volume_size} GiB {group.instance_volume_type}"
    return (
        group.name,
        f"{group.min_instances} to {group.max_instances}",
        ", ".join(group.instance_types),
        _capacity(group),
        volume,
        str(group.priority),
    )


def _capacity(group: NodeGroup) -> str:
    if not group.spot:
        return "on demand"
    base = group.spot_config.on_demand_base_capacity if group.spot_config else 0
    return f"spot, from {base} on demand" if base else "spot"


def _unknown(cluster: ClusterSpec) -> Iterator[str]:
    """Yield the well-formed names that gyrus's tables do not have."""
    from gyrus.cluster.aws.instance_types import known_types
    from gyrus.cluster.aws.regions import REGIONS

    if cluster.region not in REGIONS:
        yield f"the region {cluster.region}"
    types = {name: None for group in cluster.node_groups for name in group.instance_types}
    yield from (f"the instance type {name}" for name in types if name not in known_types())
