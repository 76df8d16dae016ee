"""The commands: their modules and their lines in the overview. Imports nothing."""

SECTIONS: dict[str, dict[str, str]] = {
    "This machine's platform": {
        "up": "Start it",
        "down": "Stop it; deployments come back on the next up",
    },
    "Kubernetes": {
        "cluster": "Install gyrus on a cluster, show it, check it, export its APIs, remove it",
        "package": "Upload or write the files of a project, for a manifest",
    },
    "APIs": {
        "deploy": "Deploy the APIs of a YAML file, and wait until they are live",
        "get": "List the APIs, or show one",
        "describe": "Show everything about an API: replicas, reasons, scaling, events, traffic",
        "cost": "Show what APIs cost: so far, per hour, per 1,000 requests, forecast",
        "events": "Show an API's events: deploys, scaling, failures",
        "predict": "Send a request to an API and print its answer",
        "replay": "Send the requests of a traffic trace to an API, at their times",
        "logs": "Show the output of an API's replicas",
        "rollback": "Roll back to an earlier revision",
        "refresh": "Replace an API's replicas without downtime",
        "history": "List the revisions of an API",
        "delete": "Drain and remove an API",
    },
    "Projects": {
        "init": "Write a small project that is ready to deploy",
        "validate": "Check a YAML file without deploying it",
        "simulate": "Simulate a traffic trace against an API's settings, in virtual time",
        "schema": "Print the JSON Schema of the YAML, for editors",
    },
    "This command": {
        "env": "List, add, use and remove operators",
        "token": "Create, list and revoke tokens of the operator's port",
        "completion": "Print a shell's completion script",
        "version": "Show the versions of this command and of the operator",
    },
}

NAMES: tuple[str, ...] = tuple(name for section in SECTIONS.values() for name in section)


def module(name: str) -> str:
    return f"gyrus.cli.commands.{name}"


def overview() -> str:
    """Return the text of ``gyrus --help``."""
    lines = [
        "Usage: gyrus [OPTIONS] COMMAND [ARGS]...",
        "",
        "  Machine-learning models as production APIs.",
        "",
        "  Start with:  gyrus init flat && gyrus deploy flat",
    ]
    for title, commands in SECTIONS.items():
        lines += ["", f"{title}:", *(f"  {name:<11} {text}" for name, text in commands.items())]
    lines += [
        "",
        "Options (before or after the command):",
        "  -e, --env NAME             Operator to use (default: $GYRUS_ENV, or the one in use)",
        "  -o, --output pretty|json   Output format (default: pretty)",
        "  --version                  Print the version",
        "  -h, --help                 Print this help, or a command's help after its name",
    ]
    return "\n".join(lines)
