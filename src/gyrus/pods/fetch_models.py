"""The fetch of a handler's models into a pod: from the bucket by signed URLs, else through the operator."""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO

from gyrus.contract.models import ModelFolder, ModelObject
from gyrus.contract.pods import MODELS_PATH, ModelUrls, cached_models
from gyrus.contract.replica import Reason
from gyrus.pods.failure import PodFailed
from gyrus.pods.files_client import FilesClient, TemporaryFailure
from gyrus.pods.node_cache import EnvironmentsOfNode
from gyrus.runtime.codec import decode

CHUNK = 1024 * 1024
AT_ONCE = 4
"""Files that are fetched at the same time."""
_NEW = ".new"


def fetch_models(models: ModelFolder, proof: str, files: FilesClient, folder: Path) -> None:
    """Bring the models into a folder, unless it is there. Raises PodFailed, OSError."""
    if folder.is_dir():
        return
    fresh = folder.with_name(f"{folder.name}{_NEW}")  # what is complete in it stays after a failure
    _bring(models, proof, files, fresh)
    fresh.rename(folder)


def share_models(models: ModelFolder, proof: str, files: FilesClient, cache: EnvironmentsOfNode) -> None:
    """Use the node's copy of the models, and make one if there is none. Raises PodFailed, OSError."""
    key = cached_models(models.key)
    with cache.changing(key) as fresh:
        if cache.entry(key) is not None:
            print("the node has the models", file=sys.stderr)  # noqa: T201
            return
        if not cache.discard(key):
            message = f"the node's copy of the models {key} is damaged and in use; drain the node"
            raise PodFailed(Reason.PACKAGE, message)
        _bring(models, proof, files, fresh / "models")
        (fresh / "runtimes").mkdir()
        cache.add(key, fresh / "models", fresh / "runtimes", models.key)


def _bring(models: ModelFolder, proof: str, files: FilesClient, folder: Path) -> None:
    began = time.monotonic()
    body = models.encoded()
    answer = files.post_for(f"{MODELS_PATH}/urls", body, proof)
    urls = decode(ModelUrls, answer).urls
    with ThreadPoolExecutor(AT_ONCE) as pool:
        bring = partial(_bring_one, body, proof, files, folder)
        for _ in pool.map(bring, range(len(models.files)), models.files, urls):
            pass
    took = time.monotonic() - began
    print(f"fetched {models.size / 2**20:,.0f} MiB of models in {took:.1f} s", file=sys.stderr)  # noqa: T201


def _bring_one(
    body: bytes, proof: str, files: FilesClient, folder: Path, number: int, file: ModelObject, url: str
) -> None:
    target = folder / file.name
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}{_NEW}")
    take = partial(_save, new, file)
    if not url or not files.download_outside(url, file.tag, take):
        files.download_by_post(f"{MODELS_PATH}/{number}", body, proof, take)
    new.chmod(0o444)
    new.rename(target)


def _save(new: Path, file: ModelObject, content: IO[bytes]) -> None:
    """Write a file. Raises TemporaryFailure if it has another size."""
    with new.open("wb") as output:
        shutil.copyfileobj(content, output, CHUNK)
        size = output.tell()
    if size != file.size:
        raise TemporaryFailure(f"{file.name} ended after {size:,} of {file.size:,} bytes")
