"""The container of a builder's pod: ``python -m gyrus.pods.build``.

It builds one Python environment in the folder in which replicas use it, since an environment cannot be moved,
and uploads its archive, with the runtime's code beside it. Once the first replicas can start, it compiles the
bytecode and replaces the archive, so that later replicas start sooner: iris needs 3 s less CPU.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gyrus.aio.clock import SystemClock
from gyrus.aio.single_flight import Report
from gyrus.contract import pods
from gyrus.contract.cluster import POD_FOLDER
from gyrus.contract.pods import BuildOrder
from gyrus.contract.replica import Reason
from gyrus.environments.cache import EnvironmentCache, EnvironmentRequest
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.lock import LockFile
from gyrus.environments.runtime_copy import RuntimeCode
from gyrus.packaging.archive import readable
from gyrus.packaging.folder_archive import pack_folders
from gyrus.pods.bytecode import compile_bytecode
from gyrus.pods.failure import FilesUnreachable, PodFailed, run
from gyrus.pods.fetch import fetch_project
from gyrus.pods.files_client import FilesClient, NotThere
from gyrus.pods.order import read_access, read_order
from gyrus.pods.progress import BuildProgress

OWN = "GYRUS_"
"""Prefix of the builder's own variables. Packages that are built get none of them."""


async def build(
    order: BuildOrder, files: FilesClient, environ: Mapping[str, str], root: Path = Path(POD_FOLDER)
) -> None:
    """Carry out an order. ``root``: the pod's volume. Raises PodFailed."""
    path = f"/environments/{order.environment}"
    if await asyncio.to_thread(files.has, path):
        return
    progress = BuildProgress(files, f"{path}/progress")
    fault: PodFailed | OSError | None = None
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(progress.send(), name="progress")
        try:
            await _build(order, files, environ, root, progress.report)
        except (PodFailed, OSError) as error:  # the group would wrap it
            fault = error
        finally:
            sending.cancel()
    if fault:
        raise fault


async def _build(
    order: BuildOrder, files: FilesClient, environ: Mapping[str, str], root: Path, report: Report
) -> None:
    report("fetching the project")
    project = await asyncio.to_thread(fetch_project, order.package, files, root)
    lock = await _environment(order, project, files, _cache(environ, root), root, report)
    report("archiving the environment")
    archive = await asyncio.to_thread(_pack, order.environment, root)
    report(f"storing the environment ({readable(archive.stat().st_size)})")
    await asyncio.to_thread(_store_lock, order, lock, files)
    path = f"/environments/{order.environment}"
    await asyncio.to_thread(files.upload, path, archive)
    if await compile_bytecode(_in(root, pods.environment_folder(order.environment)), _in(root, _runtime())):
        archive = await asyncio.to_thread(_pack, order.environment, root)
        try:
            await asyncio.to_thread(files.upload, f"{path}?replace=true", archive)
        except PodFailed as failed:  # replicas start without it, only later
            print(f"the bytecode was not stored: {failed}", file=sys.stderr)  # noqa: T201


async def _environment(
    order: BuildOrder,
    project: Path,
    files: FilesClient,
    cache: EnvironmentCache,
    root: Path,
    report: Report,
) -> LockFile:
    """Build the environment in its folder, and return the file of its lock. Raises PodFailed."""
    request = EnvironmentRequest(
        asker=order.environment,
        project=project,
        package=order.package,
        requirements=order.requirements,
        locks=root / "locks",
        name=order.environment,
    )
    try:
        lock = await cache.lock_file(request)
        assert lock is not None  # the request names a folder for it
        await asyncio.to_thread(_fetch_lock, order, lock, files)
        await cache.python(request, report)
    except EnvironmentFailure as failure:
        raise PodFailed(Reason.DEPENDENCIES, str(failure), failure.lines) from failure
    return lock


def _cache(environ: Mapping[str, str], root: Path) -> EnvironmentCache:
    """Return the builder of environments. uv's cache is on the same volume, so that it can link files."""
    kept = {name: value for name, value in environ.items() if not name.startswith(OWN)}
    return EnvironmentCache(
        _in(root, pods.ENVIRONMENTS_FOLDER),
        _in(root, pods.RUNTIMES_FOLDER),
        SystemClock(),
        environ=kept | {"UV_CACHE_DIR": str(root / "cache")},
    )


def _fetch_lock(order: BuildOrder, lock: LockFile, files: FilesClient) -> None:
    """Bring the lock of the package, if the server has one."""
    if order.package is None:
        return
    with suppress(NotThere):
        content = files.download(_lock_path(order.package, lock), lambda content: content.read())
        lock.path.parent.mkdir(parents=True, exist_ok=True)
        lock.path.write_bytes(content)


def _store_lock(order: BuildOrder, lock: LockFile, files: FilesClient) -> None:
    if order.package is None:
        return
    path = f"{_lock_path(order.package, lock)}?environment={order.environment}"
    try:
        files.upload(path, lock.path)
    except FilesUnreachable:
        raise
    except PodFailed as failed:  # an operator that has just started may not know the build yet
        print(f"the lock was not stored: {failed}", file=sys.stderr)  # noqa: T201


def _lock_path(package: str, lock: LockFile) -> str:
    return f"/packages/{package}/locks/{lock.path.stem}"


def _pack(environment: str, root: Path) -> Path:
    archive = root / "environment.tar.zst"
    folders = (pods.environment_folder(environment), _runtime())
    with archive.open("wb") as file:
        pack_folders(root, [os.path.relpath(folder, POD_FOLDER) for folder in folders], file)
    return archive


def _runtime() -> str:
    """Return the folder of the runtime's code."""
    return f"{pods.RUNTIMES_FOLDER}/{RuntimeCode.installed().digest}"


def _in(root: Path, path: str) -> Path:
    return root / os.path.relpath(path, POD_FOLDER)


def main() -> None:
    """Carry out the order of the environment variables. Raises PodFailed."""
    order = read_order(BuildOrder, os.environ)
    files = FilesClient(read_access(os.environ))
    try:
        asyncio.run(build(order, files, os.environ))
    except OSError as error:
        message = f"{error.filename or POD_FOLDER} could not be written: {error.strerror or error}"
        raise PodFailed(Reason.EXHAUSTED, f"{message}; free disk space on the node") from error


if __name__ == "__main__":
    sys.exit(run(main))
