"""Questions to the user, on stderr, and only if the input is a terminal."""

from __future__ import annotations

import sys

import click

from gyrus.cli.failures import CommandFailure, WrongInput


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation.

    Raises WrongInput if the input is not a terminal. Raises CommandFailure if the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongInput(
            f"{question} The question cannot be asked: the input is not a terminal.",
            remedy="Add -y to continue without a confirmation.",
        )
    if not click.confirm(question, err=True):
        raise CommandFailure("Nothing was changed.")
