"""The command ``gyrus cluster template``: templates and policies of a cluster, without AWS."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from gyrus.cli.aws.account import file_option
from gyrus.cli.failures import CommandFailure, WrongInput, specification_failure
from gyrus.cli.output import print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.cluster.aws.cluster_spec import ClusterSpec

FOLDER = Path("templates")
BASE = "base.json"
WITH_NODES = "base-with-nodes.json"
"""The base stack when nodes run: with the add-ons that need one."""


@click.command("template", cls=Command)
@file_option
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Folder for the templates (default: templates)."
)
@click.option("--group", help="Print the template of this node group, and write nothing.")
@click.option("--policies", is_flag=True, help="Print the IAM policies, and write nothing.")
@click.option("--account", help="The AWS account that policies name (default: any).")
@pass_session
def template(
    session: CliSession,
    file: Path,
    folder: Path | None,
    group: str | None,
    policies: bool,
    account: str | None,
) -> None:
    """Write the CloudFormation templates of a cluster, without AWS.

    The folder gets base.json, group-NAME.json for each node group, and base-with-nodes.json, with which the
    base stack is updated when nodes run. With -o json, they are printed, and nothing is written.
    """
    _check_options(folder, group, policies, account)
    spec = _load(file)
    if policies:
        from gyrus.cluster.aws.policies.documents import policy_documents

        print_json(policy_documents(spec, account or "*"))
    elif group is not None:
        print_json(_templates(spec)[_group_file(_known_group(spec, group, file))])
    elif session.json:
        print_json(_templates(spec))
    else:
        _write(spec, folder or FOLDER)


def _check_options(folder: Path | None, group: str | None, policies: bool, account: str | None) -> None:
    """Check that the options fit together. Raises WrongInput."""
    choices = {"--folder": folder, "--group": group, "--policies": policies}
    given = [name for name, chosen in choices.items() if chosen]
    if len(given) > 1:
        raise WrongInput(f"{' and '.join(given)} exclude each other.", remedy="Choose one of them.")
    if account is None:
        return
    if not policies:
        raise WrongInput("--account has no effect on templates.", remedy="Write --policies, or leave it out.")
    if not re.fullmatch(r"\d{12}", account, re.ASCII):
        raise WrongInput(
            f'"{account}" is not an AWS account.', remedy="Write its 12 digits, for example 123456789012."
        )


def _load(file: Path) -> ClusterSpec:
    from gyrus.cluster.aws.cluster_file import load_cluster
    from gyrus.spec.faults import SpecError

    try:
        return load_cluster(file)
    except SpecError as error:
        raise specification_failure(error, str(file)) from error


def _known_group(spec: ClusterSpec, name: str, file: Path) -> str:
    """Return the name of a node group. Raises WrongInput if there is none of this name."""
    from gyrus.spec.faults import nearest

    known = [group.name for group in spec.node_groups]
    if name in known:
        return name
    close = nearest(name, known)
    remedy = f'Did you mean "{close}"?' if close else f"Choose one of: {', '.join(known)}"
    raise WrongInput(f'{file} has no node group "{name}".', remedy=remedy)


def _templates(spec: ClusterSpec) -> dict[str, dict[str, Any]]:
    """Return the templates by the names of their files."""
    from gyrus.cluster.aws.templates.account_facts import AccountFacts
    from gyrus.cluster.aws.templates.base_stack import render_base
    from gyrus.cluster.aws.templates.group_stack import render_group

    groups = {_group_file(group.name): render_group(spec, group) for group in spec.node_groups}
    with_nodes = render_base(spec, AccountFacts(nodes_exist=True))
    return {BASE: render_base(spec), **groups, WITH_NODES: with_nodes}


def _group_file(group: str) -> str:
    return f"group-{group}.json"


def _write(spec: ClusterSpec, folder: Path) -> None:
    """Write the templates, and print how to apply them. Raises CommandFailure."""
    from gyrus.cluster.aws.resource_names import base_stack
    from gyrus.cluster.aws.templates.document import rendered

    for name, found in _templates(spec).items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(rendered(found), "utf-8")
        except OSError as error:
            raise CommandFailure(f"{path} cannot be written: {error.strerror}.") from error
        print_result(str(path))
    print_note(
        f"\nApply {BASE} first:  aws cloudformation deploy --region {spec.region} --capabilities "
        f"CAPABILITY_NAMED_IAM --stack-name {base_stack(spec.cluster_name)} "
        f"--template-file {quote(str(folder / BASE))}"
    )
