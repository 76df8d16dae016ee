"""The command ``gyrus schema``."""

from __future__ import annotations

import click

from gyrus.cli.output import print_json
from gyrus.cli.session import Command


@click.command("schema", cls=Command)
@click.option("--cluster", is_flag=True, help="Print the schema of cluster.yaml instead of gyrus.yaml.")
def command(cluster: bool) -> None:
    """Print the JSON Schema of the YAML, for editors.

    For example, run gyrus schema > gyrus.schema.json, and begin the YAML with this line:

    \b
    # yaml-language-server: $schema=gyrus.schema.json
    """
    if cluster:
        from gyrus.cluster.aws.schema import cluster_schema

        print_json(cluster_schema())
        return
    from gyrus.spec.schema import json_schema

    print_json(json_schema())
