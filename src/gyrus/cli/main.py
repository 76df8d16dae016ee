"""The entry point. It answers ``--version`` and ``--help`` itself, before it imports anything else."""

import sys

from gyrus import __version__


def main() -> int:
    """Run the command line and return the exit code."""
    from gyrus.cli import streams

    streams.install()
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except streams.OutputLost as lost:
        return streams.report_lost(lost)
    finally:
        streams.settle()
    return code


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        sys.stdout.write(f"gyrus {__version__}\n")
        return 0
    if arguments in ([], ["--help"], ["-h"]) and not _completing():
        from gyrus.cli.command_index import overview

        sys.stdout.write(overview() + "\n")
        return 0
    from gyrus.cli.entry import run

    return run(arguments)


def _completing() -> bool:
    import os

    return "_GYRUS_COMPLETE" in os.environ


if __name__ == "__main__":
    sys.exit(main())
