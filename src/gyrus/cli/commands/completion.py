"""The command ``gyrus completion``."""

from __future__ import annotations

import click

from gyrus.cli.entry import COMPLETION, root
from gyrus.cli.output import print_result
from gyrus.cli.session import Command

SHELLS = ("bash", "zsh", "fish", "powershell")


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a shell's completion script: commands, options and the names of APIs.

    \b
    bash:        eval "$(gyrus completion bash)"                in ~/.bashrc
    zsh:         eval "$(gyrus completion zsh)"                 in ~/.zshrc
    fish:        gyrus completion fish | source                 in ~/.config/fish/config.fish
    powershell:  gyrus completion powershell | Out-String | Invoke-Expression
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    print_result(kind(root, {}, "gyrus", COMPLETION).source())
