"""A PostgreSQL server of a test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "a-secret-of-the-database"
"""Of every user, for connections over TCP."""


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs. Returns None if there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@contextmanager
def started(programs: Path, host: str = "", port: int = 5432) -> Generator[str]:
    """Run a server in a folder of its own, on a Unix socket. As root, it runs as the user postgres.

    ``host``, ``port``: an address on which it listens, too. It demands PASSWORD there.
    """
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="gyrus-pg-", dir="/tmp"))  # a socket's path must be short
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)

    def call(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        login = ("--username=postgres", "--auth-local=trust", f"--pwfile={folder}/password")
        call("initdb", *login, "--auth-host=scram-sha-256", "--no-sync")
        if host:
            with (folder / "data/pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")
        options = f"-F -h '{host}' -p {port} -k {folder}"
        call("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}&port={port}"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "fast")
    finally:
        shutil.rmtree(folder)
