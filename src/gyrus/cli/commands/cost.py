"""The command ``gyrus cost``."""

from __future__ import annotations

import click

from gyrus.cli.costs import cost_of, drawn_cost, drawn_costs
from gyrus.cli.failures import CommandFailure
from gyrus.cli.output import print_json, print_result
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.contract.visible import shown


@click.command("cost", cls=Command)
@api_name(required=False)
@pass_session
def command(session: CliSession, name: str | None) -> None:
    """Show what the APIs cost: so far, per hour, per 1,000 requests, and for the whole month.

    With NAME, show the costs of this API alone.
    """
    client = session.client()
    if name is not None:
        client.api(name)  # fails if the name is unknown
    costs = client.costs()
    if not costs.known:
        raise CommandFailure("The costs are unknown: no machine has a price.", remedy=costs.remedy)
    api = None if name is None else cost_of(name, costs)
    if session.json:
        print_json(api or costs)
    else:
        costs = shown(costs)
        print_result(drawn_cost(shown(api), costs) if api else drawn_costs(costs))
