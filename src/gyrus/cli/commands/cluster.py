"""The command ``gyrus cluster``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrus.cli.aws.configure import configure
from gyrus.cli.aws.down import down
from gyrus.cli.aws.inspection import check_cluster, optional_file_option, show_cluster
from gyrus.cli.aws.token import token
from gyrus.cli.aws.up import up
from gyrus.cli.cluster import (
    cluster_options,
    environment_name,
    forget_operator,
    pass_cluster_session,
    reachable_url,
    remember_operator,
    with_cluster,
)
from gyrus.cli.cluster_export import export
from gyrus.cli.cluster_template import template
from gyrus.cli.cluster_yaml import init, validate
from gyrus.cli.failures import CommandFailure, WrongInput, specification_failure
from gyrus.cli.output import (
    bold,
    counted,
    print_json,
    print_note,
    print_result,
    table,
    warning,
)
from gyrus.cli.overview import overview_data
from gyrus.cli.prompts import confirm
from gyrus.cli.session import CliSession, Command, global_options
from gyrus.client.connections import is_safe, refusal
from gyrus.client.environments import ClusterPlace, Environments
from gyrus.contract import cluster as names

if TYPE_CHECKING:
    from gyrus.cluster.changes import ObjectChange
    from gyrus.cluster.health import PartHealth, PartProblem
    from gyrus.cluster.manifests.objects import Installation
    from gyrus.cluster.overview import Overview
    from gyrus.kubernetes.client import ClusterClient

TIMEOUT = 300
"""Seconds to wait until an installation is ready, by default."""


@click.group("cluster", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Install gyrus on a Kubernetes cluster that a kubeconfig names, and look after it."""


command.params += global_options()
command.add_command(init)
command.add_command(validate)
for each in (up, configure, down, token, export):
    command.add_command(each)
command.add_command(template)


@command.command("install", cls=Command)
@cluster_options
@click.option(
    "--values", type=click.Path(path_type=Path), help="A YAML file with settings of the installation."
)
@click.option("--dry-run", is_flag=True, help="Print the manifests, and change nothing.")
@click.option("--force", is_flag=True, help="Take over fields that another manager of the objects owns.")
@click.option("--wait/--no-wait", default=True, help="Wait until operator and gateways are ready.")
@click.option(
    "--timeout", type=click.IntRange(1), default=TIMEOUT, show_default=True, help="Seconds to wait."
)
@click.option(
    "--operator-url", help="URL at which this machine reaches the operator (default: its Service's)."
)
@pass_cluster_session
def install(
    session: CliSession,
    context: str | None,
    namespace: str,
    values: Path | None,
    dry_run: bool,
    force: bool,
    wait: bool,
    timeout: int,
    operator_url: str | None,
) -> None:
    """Install gyrus, or change or upgrade an installation in place.

    A second run changes nothing. With --dry-run, the cluster is asked for its API versions only if --context
    is given; Secrets are left out.
    """
    wanted = _installation(namespace, values)
    _check_url(operator_url)
    if dry_run:
        _print_manifests(session, context, wanted)
        return
    changes, found, context = with_cluster(
        context, lambda client: _install(client, wanted, force, timeout if wait else None)
    )
    name = url = None
    if operator_url or not found.operator.missing:
        name, url = _remember(session, context, found, operator_url)
    _show_installed(session, name, url, found, changes)


@command.command("connect", cls=Command)
@cluster_options
@click.option(
    "--operator-url", help="URL at which this machine reaches the operator (default: its Service's)."
)
@pass_cluster_session
def connect(session: CliSession, context: str | None, namespace: str, operator_url: str | None) -> None:
    """Add the operator of an installation to the command line, for example of one by Helm."""
    _check_url(operator_url)
    found, _, context = with_cluster(context, lambda client: _overview(client, namespace))
    name, url = _remember(session, context, found, operator_url)
    if session.json:
        print_json({"environment": name, "url": url})
        return
    print_result(f"{name} is {url}. Use it once with -e {name}, or by default with: gyrus env use {name}")


@command.command("info", cls=Command)
@cluster_options
@optional_file_option
@pass_cluster_session
def info(session: CliSession, context: str | None, namespace: str, file: Path | None) -> None:
    """Show an installation: its addresses, its version, its parts.

    With -f, show a cluster on AWS: also its stacks, its nodes and their use, and its price. Its file names
    the namespace.
    """
    if file is not None:
        show_cluster(session, file, context)
        return
    found, address, name = with_cluster(context, lambda client: _overview(client, namespace))
    if session.json:
        print_json(overview_data(found) | {"context": name, "cluster": address})
        return
    print_result(
        table(
            ("", ""),
            [
                ("Context", name),
                ("Cluster", address),
                ("Namespace", found.namespace),
                ("Version", found.version),
                ("Operator", found.operator.missing or found.operator.url("https")),
                ("Gateways", found.gateway.missing or found.gateway.endpoints),
                ("Environment", _environment(session, environment_name(name, namespace))),
            ],
        ).lstrip("\n")
    )
    for part in found.parts:
        print_result(str(part))


@command.command("health", cls=Command)
@cluster_options
@optional_file_option
@pass_cluster_session
def health(session: CliSession, context: str | None, namespace: str, file: Path | None) -> None:
    """Check an installation. The exit code is 1 if something is not as it should be.

    With -f, check a cluster on AWS: a line for each part, with its remedy. Its file names the namespace.
    """
    if file is not None:
        check_cluster(session, file, context)
        return
    found, _, _ = with_cluster(context, lambda client: _overview(client, namespace))
    now = datetime.now(UTC)
    warnings, problems = found.warnings(now), found.problems(now)
    if session.json:
        print_json(
            overview_data(found)
            | {"problems": [_problem_line(each) for each in problems], "warnings": warnings}
        )
    else:
        for part in found.parts:
            print_result(str(part))
    for each in warnings:
        print_note(warning(each))
    if not found.healthy(now):
        lines = [_problem_line(part.problem, f"{part.name}: ") for part in found.parts if part.problem]
        lines += [_problem_line(problem) for problem in problems]
        raise CommandFailure(
            f"The installation in {namespace} is not healthy.",
            details="\n".join(lines),
            remedy=f"See: kubectl get pods --namespace {namespace}",
        )


@command.command("uninstall", cls=Command)
@cluster_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
@click.option(
    "--timeout", type=click.IntRange(1), default=TIMEOUT, show_default=True, help="Seconds to wait."
)
@pass_cluster_session
def uninstall(session: CliSession, context: str | None, namespace: str, yes: bool, timeout: int) -> None:
    """Remove gyrus from a cluster, with its APIs and its state."""
    apis, name = with_cluster(context, lambda client: _running_apis(client, namespace))
    lost = f"its state and all its APIs ({counted(apis, 'API')} with replicas)"
    question = f"Remove gyrus from the namespace {namespace} of {name}, with {lost}?"
    confirm(question, yes=yes)
    changes = with_cluster(context, lambda client: _uninstall(client, namespace, timeout))
    forgotten = forget_operator(session.home, environment_name(name, namespace))
    if session.json:
        print_json({"changes": [_change_data(change) for change in changes]})
        return
    print_result(f"gyrus is removed from the namespace {namespace} of {name}.")
    if forgotten:
        print_result(f"The environment {environment_name(name, namespace)} is removed, too.")


def _environment(session: CliSession, name: str) -> str:
    """Return the environment's name, and how to add it if it is missing."""
    known = name in Environments.load(session.home).entries
    return name if known else f"{name}, which is not added yet; add it with: gyrus cluster connect"


def _problem_line(problem: PartProblem, begin: str = "") -> str:
    return f"{begin}{problem.message}. {problem.remedy}".rstrip()


def _check_url(operator_url: str | None) -> None:
    if operator_url is not None and not is_safe(operator_url):
        raise WrongInput(
            refusal(operator_url), remedy="Write an https:// URL: --operator-url https://HOST:PORT"
        )


def _remember(
    session: CliSession, context: str, found: Overview, operator_url: str | None
) -> tuple[str, str]:
    """Add the operator to the environments. Returns the environment's name and its URL.

    Raises CommandFailure.
    """
    if found.credentials is None:
        message = "The installation has lost its Secrets with the token and the certificate."
        raise CommandFailure(message, remedy=found.repair)
    if not operator_url and found.operator.missing:
        message = f"The operator has no address yet: {found.operator.missing}."
        raise CommandFailure(message, remedy=found.address_remedy(names.OPERATOR))
    place = ClusterPlace(context, found.namespace)
    url = reachable_url(session.home, place, found.operator, operator_url)
    return remember_operator(session.home, place, url, found.credentials), url


def _installation(namespace: str, values: Path | None) -> Installation:
    """Return the installation that the options ask for. Raises WrongInput."""
    from gyrus.cluster.manifests.objects import Installation
    from gyrus.spec.faults import SpecError

    if values is None:
        return Installation(namespace)
    from gyrus.cluster.values import load_values

    try:
        return Installation(namespace, load_values(values))
    except SpecError as error:
        raise specification_failure(error, f"The values file {values}") from error


def _print_manifests(session: CliSession, context: str | None, wanted: Installation) -> None:
    from gyrus.cluster.install import adapted
    from gyrus.cluster.manifests.installation import foundations, platform, services
    from gyrus.cluster.secrets import SECRETS

    if context is not None:
        wanted = with_cluster(context, lambda client: adapted(client, wanted))
    manifests = [*foundations(wanted), *services(wanted), *platform(wanted)]
    if session.json:
        print_json(manifests)
        return
    import yaml

    print_result(
        f"# gyrus in the namespace {wanted.namespace}. The Secrets are left out, since they contain keys:\n"
        f"# {', '.join(SECRETS)}.\n# gyrus cluster install creates those that are missing."
    )
    print_result(yaml.safe_dump_all(manifests, sort_keys=False, explicit_start=True).rstrip())


async def _install(
    client: ClusterClient, wanted: Installation, force: bool, timeout: float | None
) -> tuple[list[ObjectChange], Overview, str]:
    from gyrus.aio.clock import SystemClock
    from gyrus.cluster.install import Installer
    from gyrus.cluster.overview import overview
    from gyrus.cluster.waiting import until_healthy

    changes: list[ObjectChange] = []

    def report(change: ObjectChange) -> None:
        changes.append(change)
        print_note(str(change))

    await Installer(client, report, force).install(wanted, datetime.now(UTC))
    if timeout is not None:
        await until_healthy(
            client, wanted.namespace, report=_report_part, timeout=timeout, clock=SystemClock()
        )
    return changes, await overview(client, wanted.namespace), client.context


def _report_part(part: PartHealth) -> None:
    print_note(str(part))


async def _overview(client: ClusterClient, namespace: str) -> tuple[Overview, str, str]:
    from gyrus.cluster.overview import overview

    return await overview(client, namespace), client.address, client.context


async def _running_apis(client: ClusterClient, namespace: str) -> tuple[int, str]:
    from gyrus.cluster.manifests.objects import Installation
    from gyrus.cluster.uninstall import running_apis

    return await running_apis(client, Installation(namespace)), client.context


async def _uninstall(client: ClusterClient, namespace: str, timeout: float) -> list[ObjectChange]:
    from gyrus.aio.clock import SystemClock
    from gyrus.cluster.manifests.objects import Installation
    from gyrus.cluster.uninstall import Uninstaller
    from gyrus.cluster.waiting import UntilGone

    changes: list[ObjectChange] = []

    def report(change: ObjectChange) -> None:
        changes.append(change)
        print_note(str(change))

    until_gone = UntilGone(client, SystemClock(), timeout)
    print_note("Pods and the namespace take a while to end")
    await Uninstaller(client, report, until_gone).uninstall(Installation(namespace))
    return changes


def _show_installed(
    session: CliSession,
    name: str | None,
    url: str | None,
    found: Overview,
    changes: list[ObjectChange],
) -> None:
    if session.json:
        print_json(
            overview_data(found)
            | {"environment": name, "changes": [_change_data(change) for change in changes]}
        )
        return
    changed = sum(change.outcome not in ("unchanged", "kept") for change in changes)
    what = f"{counted(changed, 'object')} changed" if changed else "nothing changed"
    print_result(f"gyrus {found.version} is installed in the namespace {found.namespace}: {what}.")
    print_result(f"  APIs:     {found.gateway.missing or found.gateway.endpoints + '/NAME'}")
    print_result(f"  Operator: {url or found.operator.missing}")
    if name is None:
        print_note(warning("Once the operator has an address, add it with: gyrus cluster connect"))
        return
    print_result(f"Deploy with: gyrus -e {bold(name)} deploy, or by default after: gyrus env use {name}")
    if not found.operator.outside and url == found.operator.url("https"):
        print_note(
            warning(
                "The operator's address is reachable inside the cluster only. Give this machine another one "
                "with --operator-url, or set operator.api.service in a values file."
            )
        )


def _change_data(change: ObjectChange) -> dict[str, Any]:
    return {
        "outcome": change.outcome,
        "kind": change.kind,
        "name": change.name,
        "namespace": change.namespace,
        "note": change.note,
    }
