"""The command ``gyrus cluster token``: the credentials of a kubeconfig's user on EKS."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from gyrus.cli.aws.account import carried_out
from gyrus.cli.cluster import cluster_failures
from gyrus.cli.output import print_json
from gyrus.cli.session import CliSession, Command, pass_session


@click.command("token", cls=Command)
@click.argument("cluster")
@click.option("--region", required=True, help="The cluster's region.")
@pass_session
def token(session: CliSession, cluster: str, region: str) -> None:
    """Print a token for the EKS cluster CLUSTER, as kubectl expects it of a kubeconfig's program.

    gyrus cluster up writes this program into the kubeconfig. The token is that of your AWS identity.
    """
    from gyrus.cluster.aws.calls import AwsCalls
    from gyrus.cluster.aws.eks import bearer_token, execution_credential

    with cluster_failures():
        aws = AwsCalls(region)
    found = carried_out(bearer_token(aws, cluster))
    print_json(execution_credential(found, datetime.now(UTC)))
