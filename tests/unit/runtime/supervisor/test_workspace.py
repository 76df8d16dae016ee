"""A process's own copy of the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.contract.package import UNPACKED_AT
from gyrus.contract.replica import Reason
from gyrus.contract.system_limits import OUT_OF_SPACE
from gyrus.runtime.supervisor import workspace
from gyrus.runtime.supervisor.working_folder import CannotStart, WorkingFolder
from support.small_disk import small_disk

BIG = workspace.LARGE


def put(path: Path, content: bytes, *, mode: int = 0o444) -> Path:
    """A file as a package has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (UNPACKED_AT, UNPACKED_AT))
    path.chmod(mode)
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    put(folder / "handler.py", b"class Handler: ...")
    put(folder / "bin" / "run.sh", b"echo", mode=0o555)
    put(folder / "empty", b"")
    put(folder / "weights" / "model.bin", b"m" * BIG)
    (folder / "latest").symlink_to("weights/model.bin")
    (folder / "nowhere").symlink_to("missing")
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "work" / "0"


def create(package: Path, own: Path) -> None:
    workspace.create(str(package), str(own))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_it_has_the_same_files(package: Path, own: Path) -> None:
    create(package, own)
    assert files(own) == files(package)
    assert os.access(own / "bin" / "run.sh", os.X_OK)
    assert not os.access(own / "handler.py", os.X_OK)


def test_what_is_written_there_stays_there(package: Path, own: Path) -> None:
    create(package, own)
    before = files(package)
    (own / "handler.py").write_text("changed")
    (own / "bin" / "run.sh").unlink()
    (own / "weights" / "model.bin.new").write_text("new")
    (own / "weights" / "model.bin.new").replace(own / "weights" / "model.bin")
    (own / "new").mkdir()
    assert files(package) == before
    create(package, own)
    assert files(own) == before, "the next process starts from the package"


def test_a_large_file_takes_no_space(package: Path, own: Path) -> None:
    create(package, own)
    model, copy = package / "weights" / "model.bin", own / "weights" / "model.bin"
    shared = copy.stat().st_ino == model.stat().st_ino
    assert shared or workspace._clone(str(model), str(own / "again"), model.stat())  # pyright: ignore[reportPrivateUsage] -- whether this file system has reflinks
    assert not copy.stat().st_mode & 0o222 or not shared


@pytest.mark.parametrize("mode", [0o444, 0o644])
def test_a_large_file_that_was_changed_is_not_used(package: Path, own: Path, mode: int) -> None:
    model = package / "weights" / "model.bin"
    model.chmod(0o644)
    if mode == 0o444:
        with model.open("r+b") as file:
            file.write(b"other")
    model.chmod(mode)
    with pytest.raises(workspace.PackageChanged, match=r"model\.bin was changed after it was unpacked"):
        create(package, own)
    with pytest.raises(CannotStart) as failed:
        WorkingFolder(str(package), str(own)).enter()
    assert failed.value.verdict.reason is Reason.PACKAGE
    assert "stop what writes to it, and deploy the project again" in str(failed.value)


def test_a_fork_s_folder_is_a_copy_of_its_parent_s(package: Path, own: Path, tmp_path: Path) -> None:
    create(package, own)
    (own / "cache").write_text("made by the module")
    (own / "cache.bin").write_bytes(b"c" * BIG)
    workspace.protect(str(own))
    other = tmp_path / "work" / "1"
    workspace.fork(str(own), str(other))
    assert files(other) == files(own)
    assert (other / "cache.bin").stat().st_ino != (own / "cache.bin").stat().st_ino
    (other / "cache").write_text("mine")
    assert (own / "cache").read_text() == "made by the module"
    workspace.remove(str(own))
    assert not own.exists()


def test_folders_that_the_handler_made_read_only_are_removed(
    package: Path, own: Path, tmp_path: Path
) -> None:
    create(package, own)
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (own / "link").symlink_to(outside)
    (own / "bin").chmod(0o500)
    own.chmod(0o500)
    workspace.remove(str(own))
    assert not own.exists()
    assert outside.stat().st_mode & 0o777 == 0o500, "links are not followed"


@pytest.fixture
def full_disk() -> Iterator[Path]:
    with small_disk(64 * 1024) as place:
        yield place


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a disk")
def test_a_full_disk_has_a_name(package: Path, full_disk: Path) -> None:
    with pytest.raises(CannotStart) as failed:
        WorkingFolder(str(package), str(full_disk / "0")).enter()
    assert failed.value.verdict.reason is Reason.EXHAUSTED
    assert str(failed.value) == (
        f"the working folder {full_disk}/0 could not be written: No space left on device: " + OUT_OF_SPACE
    )
