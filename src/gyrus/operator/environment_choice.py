"""The choice of a cluster's Python environment for a package.

An environment in a cluster is built by a pod, so its key must be known before its lock is. A package without
a lock shares the environment of an equal resolution that is stored, and takes over its lock. Otherwise it
gets an environment of its own. Either is written down beside the package, so that the package has the same
versions for ever: if the environment is removed meanwhile, it is built again from the package's lock.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gyrus.contract.pods import FORMAT
from gyrus.environments.dependencies import Dependencies, find_dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.lock import LockFile, parse
from gyrus.packaging.environment_store import EnvironmentStore
from gyrus.packaging.errors import PackagingError
from gyrus.packaging.store import PackageStore

log = logging.getLogger(__name__)

HALF = 16
"""Digits of a resolution's key. The environments of equal resolutions have these digits in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterResolution:
    """Everything that decides an environment's content, but for what the indexes offer.

    Builder and replicas use the same image, so the image also stands for the interpreter and the platform.
    """

    dependencies: Dependencies
    package: str | None
    """Digest of the project's archive."""
    image: str
    """The runtime image's full reference."""
    runtime: str
    """Digest of the runtime's code."""

    @property
    def key(self) -> str:
        needs = self.dependencies
        return _digest(
            {
                "dependencies": needs.content,
                "pythons": [asdict(python) for python in needs.pythons],
                "project": self.package if needs.local else None,
                "image": self.image,
                "runtime": self.runtime,
            }
        )


class EnvironmentChoice:
    """The environments of all packages. It remembers what it has chosen."""

    def __init__(
        self, packages: PackageStore, environments: EnvironmentStore, *, image: str, runtime: str
    ) -> None:
        """``image``: the runtime image. ``runtime``: digest of the runtime's code."""
        self._packages = packages
        self._environments = environments
        self._image = image
        self._runtime = runtime
        self._chosen: dict[tuple[str | None, str | None], str] = {}

    async def environment(self, package: str | None, requirements: str | None) -> str:
        """Return the key of a package's environment.

        ``package``: digest of the project's archive. ``requirements``: the requirements file that the
        specification names. Raises EnvironmentFailure.
        """
        if key := self._chosen.get((package, requirements)):
            return key
        try:
            project = await self._packages.project(package) if package else None
            if package:
                await self._packages.fetch_locks(package)
        except PackagingError as error:
            raise EnvironmentFailure(str(error)) from error
        key = await asyncio.to_thread(self._choose, package, requirements, project)
        if package:
            await self._packages.publish_locks(package)
        return self._chosen.setdefault((package, requirements), key)

    def _choose(self, package: str | None, requirements: str | None, project: Path | None) -> str:
        needs = find_dependencies(project, requirements) if project else Dependencies()
        resolution = ClusterResolution(
            dependencies=needs, package=package, image=self._image, runtime=self._runtime
        ).key
        if package is None:
            return _own(resolution, package, requirements)
        locks = self._packages.locks(package)
        record = locks / f"{_digest([requirements])[:HALF]}.environment"
        known = _read(record)
        if known.startswith(resolution):
            return known
        key = self._shared(resolution, locks) or _own(resolution, package, requirements)
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(key)
        except OSError as error:  # the choice holds until this operator ends
            log.warning("%s could not be written: %s", record, error)
        return key

    def _shared(self, resolution: str, locks: Path) -> str | None:
        """Return the key of a stored environment that this package may use, and take over its lock.

        A package that has a lock of its own uses only an environment with the same one.
        """
        own = {path.name: path for path in locks.glob("[!.]*.json")}
        for key in self._environments.like(resolution):
            lock = self._environments.lock(key)
            if lock is None:
                continue
            name, content = lock
            kept = own.get(f"{name}.json")
            if kept is None and own:
                continue
            if kept is None:
                _take_over(content, locks / f"{name}.json")
                return key
            if kept.read_bytes() == content:
                return key
        return None


def _own(resolution: str, package: str | None, requirements: str | None) -> str:
    """Return the key of an environment that is built for one package."""
    return resolution + _digest([resolution, package, requirements])[:HALF]


def _take_over(content: bytes, file: Path) -> None:
    """Write the lock of another package for this one. A failure costs the reproducibility only."""
    try:
        if lock := parse(content):
            LockFile(file).write(lock)
    except (OSError, ValueError) as error:
        log.warning("%s could not be written: %s", file, error)


def _read(record: Path) -> str:
    try:
        return record.read_text()
    except OSError:
        return ""


def _digest(content: Mapping[str, object] | list[str | None]) -> str:
    document = json.dumps([FORMAT, content], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:HALF]
