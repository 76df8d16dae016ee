from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.packaging.errors import BrokenArchive
from gyrus.packaging.folder_archive import pack_folders, unpack_folders, zstd


def packed(root: Path, *names: str) -> bytes:
    output = io.BytesIO()
    pack_folders(root, names, output)
    return output.getvalue()


def unpack(archive: bytes, root: Path, *parents: str) -> None:
    unpack_folders(io.BytesIO(archive), root, parents)


def crafted(*members: tarfile.TarInfo) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return zstd.compress(plain.getvalue())


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folders of a small environment."""
    bin = tmp_path / "pod/environments/k1/bin"
    bin.mkdir(parents=True)
    (bin / "python").symlink_to("/usr/bin/python3")
    (bin / "tool").write_text("#!/bin/sh\n")
    (bin / "tool").chmod(0o755)
    (tmp_path / "pod/environments/k1/lib64").symlink_to("lib")
    (tmp_path / "pod/environments/k1/lib/empty").mkdir(parents=True)
    (tmp_path / "pod/runtimes/r1").mkdir(parents=True)
    (tmp_path / "pod/runtimes/r1/code.py").write_text("pass\n")
    (tmp_path / "pod/cache").mkdir()
    return tmp_path / "pod"


def test_links_modes_and_empty_folders_arrive(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "other"
    unpack(packed(root, "runtimes/r1", "environments/k1"), target, "environments/k1", "runtimes")
    assert os.readlink(target / "environments/k1/bin/python") == "/usr/bin/python3"
    assert os.readlink(target / "environments/k1/lib64") == "lib"
    assert os.access(target / "environments/k1/bin/tool", os.X_OK)
    assert not os.access(target / "runtimes/r1/code.py", os.X_OK)
    assert (target / "environments/k1/lib/empty").is_dir()
    assert not (target / "cache").exists()


def test_the_same_files_give_the_same_bytes(root: Path) -> None:
    before = packed(root, "environments/k1", "runtimes/r1")
    os.utime(root / "runtimes/r1/code.py", (1, 1))
    (root / "runtimes/r1/code.py").chmod(0o600)
    assert packed(root, "runtimes/r1", "environments/k1") == before


@given(st.binary(max_size=3000))
def test_any_content_arrives(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("content")
    (root / "a").mkdir()
    (root / "a/file").write_bytes(content)
    unpack(packed(root, "a"), root / "out", "a")
    assert (root / "out/a/file").read_bytes() == content


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside", "environments/k1/../../outside", "environments/k2/file", "environments"],
)
def test_nothing_leaves_its_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(BrokenArchive, match="does not belong to environments/k1 or runtimes"):
        unpack(crafted(member(name)), tmp_path / "pod", "environments/k1", "runtimes")
    assert list(tmp_path.rglob("*")) == []


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    archive = crafted(member("a/link", tarfile.SYMTYPE, str(tmp_path / "outside")), member("a/link/file"))
    with pytest.raises(OSError):
        unpack(archive, tmp_path / "pod", "a")
    assert not (tmp_path / "outside").exists()


def test_other_kinds_of_entries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenArchive, match="neither a file nor a folder nor a link"):
        unpack(crafted(member("a/pipe", tarfile.FIFOTYPE)), tmp_path, "a")


def test_damaged_archives_are_refused(root: Path, tmp_path: Path) -> None:
    whole = packed(root, "environments/k1")
    for damaged in (b"", b"nothing", whole[: len(whole) // 2], zstd.compress(b"no tar")):
        with pytest.raises(BrokenArchive, match="cannot be read"):
            unpack(damaged, tmp_path / "pod", "environments/k1")
