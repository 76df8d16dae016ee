"""The local platform's process: find it, start it, stop it. Linux and macOS only, from ``start`` on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.client.environments import OperatorFile, read_operator_file
from gyrus.client.errors import BadEnvironments
from gyrus.contract.home import Home
from gyrus.contract.operator import LARGEST_PACKAGE

START_TIMEOUT = 60.0
"""Seconds from the operator's launch until it serves, its database's migrations included."""
TERMINATE_TIMEOUT = 10.0
"""Seconds from SIGTERM to SIGKILL, for an operator that does not answer."""
START_TIME_TOLERANCE = 2.0
"""Seconds by which a process's start time may differ between two readings."""


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """Settings of the local platform, stored from one start to the next."""

    gateway: int = 8080
    """Port."""
    operator_port: int | None = None
    """The port of the operator's API. None to serve it on the home's socket only."""
    overcommit: bool = False
    """Start replicas without counting the CPU and memory that they request."""
    max_package: int = LARGEST_PACKAGE
    """Bytes."""
    hosts: tuple[str, ...] = ()
    """Names besides localhost under which clients may address the gateway."""
    price: float | None = None
    """US dollars per hour of this machine. None if it is unknown."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A starting operator's message on its ready descriptor."""

    ready: bool = False
    error: str | None = None


def running(home: Home) -> OperatorFile | None:
    """Return the live operator of this home. Ignores a file that a dead operator left behind."""
    try:
        recorded = read_operator_file(home)
    except BadEnvironments:
        return None
    return recorded if recorded and is_alive(recorded) else None


def is_alive(operator: OperatorFile) -> bool:
    """Return whether the operator's process runs. Another process that reuses its id does not count."""
    import psutil

    try:
        process = psutil.Process(operator.pid)
        same = abs(process.create_time() - operator.pid_started) <= START_TIME_TOLERANCE
        return same and process.status() != psutil.STATUS_ZOMBIE  # a zombie has exited already
    except psutil.NoSuchProcess:
        return False


def check_system() -> None:
    """Check that the local platform can run here. Raises CommandFailure on Windows."""
    if sys.platform == "win32":
        raise CommandFailure(
            "The local platform needs Linux or macOS.",
            remedy="Use gyrus in WSL, or add a remote platform: gyrus env add --help",
        )


def choose(
    known: PlatformSettings,
    gateway: int | None = None,
    operator: int | None = None,
    overcommit: bool | None = None,
    max_package: int | None = None,
    hosts: tuple[str, ...] = (),
    price: float | None = None,
) -> PlatformSettings:
    """Return the settings: each as given, else as known. Raises WrongInput."""
    chosen = altered(known, gateway, operator, overcommit, max_package, hosts, price)
    if chosen.gateway == chosen.operator_port:
        raise WrongInput(
            f"Gateway and operator cannot both listen on port {chosen.gateway}.",
            remedy="Give them different ports with --gateway-port and --operator-port.",
        )
    return chosen


def altered(
    settings: PlatformSettings,
    gateway: int | None,
    operator: int | None,
    overcommit: bool | None,
    max_package: int | None = None,
    hosts: tuple[str, ...] = (),
    price: float | None = None,
) -> PlatformSettings:
    """Return the settings with the given ones replaced.

    An operator's port of 0 means none. An empty name as the only host removes all hosts. A price of 0 is an
    unknown price.
    """
    return PlatformSettings(
        gateway or settings.gateway,
        settings.operator_port if operator is None else operator or None,
        settings.overcommit if overcommit is None else overcommit,
        max_package or settings.max_package,
        tuple(host for host in hosts if host) if hosts else settings.hosts,
        settings.price if price is None else price or None,
    )


def remember(home: Home, settings: PlatformSettings) -> None:
    """Store the settings for the next ``gyrus up``. Raises CommandFailure."""
    with _writing(home):
        home.settings_file.write_bytes(msgspec.json.encode(settings) + b"\n")


def prepare(home: Home) -> None:
    """Create the home, so that no other user can reach what this process and the operator write there.

    Raises CommandFailure if another user can reach the present one.
    """
    from gyrus.aio.private_folder import not_private

    os.umask(0o077)
    with _writing(home):
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = not_private(home.root)
    if reason:
        raise CommandFailure(f"The local platform did not start. {reason}")


@contextlib.contextmanager
def _writing(home: Home) -> Generator[None]:
    try:
        yield
    except OSError as fault:
        raise CommandFailure(
            f"gyrus cannot use its home {home.root}: {fault.strerror}.",
            remedy="Set GYRUS_HOME to a folder that you may read and write.",
        ) from fault


def command(home: Home, settings: PlatformSettings, *, new_database: bool = False) -> list[str]:
    """Return the operator's command line."""
    port = settings.operator_port
    return [
        *(sys.executable, "-P", "-m", "gyrus.operator", "--home", str(home.root)),
        *("--gateway-port", str(settings.gateway)),
        *(("--operator-port", str(port)) if port is not None else ()),
        *(("--overcommit",) if settings.overcommit else ()),
        *(("--max-package", str(settings.max_package)) if settings.max_package != LARGEST_PACKAGE else ()),
        *(word for host in settings.hosts for word in ("--host", host)),
        *(("--price", str(settings.price)) if settings.price is not None else ()),
        *(("--new-database",) if new_database else ()),
    ]  # fmt: skip


def start(home: Home, settings: PlatformSettings, *, new_database: bool = False) -> None:
    """Start an operator that outlives this process, and wait until it serves. Raises CommandFailure."""
    check_system()
    prepare(home)
    reading, writing = os.pipe()
    try:
        with _open_output(home) as log:
            process = subprocess.Popen(
                [*command(home, settings, new_database=new_database), "--ready-fd", str(writing)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=home.root, pass_fds=(writing,), start_new_session=True,
            )  # fmt: skip
        os.close(writing)  # the operator has the only other end: reading ends when it exits
        _await_ready(home, process, reading)
    finally:
        os.close(reading)
    remember(home, settings)


def end(operator: OperatorFile) -> None:
    """Stop an operator that does not stop when asked: first SIGTERM, then SIGKILL."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(operator.pid)
        process.terminate()
        try:
            process.wait(TERMINATE_TIMEOUT)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(TERMINATE_TIMEOUT)


def until_ended(operator: OperatorFile) -> Iterator[None]:
    """Yield every 0.1 s while the operator's process lives."""
    while is_alive(operator):
        yield
        time.sleep(0.1)


def has_leftovers(home: Home) -> bool:
    """Return whether replicas or a gateway run without an operator.

    Their command lines name files of this home.
    """
    return mentioned_by_process(home.root)


def mentioned_by_process(folder: Path) -> bool:
    """Return whether the command line of any process of this user names a file of this folder."""
    import psutil

    inside, own = str(folder) + os.sep, os.geteuid()
    found = (process.info for process in psutil.process_iter(["cmdline", "uids"]))
    lines = (facts["cmdline"] or () for facts in found if facts["uids"] and facts["uids"].effective == own)
    return any(inside in word for line in lines for word in line)


def clean(home: Home) -> None:
    """Stop the processes that a dead operator left behind. Raises CommandFailure."""
    check_system()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gyrus.operator", "--home", str(home.root), "--clean"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CommandFailure(
            "Replicas or the gateway of an earlier platform could not be stopped.",
            details=done.stderr.strip(),
        )
    home.operator_file.unlink(missing_ok=True)


def remembered(home: Home) -> PlatformSettings:
    """Return the settings of the last start, or the default ones."""
    try:
        return msgspec.json.decode(home.settings_file.read_bytes(), type=PlatformSettings)
    except (OSError, msgspec.DecodeError):
        return PlatformSettings()


def _await_ready(home: Home, process: subprocess.Popen[bytes], reading: int) -> None:
    import selectors

    received = b""
    deadline = time.monotonic() + START_TIMEOUT
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                _kill(process)
                raise _start_failure(home, f"The operator was not ready within {START_TIMEOUT:g} s.")
            chunk = os.read(reading, 65536)
            if not chunk:
                raise _start_failure(home, "The operator exited during its start.")
            received += chunk
    ready = msgspec.json.decode(received, type=_Ready)
    if not ready.ready:
        _await_end(process)
        raise CommandFailure(f"The local platform did not start. {ready.error}")


def _await_end(process: subprocess.Popen[bytes]) -> None:
    """Wait until an operator that could not start exits: it locks the home until then."""
    try:
        process.wait(TERMINATE_TIMEOUT)
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session: its children end with it
    process.wait()


def _start_failure(home: Home, message: str) -> CommandFailure:
    details = _last_lines(_output_file(home)) or _last_lines(home.operator_log, count=5)
    return CommandFailure(message, details=details, remedy=f"Its log is {home.operator_log}.")


def _open_output(home: Home) -> BinaryIO:
    file = _output_file(home)
    with _writing(home):
        file.parent.mkdir(exist_ok=True)
        return file.open("wb")


def _output_file(home: Home) -> Path:
    """Return the file with output outside the log: the error of an operator that fails before it logs."""
    return home.operator_log.with_name("operator.out")


def _last_lines(file: Path, count: int = 15) -> str:
    try:
        return "\n".join(file.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
