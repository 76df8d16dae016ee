"""One run from arguments to exit code. A command's module is imported only when the command is named."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import click

from gyrus import __version__
from gyrus.cli import command_index
from gyrus.cli.session import CliSession, global_options
from gyrus.cli.suggestions import nearest

COMPLETION = "_GYRUS_COMPLETE"


class Commands(click.Group):
    """All commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(command_index.NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in command_index.NAMES:
            return None
        return importlib.import_module(command_index.module(cmd_name)).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in command_index.NAMES and not ctx.resilient_parsing:
            raise click.UsageError(f"There is no command {name!r}.{nearest(name, command_index.NAMES)}", ctx)
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        return command_index.overview()


root = Commands(
    "gyrus",
    params=[*global_options()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, prog_name="gyrus", message="%(prog)s %(version)s")(root)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # print "?" for characters that the encoding lacks
            stream.reconfigure(errors="replace")
    if COMPLETION in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "gyrus", COMPLETION, os.environ[COMPLETION])
    session = CliSession()
    try:
        with root.make_context("gyrus", list(arguments), obj=session) as context:
            root.invoke(context)
        sys.stdout.flush()
    except BaseException as fault:
        from gyrus.cli.failures import report

        return report(fault, session, arguments)
    finally:
        session.close()
    return 0
