"""gyrus as users run it, and its runtime alone."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
from bare import BENCH, free_port, running

from gyrus.contract.replica import HandlerConfig, Limits, ReplicaConfig

GYRUS = str(Path(sys.executable).with_name("gyrus"))


@contextmanager
def platform(folder: Path) -> Generator[str]:
    """Yield the URL of a platform's gateway, with the tiny handlers ``tiny`` and ``tiny-sync``."""
    port = free_port()
    environment = {
        **os.environ,
        "GYRUS_HOME": str(folder / "home"),
        "NO_COLOR": "1",
    }

    def gyrus(*arguments: str) -> None:
        done = subprocess.run([GYRUS, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"gyrus {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")

    gyrus("up", "--gateway-port", str(port))
    try:
        for api in ("tiny", "tiny_sync"):
            gyrus("deploy", str(BENCH / api), "--yes")
        yield f"http://127.0.0.1:{port}"
    finally:
        gyrus("down")


def processes(*words: str) -> list[psutil.Process]:
    """Return the processes whose command lines contain all of these words."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if all(word in command for word in words):
            found.append(process)
    return found


def gateway_workers(folder: Path) -> int:
    """Return the number of workers of the platform's Envoy."""
    for process in processes("--concurrency", str(folder / "home")):
        words = process.cmdline()
        return int(words[words.index("--concurrency") + 1])
    raise LookupError(f"no Envoy runs for {folder / 'home'}")


@contextmanager
def replica(folder: Path, project: str, slots: int) -> Generator[str]:
    """Yield the URL of a tiny handler on gyrus's runtime alone, over TCP."""
    port, project_folder = free_port(), BENCH / project
    config = ReplicaConfig(
        id=f"{project}-1-bench",
        api=project,
        revision=1,
        project=str(project_folder),
        python=sys.executable,
        handler=HandlerConfig(path="handler.py"),
        limits=Limits(max_concurrency=slots, max_queue_length=1000),
        run_dir=str(folder),
        log_dir=str(folder),
    )
    file = folder / f"{project}.json"
    file.write_text(json.dumps(dataclasses.asdict(config)))
    command = [
        *("env", f"GYRUS_BIND=127.0.0.1:{port}"),
        *(sys.executable, "-m", "gyrus.runtime.worker", str(file), "0"),
    ]
    with running(command, port=port, log=folder / f"{project}.log", cwd=project_folder):
        yield f"http://127.0.0.1:{port}/"
