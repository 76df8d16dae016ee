"""One run of the command line: its operator, its output format, and the options for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from gyrus.contract.home import Home

if TYPE_CHECKING:
    from gyrus.client.client import Client

P = ParamSpec("P")
R = TypeVar("R")

FORMATS = ("pretty", "json")


@dataclass(slots=True)
class CliSession:
    """The global options and the command's one client."""

    environment: str | None = None
    """As given; None means ``$GYRUS_ENV``, or the environment in use."""
    output: str = "pretty"
    home: Home = field(default_factory=Home.default)
    _client: Client | None = None

    @property
    def json(self) -> bool:
        return self.output == "json"

    def chosen(self) -> str:
        """Return the environment's name. Raises UnknownEnvironment and BadEnvironments."""
        from gyrus.client.environments import Environments

        return Environments.load(self.home).choose(self.environment)

    def names_another_operator(self) -> bool:
        """Return True if the option ``-e`` names an operator other than this machine's.

        Raises UnknownEnvironment and BadEnvironments.
        """
        from gyrus.client.environments import LOCAL

        return self.environment is not None and self.chosen() != LOCAL

    def client(self) -> Client:
        """Return the client; the first call creates it. Raises what :class:`gyrus.client.Client` raises."""
        from gyrus.client.client import Client

        if self._client is None:
            self._client = Client(self.environment)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def current_session(context: click.Context) -> CliSession:
    return context.find_root().ensure_object(CliSession)


def pass_session(command: Callable[Concatenate[CliSession, P], R]) -> Callable[P, R]:
    """Pass the session to a command as its first argument."""

    def with_session(*args: P.args, **kwargs: P.kwargs) -> R:
        return command(current_session(click.get_current_context()), *args, **kwargs)

    return update_wrapper(with_session, command)


class Command(click.Command):
    """A command that also takes the global options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_options()
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])


def global_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["-e", "--env"], metavar="NAME", expose_value=False, callback=_set_environment,
            shell_complete=_complete_environment, help="Operator to use.",
        ),
        click.Option(
            ["-o", "--output"], type=click.Choice(FORMATS), expose_value=False, callback=_set_output,
            help="Output format.",
        ),
    ]  # fmt: skip


def api_name(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add the NAME argument; the shell completes it with the names of the APIs."""
    metavar = "NAME" if options.get("required", True) else "[NAME]"
    if options.get("nargs") == -1:
        metavar += "..."
    return click.argument("name", metavar=metavar, shell_complete=_complete_api, **options)


def _set_environment(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        current_session(context).environment = value


def _set_output(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        current_session(context).output = value


def _complete_environment(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    from gyrus.client.environments import Environments
    from gyrus.client.errors import ClientError

    try:
        return [name for name in Environments.load(Home.default()).names() if name.startswith(typed)]
    except ClientError:
        return []


def _complete_api(context: click.Context, _: click.Parameter, typed: str) -> list[str]:
    from gyrus.client.errors import ClientError

    try:
        apis = current_session(context).client().apis()
    except ClientError:
        return []
    return [api.name for api in apis if api.name.startswith(typed)]
