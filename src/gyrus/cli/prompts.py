"""Questions to the user, on stderr, and only where somebody is there to answer."""

from __future__ import annotations

import sys

import click

from gyrus.cli.failures import CommandFailure, WrongInput


def confirm(question: str, *, yes: bool) -> None:
    """Raises WrongInput where nobody can be asked, Failure where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongInput(
            f"{question} Nobody is there to answer: the input is not a terminal.",
            remedy="Add -y to go ahead without being asked.",
        )
    if not click.confirm(question, err=True):
        raise CommandFailure("Nothing was changed.")
