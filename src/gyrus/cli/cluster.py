"""Parts that the commands of ``gyrus cluster`` share: connection, failures, the operator's environment."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.cli.session import CliSession, pass_session
from gyrus.client.environments import LOCAL, ClusterPlace, EnvironmentEntry, Environments
from gyrus.contract import cluster as names
from gyrus.contract.home import Home

if TYPE_CHECKING:
    from gyrus.cluster.addresses import ServiceAddress
    from gyrus.cluster.overview import Credentials
    from gyrus.kubernetes.client import ClusterClient

P = ParamSpec("P")
R = TypeVar("R")


def cluster_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that choose a cluster and an installation in it."""
    context = click.option("--context", help="Context of the kubeconfig (default: the current one).")
    namespace = click.option(
        "--namespace", default=names.NAMESPACE, show_default=True, callback=_checked_namespace,
        help="Namespace of the installation.",
    )  # fmt: skip
    return context(namespace(command))


def pass_cluster_session(command: Callable[Concatenate[CliSession, P], R]) -> Callable[P, R]:
    """Pass the session to a command that acts on a cluster, and refuse the option --env."""

    def checked(session: CliSession, *args: P.args, **kwargs: P.kwargs) -> R:
        if session.environment is not None:
            entry = Environments.load(session.home).entries.get(session.environment)
            options = entry.cluster.options if entry and entry.cluster else "--context NAME"
            raise WrongInput(
                "gyrus cluster acts on the cluster of a kubeconfig's context, not on an environment.",
                remedy=f"Write {options} instead of -e {session.environment}.",
            )
        return command(session, *args, **kwargs)

    return pass_session(update_wrapper(checked, command))


def with_cluster(context: str | None, act: Callable[[ClusterClient], Awaitable[R]]) -> R:
    """Connect to the cluster of a context, act on it, and disconnect. Raises CommandFailure."""
    from gyrus.kubernetes.client import ClusterClient
    from gyrus.kubernetes.configuration import from_kubeconfig

    async def connected() -> R:
        async with ClusterClient(from_kubeconfig(context)) as client:
            return await act(client)

    with cluster_failures():
        return asyncio.run(connected())


@contextmanager
def cluster_failures() -> Generator[None]:
    """Turn the errors of a cluster into failures of the command."""
    from gyrus.cluster.errors import ClusterError
    from gyrus.kubernetes.errors import KubernetesError, NoConfiguration

    try:
        yield
    except NoConfiguration as error:
        raise WrongInput(f"{error}.") from error
    except KubernetesError as error:
        raise CommandFailure(f"{str(error).removesuffix('.')}.") from error
    except ClusterError as error:
        raise CommandFailure(error.message, details="\n".join(error.details), remedy=error.remedy) from error
    except BaseExceptionGroup as group:  # of a TaskGroup whose tasks met the same failure
        with cluster_failures():
            raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- of any type


def environment_name(context: str, namespace: str) -> str:
    """Return the name of the environment for the operator of an installation.

    >>> environment_name("staging", "gyrus"), environment_name("staging", "team-a")
    ('staging', 'staging-team-a')
    """
    name = context if namespace == names.NAMESPACE else f"{context}-{namespace}"
    return f"{name}-cluster" if name == LOCAL else name


def remember_operator(home: Home, place: ClusterPlace, url: str, credentials: Credentials) -> str:
    """Add an operator's environment, with its token and the authorities to trust, and return its name.

    Raises BadEnvironments.
    """
    name = environment_name(place.context, place.namespace)
    authority, endpoint_authority = _authority_files(home, name)
    entry = EnvironmentEntry(
        url=url,
        token=credentials.token,
        authority=str(authority),
        endpoint_authority=str(endpoint_authority) if credentials.endpoint_authority else None,
        cluster=place,
    )
    Environments.load(home).added(name, entry).save(home)
    authority.parent.mkdir(mode=0o700, exist_ok=True)
    _write(authority, credentials.authority)
    if credentials.endpoint_authority:
        _write(endpoint_authority, credentials.endpoint_authority)
    return name


def reachable_url(home: Home, place: ClusterPlace, operator: ServiceAddress, given: str | None) -> str:
    """Return the URL at which this machine reaches the operator.

    That is the given one, else that of its Service. A Service that is reached inside the cluster only does
    not replace the URL of a tunnel that an earlier command was given. Raises BadEnvironments.
    """
    if given or operator.outside:
        return given or operator.url("https")
    known = Environments.load(home).entries.get(environment_name(place.context, place.namespace))
    return known.url if known else operator.url("https")


def forget_operator(home: Home, name: str) -> bool:
    """Remove an operator's environment. Returns False if there was none. Raises BadEnvironments."""
    known = Environments.load(home)
    for file in _authority_files(home, name):
        file.unlink(missing_ok=True)
    if name not in known.entries:
        return False
    known.removed(name).save(home)
    return True


def _authority_files(home: Home, name: str) -> tuple[Path, Path]:
    """Return the files with the authorities of operator and endpoints."""
    folder = home.root.absolute() / "clusters"
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return folder / f"{stem}.crt", folder / f"{stem}.endpoints.crt"


def _write(file: Path, text: str) -> None:
    written = file.with_suffix(".new")
    with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    written.replace(file)


def _checked_namespace(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", value):
        raise click.BadParameter(
            f"{value!r} is not the name of a namespace: write lower-case letters, digits and -."
        )
    return value
