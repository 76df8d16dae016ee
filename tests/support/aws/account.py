"""An AWS account on loopback, as a process of its own: see :mod:`support.aws.emulator`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gyrus.cluster.aws.calls import AwsCalls, CallRules
from support.aws.account_resources import account_resources
from support.aws.emulator.control import PATH
from support.upstreams import free_port

REGION = "eu-west-1"
STARTS_WITHIN = 60
TESTS = Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join((str(TESTS), str(TESTS.parent / "src")))


@dataclass(frozen=True)
class AwsAccount:
    """A running emulator."""

    url: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which boto3 and obstore find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        boto3: Any = import_module("boto3")
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def calls(self, **rules: Any) -> AwsCalls:
        """Return gyrus's calls of this account."""
        return AwsCalls(REGION, clients=self.client, rules=CallRules(**rules))

    def resources(self) -> frozenset[str]:
        """Return everything that costs money or belongs to a cluster, each as ``kind name``."""
        return account_resources(self.client)

    def set(self, **faults: Any) -> None:
        """Set fields of :class:`support.aws.emulator.control.Faults`."""
        request = urllib.request.Request(self.url + PATH, json.dumps(faults).encode(), method="POST")
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def aws_account(host: str = "127.0.0.1", **environment: str) -> Generator[AwsAccount]:
    """Run an emulator with an empty account until the block ends. ``host``: the address it listens on."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gyrus-aws-") as folder:
        log = Path(folder) / "log"
        variables = os.environ | {"PYTHONPATH": SOURCES, "LOG_LEVEL": "WARNING"} | environment
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.aws.emulator", host, str(port)],
                env=variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
        try:
            account = AwsAccount(f"http://{host}:{port}", log)
            _wait(account, process)
            yield account
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(account: AwsAccount, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            account.set()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the emulator of AWS does not start:\n{account.log.read_text()}")
