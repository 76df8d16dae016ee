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
SLOTS = 64


@contextmanager
def platform(folder: Path) -> Generator[str]:
    """Yield the URL of the tiny handler, deployed on its own platform."""
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

    gyrus("up", "--gateway-port", str(port), "--operator-port", str(free_port()))
    try:
        gyrus("deploy", str(BENCH / "tiny"), "--yes")
        yield f"http://127.0.0.1:{port}/tiny"
    finally:
        gyrus("down")


def gateway_workers(folder: Path) -> int:
    """Return the number of workers of the platform's Envoy."""
    home = str(folder / "home")
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "--concurrency" in words and any(home in word for word in words):
            return int(words[words.index("--concurrency") + 1])
    raise LookupError(f"no Envoy runs for {home}")


@contextmanager
def replica(folder: Path) -> Generator[str]:
    """Yield the URL of the tiny handler on gyrus's runtime alone, over TCP."""
    port = free_port()
    config = ReplicaConfig(
        id="tiny-1-bench",
        api="tiny",
        revision=1,
        project=str(BENCH / "tiny"),
        python=sys.executable,
        handler=HandlerConfig(path="handler.py"),
        limits=Limits(max_concurrency=SLOTS),
        run_dir=str(folder),
        log_dir=str(folder),
    )
    file = folder / "config.json"
    file.write_text(json.dumps(dataclasses.asdict(config)))
    command = [
        *("env", f"GYRUS_BIND=127.0.0.1:{port}"),
        *(sys.executable, "-m", "gyrus.runtime.worker", str(file), "0"),
    ]
    with running(command, port=port, log=folder / "replica.log", cwd=BENCH / "tiny"):
        yield f"http://127.0.0.1:{port}/"
