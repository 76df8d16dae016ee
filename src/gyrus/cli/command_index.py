"""The commands: their modules, and what the overview says of them. Imports nothing."""

SECTIONS: dict[str, dict[str, str]] = {
    "This machine's platform": {
        "up": "Start it",
        "down": "Stop it; what is deployed stays wanted",
    },
    "APIs": {
        "deploy": "Deploy what a YAML file says, and wait until it is live",
        "get": "List the APIs, or show one",
        "describe": "Everything about one API: replicas, reasons, scaling, events, traffic",
        "events": "What happened to an API: deploys, scaling, failures",
        "predict": "Send a request to an API and print its answer",
        "replay": "Send an API the requests of a traffic trace, at their times",
        "logs": "What the replicas of an API printed",
        "rollback": "Go back to an earlier revision",
        "refresh": "Replace an API's replicas without downtime",
        "history": "The revisions of an API",
        "delete": "Drain and remove an API",
    },
    "Projects": {
        "init": "Write a small project that can be deployed at once",
        "validate": "Check a YAML file without deploying it",
        "simulate": "Rehearse a traffic trace against the settings, in virtual time",
        "schema": "Print the JSON Schema of the YAML, for editors",
    },
    "This command": {
        "env": "The operators that this command knows: list, add, use, remove",
        "completion": "Print a shell's completion script",
        "version": "The versions of this command and of the operator",
    },
}

NAMES: tuple[str, ...] = tuple(name for section in SECTIONS.values() for name in section)


def module(name: str) -> str:
    return f"gyrus.cli.commands.{name}"


def overview() -> str:
    """What ``gyrus --help`` prints."""
    lines = [
        "Usage: gyrus [OPTIONS] COMMAND [ARGS]...",
        "",
        "  Machine-learning models as production APIs.",
        "",
        "  Begin with:  gyrus init iris && gyrus deploy iris",
    ]
    for title, commands in SECTIONS.items():
        lines += ["", f"{title}:", *(f"  {name:<11} {text}" for name, text in commands.items())]
    lines += [
        "",
        "Options (before or after the command):",
        "  -e, --env NAME             The operator to talk to; default: $GYRUS_ENV, or the one in use",
        "  -o, --output pretty|json   What stdout gets",
        "  --version                  Print the version",
        "  -h, --help                 Print this, or a command's help after its name",
    ]
    return "\n".join(lines)
