from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from gyrus.packaging import archive as archive_module
from gyrus.packaging import selection as selection_module
from gyrus.packaging.archive import Archive, pack, readable
from gyrus.packaging.errors import FolderRefused, FolderTooLarge, StorageFull

Write = Callable[..., Path]
OTHER_USER = 65534


def packed(folder: Path, **options: object) -> tuple[Archive, bytes]:
    into = io.BytesIO()
    result = pack(folder, into, **options)  # pyright: ignore[reportArgumentType] -- passed on as they are
    return result, into.getvalue()


def names(folder: Path) -> list[str]:
    return list(packed(folder)[0].files)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def write(project: Path) -> Write:
    def write_file(name: str, content: str = "", mode: int = 0o644) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path

    return write_file


def refusal(folder: Path, **options: object) -> str:
    with pytest.raises(FolderRefused) as caught:
        packed(folder, **options)
    return str(caught.value)


# The bytes


def test_the_archive_is_a_plain_tar(project: Path, write: Write):
    write("b/handler.py", "x = 1\n")
    write("a.sh", "echo\n", 0o755)
    (project / "b" / "link.py").symlink_to("handler.py")
    (project / "empty").mkdir()
    result, content = packed(project)
    assert result.files == ("a.sh", "b/handler.py", "b/link.py")
    assert (result.size, result.digest) == (len(content), hashlib.sha256(content).hexdigest())
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
        assert [(m.name, m.mode, m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members] == [
            ("a.sh", 0o755, 0, 0, 0, "", ""),
            ("b/handler.py", 0o644, 0, 0, 0, "", ""),
            ("b/link.py", 0o777, 0, 0, 0, "", ""),
        ]
        assert members[2].linkname == "handler.py"
        handler = tar.extractfile("b/handler.py")
        assert handler
        assert handler.read() == b"x = 1\n"


def test_the_same_bytes_on_every_machine_and_in_every_version(project: Path, write: Write):
    write("handler.py", "class Handler: ...\n")
    write("run.sh", "echo\n", 0o755)
    write("daten/größe-" + "x" * 120 + ".txt", "long and beyond ASCII")
    (project / "latest").symlink_to("handler.py")
    expected = "e28b34b879048ec66f65c4afa799a764854ad917b19c64fb27de208698ec3f58"
    assert packed(project)[0].digest == expected


def test_a_copy_has_the_same_digest(project: Path, write: Write, tmp_path: Path):
    write("src/handler.py", "x = 1\n")
    write("z.txt", "z", 0o600)
    write("a.txt", "a", 0o664)
    copy = tmp_path / "elsewhere"
    copy.mkdir(mode=0o700)
    for name in ("z.txt", "src", "a.txt"):  # made in another order, at another time, with other modes
        source = project / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    (copy / "z.txt").chmod(0o640)
    os.utime(copy / "a.txt", (1, 1))
    assert packed(copy) == packed(project)


def test_whatever_a_handler_can_notice_changes_the_digest(project: Path, write: Write):
    file = write("a.py", "x = 1\n")
    digests = {packed(project)[0].digest}
    file.chmod(0o755)
    digests.add(packed(project)[0].digest)
    file.write_text("x = 2\n")
    digests.add(packed(project)[0].digest)
    file.rename(project / "b.py")
    digests.add(packed(project)[0].digest)
    (project / "a.py").symlink_to("b.py")
    digests.add(packed(project)[0].digest)
    assert len(digests) == 5


def test_an_empty_folder_has_a_package_too(project: Path):
    result, content = packed(project)
    assert (result.files, content) == ((), bytes(1024))


# What belongs in it


def test_what_is_always_left_out(project: Path, write: Write):
    for name in (
        ".git/config", "__pycache__/a.pyc", "src/__pycache__/b.pyc", "c.pyc", ".DS_Store",
        ".venv/pyvenv.cfg", ".venv/bin/python", "my-env/pyvenv.cfg", "my-env/lib/x.py",
        "sub/.git", "venv.py", "handler.py",
    ):  # fmt: skip
        write(name)
    assert names(project) == ["handler.py", "venv.py"]


def test_a_link_to_an_environment_elsewhere_is_left_out(project: Path, write: Write, tmp_path: Path):
    environment = tmp_path / "environment"
    environment.mkdir()
    (environment / "pyvenv.cfg").touch()
    (project / ".venv").symlink_to(environment)
    write("handler.py")
    assert names(project) == ["handler.py"]


def test_the_home_of_the_platform_is_left_out(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch):
    write("home/state.db")
    write("handler.py")
    assert names(project) == ["handler.py", "home/state.db"]
    monkeypatch.setenv("GYRUS_HOME", str(project / "home"))
    assert names(project) == ["handler.py"]


def test_ignore_files_as_git_reads_them(project: Path, write: Write):
    write(".gitignore", "# data\n*.csv\n/build\nlogs/\n!keep.csv\n**/tmp*\nspaced\\ name\n")
    write("src/.gitignore", "!wanted.csv\nlocal.py\n/top.py\n")
    for name in (
        "a.csv", "keep.csv", "build/x", "src/build/x", "logs/x", "src/logs", "src/wanted.csv",
        "src/other.csv", "src/local.py", "src/deep/local.py", "src/top.py", "src/deep/top.py", "local.py",
        "src/deep/tmp1",
        "spaced name", "logs2",
    ):  # fmt: skip
        write(name)
    assert names(project) == [
        ".gitignore", "keep.csv", "local.py", "logs2", "src/.gitignore", "src/build/x", "src/deep/top.py",
        "src/logs", "src/wanted.csv",
    ]  # fmt: skip


def test_a_file_in_a_folder_that_is_left_out_cannot_be_brought_back(project: Path, write: Write):
    write(".gitignore", "data/\n!data/keep.txt\n")
    write("data/keep.txt")
    write("data/.gitignore", "!*\n")
    assert names(project) == [".gitignore"]


def test_gyrusignore_comes_after_gitignore(project: Path, write: Write):
    write(".gitignore", "model.pkl\n")
    write(".gyrusignore", "!model.pkl\ntests/\n")
    write("model.pkl")
    write("tests/test_handler.py")
    assert names(project) == [".gitignore", ".gyrusignore", "model.pkl"]


def test_a_needed_file_that_is_left_out(project: Path, write: Write):
    write(".gitignore", "*.py\n")
    write("src/handler.py")
    assert refusal(project, needed=["./src/handler.py"]) == (
        "src/handler.py is required, but an ignore file leaves it out; "
        "add the line !src/handler.py to .gyrusignore."
    )
    write(".gyrusignore", "!src/handler.py\n")
    assert "src/handler.py" in packed(project, needed=["./src/handler.py"])[0].files


# What cannot be packed


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside", "../project/a.txt"])
def test_links_that_leave_the_folder(project: Path, write: Write, target: str):
    write("sub/x")
    write("a.txt")
    (project / "link").symlink_to(target)
    assert refusal(project) == (
        f"link is a link to {target}, which leaves the folder; "
        "replace it by a copy of the file, or leave it out with a line in .gyrusignore."
    )


def test_a_link_that_leaves_by_way_of_another(project: Path, write: Write):
    write("a.txt")
    (project / "here").symlink_to(".")
    (project / "link").symlink_to("here/../outside")
    assert refusal(project).startswith("link is a link to here/../outside, which leaves the folder")


def test_an_absolute_link_into_the_folder_would_not_work_elsewhere(project: Path, write: Write):
    (project / "link").symlink_to(write("a.txt"))
    assert "which leaves the folder" in refusal(project)


def test_links_that_stay(project: Path, write: Write):
    write("a/b/c.txt")
    (project / "a/up").symlink_to("../a/b")
    (project / "a/dangling").symlink_to("nothing")
    (project / "loop").symlink_to("loop")
    assert names(project) == ["a/b/c.txt", "a/dangling", "a/up", "loop"]


def test_special_files(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("server.sock")
        assert refusal(project).startswith("server.sock is a socket, which cannot be packed; remove it")
    (project / "server.sock").unlink()
    os.mkfifo(project / "queue")
    assert refusal(project).startswith("queue is a pipe, which cannot be packed")
    write(".gyrusignore", "queue\n")
    assert names(project) == [".gyrusignore"]


def test_names_that_are_too_deep_or_too_long(project: Path, write: Write):
    write("a/" * 63 + "b")
    assert names(project) == ["a/" * 63 + "b"]
    write("c/" * 64 + "d")
    assert "is in more than 6" in refusal(project)
    write(".gyrusignore", "c/\n")
    assert names(project) == [".gyrusignore", "a/" * 63 + "b"]


def test_too_many_entries(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selection_module, "MOST_ENTRIES", 5)
    for n in range(4):
        write(f"d/{n}")
    assert len(names(project)) == 4
    write("e")
    assert "The folder has more than 5 files and folders" in refusal(project)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder of a user with limited permissions: root's tests become another user's here."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, OTHER_USER, OTHER_USER)
        os.seteuid(OTHER_USER)
    yield folder
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_what_cannot_be_read(own_folder: Path):
    secret, sub = own_folder / "secret.txt", own_folder / "sub"
    secret.touch(mode=0)
    assert refusal(own_folder) == (
        "secret.txt cannot be read: Permission denied; "
        "check its permissions, or leave it out with a line in .gyrusignore."
    )
    secret.unlink()
    sub.mkdir(mode=0)
    assert refusal(own_folder) == (
        "The folder sub/ cannot be read: Permission denied; "
        "check its permissions, or leave it out with a line in .gyrusignore."
    )


def test_no_folder(project: Path, write: Write):
    assert refusal(write("a.txt")).endswith("a.txt is not a folder; give the folder of the project.")
    assert refusal(project / "nowhere").endswith("nowhere is not a folder; give the folder of the project.")


class Meddler(io.BytesIO):
    """Acts as soon as something is written."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def write(self, data: object, /) -> int:
        self._act()
        return super().write(data)  # pyright: ignore[reportArgumentType] -- whatever it is


def shorten(path: Path) -> None:
    path.write_text("short")


def lengthen(path: Path) -> None:
    path.write_text("y" * 200)


def rewrite(path: Path, times: Iterator[int] = count()) -> None:  # noqa: B008 -- goes on from call to call
    path.write_text("y" * 100)
    os.utime(path, (0, next(times)))


@pytest.mark.parametrize("change", [shorten, lengthen, rewrite])
def test_a_file_that_changes_while_it_is_packed(
    project: Path, write: Write, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archive_module, "CHUNK", 10)
    file = write("data.txt", "x" * 100)
    with pytest.raises(FolderRefused, match=r"data\.txt changed while it was packed; try again"):
        pack(project, Meddler(lambda: change(file)))


def test_a_file_that_disappears_while_it_is_packed(project: Path, write: Write):
    file = write("data.txt", "x")
    with pytest.raises(FolderRefused, match=r"data\.txt cannot be read: No such file"):
        pack(project, Meddler(lambda: file.unlink(missing_ok=True)))


def test_a_folder_that_is_too_large(project: Path, write: Write):
    for n in range(8):
        write(f"part-{n}.bin", "x" * 1000 * n)
    assert packed(project, limit=40_000)[0].size <= 40_000
    with pytest.raises(FolderTooLarge) as caught:
        packed(project, limit=30_000)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "The folder is too large for a package: 33.0 KiB, and 29.3 KiB are allowed; "
        "list unneeded files in .gyrusignore. The largest files:"
    )
    assert [line.split() for line in lines[1:3]] == [
        ["6.8", "KiB", "part-7.bin"],
        ["5.9", "KiB", "part-6.bin"],
    ]


def test_the_size_that_is_checked_is_the_size_that_is_written(project: Path, write: Write):
    write("a", "x" * 512)
    write("b", "x" * 513)
    size = packed(project)[0].size
    assert packed(project, limit=size)[0].size == size
    with pytest.raises(FolderTooLarge):
        packed(project, limit=size - 1)


def test_a_full_disk(project: Path, write: Write):
    write("a.txt", "x" * 100_000)
    with pytest.raises(StorageFull, match="The disk is full"), open("/dev/full", "wb", buffering=0) as full:
        pack(project, full)  # pyright: ignore[reportArgumentType] -- unbuffered


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**30, "1.0 GiB"), (2**41, "2048.0 GiB")],
)
def test_readable_sizes(size: int, text: str):
    assert readable(size) == text
