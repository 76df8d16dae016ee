"""The command ``gyrus schema``."""

from __future__ import annotations

import click

from gyrus.cli.output import print_json
from gyrus.cli.session import Command


@click.command("schema", cls=Command)
def command() -> None:
    """Print the JSON Schema of the YAML, for editors.

    For example, run gyrus schema > gyrus.schema.json, and begin the YAML with this line:

    \b
    # yaml-language-server: $schema=gyrus.schema.json
    """
    from gyrus.spec.schema import json_schema

    print_json(json_schema())
