"""The command ``gyrus init``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from shlex import quote

import click

from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.cli.output import print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, pass_session

FILES = {
    "gyrus.yaml": "gyrus.yaml",
    "handler.py": "handler.py",
    "test_handler.template": "test_handler.py",
    "sample.json": "sample.json",
    "gyrusignore": ".gyrusignore",
}
"""The project's files, by their names in ``gyrus/cli/scaffold``."""


@click.command("init", cls=Command)
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@pass_session
def command(session: CliSession, folder: Path) -> None:
    """Write a small project that is ready to deploy.

    FOLDER is created if it does not exist (default: this folder). Existing files are never overwritten.
    """
    from gyrus.spec.words import suggest_name

    name = suggest_name(folder.absolute().name)
    contents = {target: _content(source, name) for source, target in FILES.items()}
    _check_free(folder)
    _write(folder, contents)
    if session.json:
        print_json({"name": name, "files": [str(folder / target) for target in contents]})
        return
    print_result("\n".join(str(folder / target) for target in contents))
    where = "" if folder == Path() else f" {quote(str(folder))}"
    sample = quote(f"@{folder / 'sample.json'}")
    print_note(f"\nDeploy it:  gyrus deploy{where}\nTry it:     gyrus predict {name} {sample}")


def _content(source: str, name: str) -> str:
    text = (files("gyrus.cli") / "scaffold" / source).read_text(encoding="utf-8")
    return text.replace("name: NAME", f"name: {name}")


def _check_free(folder: Path) -> None:
    """Check that none of the files exists. Raises WrongInput."""
    there = [target for target in FILES.values() if (folder / target).exists()]
    if there:
        raise WrongInput(
            f"{folder.absolute()} already has {', '.join(there)}, and gyrus init overwrites nothing.",
            remedy="Choose another folder: gyrus init FOLDER",
        )


def _write(folder: Path, contents: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, content in contents.items():
            with (folder / target).open("x", encoding="utf-8", newline="\n") as out:
                out.write(content)
    except OSError as fault:
        raise CommandFailure(
            f"The project cannot be written to {folder.absolute()}: {fault.strerror}."
        ) from fault
