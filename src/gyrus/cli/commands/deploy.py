"""The command ``gyrus deploy``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.apis import first_line
from gyrus.cli.durations import DurationType
from gyrus.cli.output import bold, print_json, print_note, print_result, status_styled
from gyrus.cli.progress import Awaited, await_rollouts
from gyrus.cli.prompts import confirm
from gyrus.cli.sample_file import SAMPLE, usable_samples
from gyrus.cli.session import CliSession, Command, pass_session
from gyrus.cli.spinner import Spinner
from gyrus.contract.operator import Status

if TYPE_CHECKING:
    from gyrus.cli.example_request import ExampleRequest
    from gyrus.client.client import Client
    from gyrus.client.project import Project
    from gyrus.client.rollout import RolloutProgress
    from gyrus.contract.operator import ApiView, Deployed

SUGGESTED = 4
"""The most APIs for which a deploy shows commands."""
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
    from gyrus.cli.left_out import warn
    from gyrus.client.project import Project

    begun = time.monotonic()
    with Project.read(path, _largest_package(session)) as project:
        warn(project.left_out)
        samples = usable_samples(project.specs, project.file.parent)
        ensure_platform(session)
        client = session.client()
        _ask_about_kinds(client, project, yes)
        _note_costs(client, project)
        deployed = _send(client, project)
    awaited = await_rollouts(client, deployed, timeout) if wait else None
    apis = {each.name: each for each in client.apis()}
    seconds = time.monotonic() - begun
    if session.json:
        print_json([apis[each.name] for each in deployed if each.name in apis])
    else:
        _show(apis, deployed, awaited, seconds)
    if awaited is None:
        return
    awaited.check(project.left_out)
    if not session.json:
        present = [apis[each.name] for each in deployed if each.name in apis]
        _suggest(client, project, present[:SUGGESTED], samples)


def _show(
    apis: Mapping[str, ApiView], deployed: Iterable[Deployed], awaited: Awaited | None, seconds: float
) -> None:
    """Print the state of each API, besides those whose failure is shown and those that are gone."""
    for each in deployed:
        if (awaited and each.name in awaited.failed) or each.name not in apis:
            continue
        pending = awaited.pending.get(each.name) if awaited else None
        api = apis[each.name]
        if pending and awaited and awaited.time_is_up and api.status is not Status.LIVE:
            print_result(_unfinished(api, pending))
        else:
            print_result(_outcome(api, each, seconds, wait=awaited is not None))


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


def _note_costs(client: Client, project: Project) -> None:
    """Print what the APIs may cost, if machines have prices."""
    from gyrus.cli.costs import possible_costs
    from gyrus.spec.load import check

    rates = client.costs().rates
    if rates is not None:
        for line in possible_costs(check(project.specs, project.file.name), rates):
            print_note(line)


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


def _unfinished(api: ApiView, progress: RolloutProgress) -> str:
    """Describe an API whose rollout continues: what it does now, and the revision that serves meanwhile."""
    from gyrus.client.rollout import serving

    before = serving(progress.description) if progress.description else None
    serves = "" if before is None else f"\n  revision {before} serves meanwhile: {api.endpoint}"
    reason = first_line(api.message)
    state = f"{status_styled(api.status)}, not live yet (revision {api.revision})"
    return f"{bold(api.name)} is {state}" + (f": {reason}" if reason else "") + serves


def _present(api: ApiView) -> str:
    """Describe the state of an API that the deploy did not change, as the end of a sentence."""
    match api.status:
        case Status.LIVE | Status.IDLE:
            return f"and {status_styled(api.status)}"
        case Status.CREATING | Status.UPDATING:
            return f"and its replicas are still starting: {first_line(api.message)}".removesuffix(": ")
        case _:
            return f"but {status_styled(api.status)}: {first_line(api.message)}"


def _suggest(client: Client, project: Project, apis: Sequence[ApiView], samples: Mapping[str, Path]) -> None:
    """Print commands to paste."""
    from gyrus.cli.try_it import suggestion

    own = f"{{}}.{SAMPLE}" if len(project.specs) > 1 else SAMPLE
    suggested = [
        suggestion(
            api.name, api.endpoint, request, samples.get(api.name), project.file.parent / own.format(api.name)
        )
        for api in apis
        if (request := _example_request(client, project, api, api.name in samples))
    ]
    if suggested:
        print_note("\nTry it:")
    for command in (command for each in suggested for command in each.commands):
        print_note(f"  {command}")
    for note in (each.note for each in suggested if each.note):
        print_note(note)


def _example_request(
    client: Client, project: Project, api: ApiView, has_sample: bool
) -> ExampleRequest | None:
    """Return a request for the API. Returns None if no request is known to reach what it runs."""
    from gyrus.cli.example_request import ExampleRequest, request_of
    from gyrus.client.errors import ClientError

    if not api.replicas.ready:  # an idle API cannot describe its payload, and is not woken for that
        return ExampleRequest() if has_sample and api.status is Status.IDLE else None
    try:
        described = request_of(client.openapi(api.name))
    except ClientError:
        described = None
    handler = next(spec.get("handler") for spec in project.specs if spec["name"] == api.name)
    return described or (ExampleRequest() if handler or has_sample else None)
