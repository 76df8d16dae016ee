"""The init container of a replica: ``python -m gyrus.pods.fetch``.

It brings the project and the Python environment into the pod's volume, and writes the replica's configuration
last. What is there already, it leaves: after a failure, Kubernetes runs it again on the same volume.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
import time
from functools import partial
from pathlib import Path
from typing import IO

from gyrus.contract import pods
from gyrus.contract.cluster import CONFIG_FILE, POD_FOLDER
from gyrus.contract.models import ModelFolder
from gyrus.contract.pods import FetchOrder
from gyrus.contract.replica import Reason
from gyrus.environments.runtime_copy import RuntimeCode
from gyrus.packaging import unpacking
from gyrus.packaging.errors import BrokenArchive
from gyrus.packaging.folder_archive import unpack_folders
from gyrus.pods import pre_stop, start
from gyrus.pods.failure import PodFailed, run
from gyrus.pods.fetch_models import fetch_models, share_models
from gyrus.pods.files_client import FilesClient
from gyrus.pods.node_cache import EnvironmentsOfNode
from gyrus.pods.order import read_access, read_order
from gyrus.runtime.codec import encode

CHUNK = 1024 * 1024
_OF_PODS_ALONE = frozenset({"__pycache__", "_virtualenv", "gyrus", "urllib3", "uv"})
_SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_NEW = ".new"
"""Folder for what is not complete yet."""


def fetch(order: FetchOrder, files: FilesClient, root: Path = Path(POD_FOLDER)) -> None:
    """Carry out an order. ``root``: the pod's volume. Raises PodFailed."""
    try:
        fetch_project(order.package, files, root)
        if order.environment == pods.IMAGE_ENVIRONMENT:
            bring_runtime(order.image, root)
        else:
            place = _in(root, pods.ENVIRONMENTS_FOLDER)
            cache = EnvironmentsOfNode(place) if order.cached else None
            fetch_environment(order.environment, files, root, cache)
        if order.models is not None:
            bring_models(order, order.models, files, root)
        _write_config(order, root)
    except OSError as error:
        place = error.filename or root
        message = f"{place} could not be written: {error.strerror}; free disk space on the node"
        raise PodFailed(Reason.EXHAUSTED, message) from error


def bring_models(order: FetchOrder, models: ModelFolder, files: FilesClient, root: Path) -> None:
    """Bring the models into the pod, or into the node's cache. Raises PodFailed, OSError."""
    if order.cached:
        cache = EnvironmentsOfNode(_in(root, pods.ENVIRONMENTS_FOLDER))
        share_models(models, order.models_proof, files, cache)
    else:
        folder = _in(root, pods.models_folder(models.key, cached=False))
        folder.parent.mkdir(parents=True, exist_ok=True)
        fetch_models(models, order.models_proof, files, folder)


def fetch_project(package: str | None, files: FilesClient, root: Path) -> Path:
    """Return the folder of the project's files. Raises PodFailed, OSError."""
    folder = _in(root, pods.PROJECT_FOLDER)
    if folder.is_dir():
        return folder
    if package is None:
        folder.mkdir(parents=True)
        return folder
    archive = root / f"{_NEW}-project.tar"
    files.download(f"/packages/{package}", partial(_save, archive))
    fresh = _empty(root / _NEW)
    try:
        unpacking.unpack(archive, fresh / "project")
    except BrokenArchive as error:
        raise PodFailed(Reason.PACKAGE, f"the project could not be unpacked: {error}") from error
    (fresh / "project").rename(folder)
    archive.unlink()
    return folder


def fetch_environment(
    environment: str, files: FilesClient, root: Path, cache: EnvironmentsOfNode | None = None
) -> None:
    """Unpack the environment and the runtime's code, unless they are there. Raises PodFailed, OSError.

    ``cache``: the folder of the environments, if the node's pods share it.
    """
    if cache:
        _share_environment(environment, files, root, cache)
        return
    folder = _in(root, pods.environment_folder(environment))
    if folder.is_dir():
        return
    fresh = root / _NEW
    _download_environment(environment, files, fresh)
    _take_runtimes(_in(fresh, pods.RUNTIMES_FOLDER), root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _in(fresh, pods.environment_folder(environment)).rename(folder)  # last: it makes all complete
    shutil.rmtree(fresh)


def _share_environment(environment: str, files: FilesClient, root: Path, cache: EnvironmentsOfNode) -> None:
    """Use the node's copy of the environment, and make one if there is none.

    A copy that the builder has replaced meanwhile, with compiled modules, is replaced once it is not in use.
    Without an answer of the operator, the node's copy serves.
    """
    path = f"/environments/{environment}"
    with cache.changing(environment) as fresh:
        entry = cache.entry(environment)
        serves = entry is not None and files.digest_once(path) in (None, entry.digest)
        if not serves and cache.discard(environment):  # parts of an incomplete one, too
            digest = _download_environment(environment, files, fresh)
            unpacked = _in(fresh, pods.environment_folder(environment))
            cache.add(environment, unpacked, _in(fresh, pods.RUNTIMES_FOLDER), digest)
        elif entry is None:
            message = (
                f"the node's copy of the environment {environment} is damaged and in use; drain the node"
            )
            raise PodFailed(Reason.PACKAGE, message)
        else:
            print("the node has the environment", file=sys.stderr)  # noqa: T201
        _take_runtimes(cache.runtimes(environment), root)


def _download_environment(environment: str, files: FilesClient, fresh: Path) -> str:
    """Unpack the archive into a folder, which is emptied before, and return its digest."""
    began = time.monotonic()
    take = partial(_unpack_environment, environment, fresh)
    digest = files.download_with_digest(f"/environments/{environment}", take)
    print(f"fetched the environment in {time.monotonic() - began:.1f} s", file=sys.stderr)  # noqa: T201
    return digest


def _take_runtimes(source: Path, root: Path) -> None:
    """Copy the runtime's code of an environment into the pod, unless it is there."""
    runtimes = _in(root, pods.RUNTIMES_FOLDER)
    runtimes.mkdir(parents=True, exist_ok=True)
    for runtime in source.iterdir():
        if not (runtimes / runtime.name).is_dir():
            fresh = runtimes / _NEW
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(runtime, fresh, symlinks=True)
            fresh.rename(runtimes / runtime.name)


def bring_runtime(image: str, root: Path, packages: Path | None = None) -> None:
    """Copy the runtime and the packages that it needs, for an image with the user's own. Raises OSError.

    ``packages``: the folder with these packages; None: that of this image.
    """
    place = RuntimeCode.installed().place(_in(root, pods.RUNTIMES_FOLDER))
    folder = _in(root, pods.environment_folder(pods.IMAGE_ENVIRONMENT)) / _SITE_PACKAGES
    fresh = _empty(root / _NEW) / "site-packages"
    source = packages or Path(sysconfig.get_path("purelib"))
    shutil.copytree(source, fresh, ignore=_not_for_replicas)
    (fresh / "gyrus.pth").write_text(f"{pods.RUNTIMES_FOLDER}/{place.name}\n")
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(folder)
    settings = {
        "image": image,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "soabi": sysconfig.get_config_var("SOABI"),
    }
    _in(root, pods.START_SETTINGS).write_text(json.dumps(settings))
    shutil.copyfile(start.__file__, _in(root, pods.START_FILE))


def _not_for_replicas(_folder: str, names: list[str]) -> list[str]:
    """Return the packages of the image that only gyrus's own programs need."""
    return [name for name in names if re.split(r"[-.]", name)[0] in _OF_PODS_ALONE]


def _unpack_environment(environment: str, fresh: Path, content: IO[bytes]) -> None:
    """Unpack into a folder, which is emptied before."""
    _empty(fresh)
    parents = tuple(
        os.path.relpath(folder, POD_FOLDER)
        for folder in (pods.environment_folder(environment), pods.RUNTIMES_FOLDER)
    )
    try:
        unpack_folders(content, fresh, parents)
    except BrokenArchive as error:
        message = f"the environment {environment} could not be unpacked: {error}"
        raise PodFailed(Reason.PACKAGE, message) from error


def _write_config(order: FetchOrder, root: Path) -> None:
    for folder in (pods.RUN_FOLDER, pods.LOG_FOLDER, pods.WORK_FOLDER):
        _in(root, folder).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pre_stop.__file__, _in(root, pods.PRE_STOP_FILE))
    path = _in(root, CONFIG_FILE)
    fresh = path.with_suffix(_NEW)
    fresh.write_bytes(encode(order.config))
    fresh.replace(path)


def _save(path: Path, content: IO[bytes]) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, CHUNK)


def _empty(folder: Path) -> Path:
    """Make a folder, without what it had, and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _in(root: Path, path: str) -> Path:
    """Return a path of a pod's volume in another root."""
    return root / os.path.relpath(path, POD_FOLDER)


def main() -> None:
    """Carry out the order of the environment variables. Raises PodFailed."""
    order = read_order(FetchOrder, os.environ)
    fetch(order, FilesClient(read_access(os.environ)))


if __name__ == "__main__":
    sys.exit(run(main))
