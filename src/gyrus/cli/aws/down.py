"""The command ``gyrus cluster down``: removes a cluster from AWS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.aws.account import (
    ClusterAccount,
    carried_out,
    cluster_account,
    connected,
    file_option,
    forget_cluster,
    remember_cluster,
    unwrapped,
)
from gyrus.cli.cluster import environment_name, forget_operator
from gyrus.cli.failures import CommandFailure
from gyrus.cli.output import counted, print_json, print_note, print_result, warning
from gyrus.cli.prompts import confirm
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.cluster.changes import ObjectChange

GONE_WITHIN = 300
"""Seconds within which gyrus must be gone from the cluster. After that, AWS ends what is left."""


@click.command("down", cls=Command)
@file_option
@click.option("--keep-data", is_flag=True, help="Leave the bucket and the logs, for a later cluster.")
@click.option("--force", is_flag=True, help="Remove the cluster with the APIs on it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
@pass_session
def down(session: CliSession, file: Path, keep_data: bool, force: bool, yes: bool) -> None:
    """Remove a cluster from AWS with everything that belongs to it, and what is left of it.

    A cluster with APIs is only removed with --force.
    """
    account = cluster_account(file)
    spec = account.spec
    number, apis = carried_out(_observed(account))
    if apis is None and not force:
        raise CommandFailure(
            f"The APIs of the cluster {spec.cluster_name} are not known.",
            remedy="Remove the cause above, or add --force to remove the cluster with them.",
        )
    if apis and not force:
        raise CommandFailure(
            f"The cluster {spec.cluster_name} has {counted(apis, 'API')}.",
            remedy="Delete them first (gyrus delete NAME), or add --force to remove the cluster with them.",
        )
    data = "its data stays" if keep_data else "with its bucket and its logs"
    confirm(f"Remove the cluster {spec.cluster_name} from {spec.region}, account {number}, {data}?", yes=yes)
    carried_out(_remove(account, number, keep_data))
    forget_cluster(spec.cluster_name, spec.region)
    name = environment_name(_context(account), spec.gyrus.namespace)
    forget_operator(session.home, name)
    if session.json:
        print_json({"cluster_name": spec.cluster_name, "region": spec.region, "data_kept": keep_data})
        return
    print_result(f"The cluster {spec.cluster_name} is removed from {spec.region}.")
    if keep_data:
        from gyrus.cluster.aws.resource_names import bucket_name

        print_result(f"Its data is in the bucket {bucket_name(spec, number)}.")


def _context(account: ClusterAccount) -> str:
    from gyrus.cluster.aws.kubeconfig import context_name

    return context_name(account.spec.cluster_name, account.spec.region)


async def _observed(account: ClusterAccount) -> tuple[str, int | None]:
    """Return the account's number, and the number of APIs. None if it cannot be read. Raises AwsError."""
    from gyrus.cluster.aws.eks import find_cluster
    from gyrus.cluster.aws.errors import ForeignCluster
    from gyrus.cluster.aws.resource_names import CLUSTER_TAG
    from gyrus.cluster.errors import NotInstalled
    from gyrus.cluster.uninstall import deployed_apis
    from gyrus.kubernetes.errors import KubernetesError

    number = await account.number()
    cluster = await find_cluster(account.aws, account.spec.cluster_name, account.spec.region)
    if cluster is None or not cluster.endpoint:
        return number, 0
    if cluster.tags.get(CLUSTER_TAG) != account.spec.cluster_name:
        raise ForeignCluster(account.spec.cluster_name, account.spec.region)
    try:
        async with connected(remember_cluster(cluster)) as client:
            return number, await deployed_apis(client, account.installation())
    except NotInstalled:
        return number, 0
    except KubernetesError as error:
        print_note(warning(f"Its APIs are not known: {error}"))
        return number, None


async def _remove(account: ClusterAccount, number: str, keep_data: bool) -> None:
    from gyrus.cluster.aws.removal import Removal

    await _uninstall(account)
    removal = Removal(account.aws, account.stacks, account.spec, number, print_note, keep_data)
    await removal.run()


async def _uninstall(account: ClusterAccount) -> None:
    """Remove gyrus from the cluster, so that Kubernetes releases load balancers and volumes.

    A cluster that does not answer is removed all the same: what it leaves is found by its tags.
    """
    from gyrus.aio.clock import SystemClock
    from gyrus.cluster.aws.eks import find_cluster
    from gyrus.cluster.aws.karpenter_pools import remove_pools
    from gyrus.cluster.aws.resource_names import CLUSTER_TAG
    from gyrus.cluster.errors import ClusterError, NotInstalled
    from gyrus.cluster.uninstall import Uninstaller
    from gyrus.cluster.waiting import UntilGone
    from gyrus.kubernetes.errors import KubernetesError

    cluster = await find_cluster(account.aws, account.spec.cluster_name, account.spec.region)
    if cluster is None or cluster.status not in ("ACTIVE", "UPDATING"):
        return
    try:
        async with unwrapped(), connected(remember_cluster(cluster)) as client:
            if not await remove_pools(client, account.spec, SystemClock(), GONE_WITHIN):
                tag = f"{CLUSTER_TAG}={account.spec.cluster_name}"
                print_note(
                    warning(
                        f"Karpenter has not ended its nodes within {GONE_WITHIN} seconds. End the instances "
                        f"with the tag {tag} in EC2: they cost money, and keep the VPC from being removed."
                    )
                )
            until_gone = UntilGone(client, SystemClock(), GONE_WITHIN)
            await Uninstaller(client, _report, until_gone).uninstall(account.installation())
    except NotInstalled:
        pass
    except (KubernetesError, ClusterError) as error:
        print_note(warning(f"gyrus was not removed from the cluster first: {error}"))


def _report(change: ObjectChange) -> None:
    print_note(str(change))
