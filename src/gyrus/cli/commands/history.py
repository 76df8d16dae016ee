"""The command ``gyrus history``."""

from __future__ import annotations

import click

from gyrus.cli.apis import first_line
from gyrus.cli.output import age, dim, outcome_styled, print_json, print_result, table
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.contract.operator import RevisionView
from gyrus.contract.visible import shown

HEADERS = ("REVISION", "CREATED", "FILES", "LATEST ROLLOUT", "BY", "")


@click.command("history", cls=Command)
@api_name()
@pass_session
def command(session: CliSession, name: str) -> None:
    """List the revisions of the API named NAME, newest first."""
    revisions = session.client().history(name)
    if session.json:
        print_json(revisions)
    else:
        print_result(table(HEADERS, [_row(revision) for revision in shown(revisions)]))


def _row(revision: RevisionView) -> tuple[str, ...]:
    live = " (live)" if revision.live else ""
    files = revision.package[:12] if revision.package else "-"
    return (f"{revision.number}{live}", f"{age(revision.created_at)} ago", files, *_latest_rollout(revision))


def _latest_rollout(revision: RevisionView) -> tuple[str, str, str]:
    latest = max(revision.rollouts, key=lambda rollout: rollout.generation, default=None)
    if latest is None:
        return "-", "-", dim(revision.fault)
    headline = f"{latest.cause}: {outcome_styled(latest.outcome)}, {age(latest.started_at)} ago"
    return headline, latest.started_by or "-", dim(revision.fault or first_line(latest.message))
