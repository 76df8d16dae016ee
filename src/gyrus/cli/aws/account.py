"""Parts that the commands share: the file, the account, the connection to the cluster, the progress."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gyrus.cli.cluster import cluster_failures
from gyrus.cli.cluster_yaml import FILE
from gyrus.cli.failures import specification_failure
from gyrus.cli.output import print_note

if TYPE_CHECKING:
    from gyrus.cluster.aws.calls import AwsCalls
    from gyrus.cluster.aws.cluster_spec import ClusterSpec
    from gyrus.cluster.aws.eks import EksCluster
    from gyrus.cluster.aws.stack_state import StackEvent
    from gyrus.cluster.aws.stacks import Stacks
    from gyrus.cluster.manifests.objects import Installation
    from gyrus.kubernetes.client import ClusterClient

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

file_option = click.option(
    "-f",
    "--file",
    default=FILE,
    show_default=True,
    type=click.Path(path_type=Path),
    help="The cluster's file.",
)


@dataclass(frozen=True, slots=True)
class ClusterAccount:
    """A cluster.yaml and the account in which its cluster is."""

    file: Path
    spec: ClusterSpec
    aws: AwsCalls
    stacks: Stacks

    async def number(self) -> str:
        """Return the account's number. Raises AwsError."""
        return str((await self.aws.call("sts", "get_caller_identity"))["Account"])

    def installation(
        self, base: Mapping[str, str] | None = None, shared_costs: Mapping[str, float] | None = None
    ) -> Installation:
        """Return the installation of gyrus on the cluster. Raises CommandFailure.

        ``base``: the outputs of the base stack, once it exists. ``shared_costs``: the prices of the parts
        besides nodes.
        """
        from gyrus.cluster.aws.installation import installation_of
        from gyrus.cluster.values import load_values
        from gyrus.spec.faults import SpecError

        named = self.spec.gyrus.values
        if named is None:
            return installation_of(self.spec, None, base, shared_costs)
        values = self.file.parent / named
        try:
            return installation_of(self.spec, load_values(values), base, shared_costs)
        except SpecError as error:
            raise specification_failure(error, f"The values file {values}") from error


def load_spec(file: Path) -> ClusterSpec:
    """Read a cluster.yaml. Raises CommandFailure."""
    from gyrus.cluster.aws.cluster_file import load_cluster
    from gyrus.spec.faults import SpecError

    try:
        return load_cluster(file)
    except SpecError as error:
        raise specification_failure(error, str(file)) from error


def cluster_account(file: Path) -> ClusterAccount:
    """Return the cluster of a file, and its account. Raises CommandFailure."""
    spec = load_spec(file)
    from gyrus.cluster.aws.calls import AwsCalls
    from gyrus.cluster.aws.stacks import Stacks

    with cluster_failures():
        aws = AwsCalls(spec.region)
    return ClusterAccount(file, spec, aws, Stacks(aws, report=report_event))


def carried_out(work: Coroutine[Any, Any, R]) -> R:
    """Carry out a command's work, and return its result. Raises CommandFailure."""
    with cluster_failures():
        return asyncio.run(work)


def report_event(event: StackEvent) -> None:
    """Print a resource that is done, or that has failed."""
    if event.status.endswith("_COMPLETE") or event.failed:
        why = f": {event.reason}" if event.reason and event.failed else ""
        kind = "" if event.type == "AWS::CloudFormation::Stack" else f" ({event.type})"
        what = event.status.lower().replace("_", " ")
        print_note(f"{event.stack}  {event.resource}{kind} {what}{why}")


def token_program(cluster: str, region: str) -> tuple[str, ...]:
    """Return the program that prints a token of a cluster, for its kubeconfig: this installation's."""
    beside = Path(sys.executable).with_name("gyrus")
    words = (str(beside),) if beside.is_file() else (sys.executable, "-m", "gyrus.cli.main")
    return (*words, "cluster", "token", cluster, "--region", region)


def remember_cluster(cluster: EksCluster) -> str:
    """Add a cluster to the kubeconfig, and return the name of its context. Raises ClusterError."""
    from gyrus.cluster.aws.kubeconfig import context_name, read_kubeconfig, with_context, write_kubeconfig
    from gyrus.kubernetes.configuration import kubeconfig_path

    file = kubeconfig_path()
    program = token_program(cluster.name, cluster.region)
    write_kubeconfig(file, with_context(read_kubeconfig(file), cluster, program))
    return context_name(cluster.name, cluster.region)


def forget_cluster(name: str, region: str) -> None:
    """Remove a cluster from the kubeconfig. Raises ClusterError."""
    from gyrus.cluster.aws.kubeconfig import (
        context_name,
        read_kubeconfig,
        without_context,
        write_kubeconfig,
    )
    from gyrus.kubernetes.configuration import kubeconfig_path

    file = kubeconfig_path()
    config = read_kubeconfig(file)
    if config:
        write_kubeconfig(file, without_context(config, context_name(name, region)))


@asynccontextmanager
async def unwrapped() -> AsyncGenerator[None]:
    """Raise the first failure of a group of tasks in the place of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- of any type
        raise error from None


@asynccontextmanager
async def connected(context: str) -> AsyncGenerator[ClusterClient]:
    """Connect to the cluster of a context of the kubeconfig. Raises KubernetesError."""
    from gyrus.kubernetes.client import ClusterClient
    from gyrus.kubernetes.configuration import from_kubeconfig

    async with ClusterClient(from_kubeconfig(context)) as client:
        yield client
