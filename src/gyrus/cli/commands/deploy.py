"""The command ``gyrus deploy``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.apis import first_line
from gyrus.cli.durations import DurationType
from gyrus.cli.output import bold, print_json, print_note, print_result, status_styled
from gyrus.cli.progress import await_rollouts
from gyrus.cli.prompts import confirm
from gyrus.cli.session import CliSession, Command, pass_session
from gyrus.cli.spinner import Spinner
from gyrus.contract.operator import Status

if TYPE_CHECKING:
    from gyrus.client.client import Client
    from gyrus.client.project import Project
    from gyrus.contract.operator import ApiView, Deployed

LARGE = 8 * 1024 * 1024
"""Bytes; larger uploads show their progress."""


@click.command("deploy", cls=Command)
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--wait/--no-wait", default=True, help="Wait until the APIs are live (the default).")
@click.option("--timeout", type=DurationType(), metavar="DURATION", help="Longest wait: 90, 90s or 5m.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_session
def command(session: CliSession, path: Path, wait: bool, timeout: float | None, yes: bool) -> None:
    """Deploy the APIs of a YAML file.

    PATH is the file, or a folder with a gyrus.yaml (default: this folder). Deploying an unchanged API again
    changes nothing. If a new revision does not become live, the old one continues to serve.
    """
    from gyrus.client.project import Project

    begun = time.monotonic()
    with Project.read(path, _largest_package(session)) as project:
        ensure_platform(session)
        client = session.client()
        _ask_about_kinds(client, project, yes)
        deployed = _send(client, project)
    if wait:
        await_rollouts(client, deployed, timeout)
    apis = [client.api(each.name) for each in deployed]
    if session.json:
        print_json(apis)
        return
    for api, each in zip(apis, deployed, strict=True):
        print_result(_outcome(api, each, time.monotonic() - begun, wait=wait))
    if wait and apis[0].replicas.ready:  # an idle API cannot describe its payload, and is not woken for that
        _suggest(client, apis[0], path)


def _largest_package(session: CliSession) -> int:
    """Return the most bytes of a package that the operator takes. The local one need not run."""
    from gyrus.client.environments import LOCAL

    if session.chosen() != LOCAL:
        return session.client().info().max_package
    from gyrus.cli import local

    return local.remembered(session.home).max_package


def ensure_platform(session: CliSession) -> None:
    """Start the local platform if it is the chosen one and is down."""
    from gyrus.client.environments import LOCAL

    if session.chosen() != LOCAL:
        return
    from gyrus.cli import local

    if local.running(session.home) is None:
        print_note("Starting the local platform")
        local.start(session.home, local.remembered(session.home))


def _ask_about_kinds(client: Client, project: Project, yes: bool) -> None:
    there = {api.name: api.kind for api in client.apis()}
    for spec in project.specs:
        kind = there.get(spec["name"], spec["kind"])
        if kind != spec["kind"]:
            confirm(f"{spec['name']} is a {kind}. Replace it with a {spec['kind']}?", yes=yes)


def _send(client: Client, project: Project) -> list[Deployed]:
    if project.package.size < LARGE:
        return client.deploy(project)
    with Spinner("Uploading") as waiting:
        return client.deploy(
            project,
            on_upload=lambda sent, total: waiting.tick(f"Uploading {sent >> 20} of {total >> 20} MiB"),
        )


def _outcome(api: ApiView, deployed: Deployed, seconds: float, *, wait: bool) -> str:
    revision = f"revision {deployed.revision}"
    if not deployed.changed:
        state = f"unchanged ({revision}), {_present(api)}"
    elif wait:
        state = f"{status_styled(api.status)} ({revision}) after {seconds:.1f} s"
    else:
        state = f"deployed ({revision}); its rollout continues"
    return f"{bold(api.name)} is {state}\n  {api.endpoint}"


def _present(api: ApiView) -> str:
    """Describe the state of an API that the deploy did not change, as the end of a sentence."""
    match api.status:
        case Status.LIVE | Status.IDLE:
            return f"and {status_styled(api.status)}"
        case Status.CREATING | Status.UPDATING:
            return f"and its replicas are still starting: {first_line(api.message)}".removesuffix(": ")
        case _:
            return f"but {status_styled(api.status)}: {first_line(api.message)}"


def _suggest(client: Client, api: ApiView, path: Path) -> None:
    """Print commands to paste."""
    sample = (path if path.is_dir() else path.parent) / "sample.json"
    body = f"@{sample}" if sample.is_file() else _made_up(client, api)
    print_note("\nTry it:")
    print_note(f"  gyrus predict {api.name} {body}")
    print_note(f"  curl {api.endpoint} -H 'content-type: application/json' -d {body}")


def _made_up(client: Client, api: ApiView) -> str:
    """Return an example payload as one word for the shell."""
    import json
    import shlex

    from gyrus.cli.example_payload import payload_of
    from gyrus.client.errors import ClientError

    try:
        payload = payload_of(client.openapi(api.name))
    except (ClientError, AttributeError, TypeError, LookupError):  # the last three: not an OpenAPI document
        payload = {}
    return shlex.quote(json.dumps(payload))
