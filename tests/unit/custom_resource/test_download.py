"""Packages from a web server."""

from __future__ import annotations

import io
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gyrus.custom_resource.download import DownloadFailed, PackageDownloads
from gyrus.packaging.archive import pack
from gyrus.packaging.store import PackageStore


@contextmanager
def served(files: dict[str, bytes]) -> Generator[str]:
    """Serve these files; ``/moved`` leads to ``/package``. Yields the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("location", "/package")
                self.end_headers()
                return
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="files")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def package(tmp_path: Path) -> tuple[bytes, str]:
    """A package, and its digest."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "handler.py").write_text("class Handler: ...")
    content = io.BytesIO()
    digest = pack(project, content).digest
    return content.getvalue(), digest


def store(folder: Path, limit: int = 2**20) -> PackageStore:
    made = PackageStore(folder / "packages", folder / "projects", limit=limit)
    made.clean_up()
    return made


@pytest.mark.parametrize("path", ["/package", "/moved"])
async def test_a_package_is_stored_under_its_digest(
    path: str, package: tuple[bytes, str], tmp_path: Path
) -> None:
    content, digest = package
    packages = store(tmp_path)
    with served({"/package": content}) as url:
        assert await PackageDownloads(packages).fetch(url + path, digest) == len(content)
    assert packages.has(digest)


async def failure(url: str, digest: str, packages: PackageStore) -> str:
    with pytest.raises(DownloadFailed) as raised:
        await PackageDownloads(packages).fetch(url, digest)
    assert not packages.has(digest)
    return str(raised.value)


async def test_other_bytes_are_refused(package: tuple[bytes, str], tmp_path: Path) -> None:
    _, digest = package
    with served({"/package": b"x"}) as url:
        assert await failure(f"{url}/package", digest, store(tmp_path)) == (
            f"spec.package.url: {url}/package could not be fetched: The upload (1 bytes) is not the package "
            f"{digest}; send it again; check spec.package.sha256 and the file"
        )


async def test_a_package_that_is_too_large_is_refused(package: tuple[bytes, str], tmp_path: Path) -> None:
    content, digest = package
    with served({"/package": content}) as url:
        message = await failure(f"{url}/package", digest, store(tmp_path, limit=100))
    assert "The package is larger than the allowed 100 bytes" in message


async def test_a_missing_file_and_a_server_that_does_not_answer(
    package: tuple[bytes, str], tmp_path: Path
) -> None:
    _, digest = package
    with served({}) as url:
        assert await failure(f"{url}/package", digest, store(tmp_path)) == (
            f"spec.package.url: {url}/package could not be fetched: the server answered 404; "
            "check spec.package.url"
        )
    assert "check that the operator's pod reaches the address" in await failure(url, digest, store(tmp_path))
