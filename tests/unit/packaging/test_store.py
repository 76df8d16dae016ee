from __future__ import annotations

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.package import is_as_unpacked
from gyrus.packaging import unpacking
from gyrus.packaging.archive import pack
from gyrus.packaging.errors import (
    BrokenArchive,
    DigestMismatch,
    PackageTooLarge,
    StorageFull,
    UnknownPackage,
    reporting_full_storage,
)
from gyrus.packaging.store import PackageStore
from support.small_disk import small_disk


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def chunks(content: bytes, size: int = 700) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """The archive of a small project."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "handler.py").write_text("class Handler: ...\n")
    (folder / "run.sh").write_text("echo\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "latest").symlink_to("src/handler.py")
    into = io.BytesIO()
    pack(folder, into)
    return into.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    store = PackageStore(tmp_path / "packages", tmp_path / "projects", limit=20_000)
    store.clean_up()
    return store


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "packages").iterdir())


async def test_what_was_packed_comes_out_again(store: PackageStore, content: bytes, tmp_path: Path):
    digest = digest_of(content)
    assert not store.has(digest)
    assert await store.add(digest, chunks(content)) == len(content)
    assert store.has(digest)
    assert kept(tmp_path) == [f"{digest}.tar"]
    folder = await store.project(digest)
    assert folder == tmp_path / "projects" / digest
    assert (folder / "src" / "handler.py").read_text() == "class Handler: ...\n"
    assert os.readlink(folder / "latest") == "src/handler.py"
    modes = {
        path.name: path.lstat().st_mode & 0o777 for path in (folder / "run.sh", folder / "src" / "handler.py")
    }
    assert modes == {"run.sh": 0o555, "handler.py": 0o444}
    again = io.BytesIO()
    assert pack(folder, again).files == ("latest", "run.sh", "src/handler.py")
    assert digest_of(again.getvalue()) == digest


async def test_an_upload_may_be_repeated(store: PackageStore, content: bytes, tmp_path: Path):
    digest = digest_of(content)
    await asyncio.gather(*(store.add(digest, chunks(content)) for _ in range(3)))
    await store.add(digest, chunks(content))
    assert kept(tmp_path) == [f"{digest}.tar"]


async def test_bytes_that_the_digest_does_not_name(store: PackageStore, content: bytes, tmp_path: Path):
    with pytest.raises(DigestMismatch, match=r"The upload \(10 bytes\) is not the package"):
        await store.add(digest_of(content), chunks(content[:10]))
    assert kept(tmp_path) == []


@pytest.mark.parametrize("digest", ["", "abc", "A" * 64, "../" + "a" * 61, "a" * 64 + "\n", "a" * 65])
async def test_what_is_no_digest(store: PackageStore, content: bytes, digest: str):
    assert not store.has(digest)
    with pytest.raises(DigestMismatch, match="is not a digest"):
        await store.add(digest, chunks(content))
    with pytest.raises(UnknownPackage):
        await store.project(digest)
    await store.forget([digest])


async def test_too_large_a_package_is_refused_as_soon_as_it_is(store: PackageStore, tmp_path: Path):
    taken = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1000)

    with pytest.raises(PackageTooLarge, match=r"larger than the allowed 19\.5 KiB"):
        await store.add("a" * 64, endless())
    assert taken == 21
    assert kept(tmp_path) == []


async def test_a_cancelled_upload_leaves_nothing(store: PackageStore, content: bytes, tmp_path: Path):
    arrived = asyncio.Event()

    async def stalling() -> AsyncGenerator[bytes]:
        yield content[:100]
        arrived.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(store.add(digest_of(content), stalling()))
    await arrived.wait()
    assert len(kept(tmp_path)) == 1
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert kept(tmp_path) == []


async def test_an_upload_that_breaks_off_leaves_nothing(store: PackageStore, content: bytes, tmp_path: Path):
    async def broken() -> AsyncGenerator[bytes]:
        yield content[:100]
        raise ConnectionError("the client went away")

    with pytest.raises(ConnectionError):
        await store.add(digest_of(content), broken())
    assert kept(tmp_path) == []


async def test_leftovers_are_cleaned_at_the_start(store: PackageStore, content: bytes, tmp_path: Path):
    digest = digest_of(content)
    await store.add(digest, chunks(content))
    (tmp_path / "packages" / ".unfinished-abc").write_bytes(b"half")
    (tmp_path / "projects" / ".unfinished-abc" / "files").mkdir(parents=True)
    store.clean_up()
    assert kept(tmp_path) == [f"{digest}.tar"]
    assert list((tmp_path / "projects").iterdir()) == []


async def test_a_project_is_unpacked_once_however_many_ask(
    store: PackageStore, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    times = 0
    unpack = unpacking.unpack

    def counting(archive: Path, folder: Path) -> None:
        nonlocal times
        times += 1
        unpack(archive, folder)

    monkeypatch.setattr(unpacking, "unpack", counting)
    await store.add(digest_of(content), chunks(content))
    folders = await asyncio.gather(*(store.project(digest_of(content)) for _ in range(5)))
    assert (times, len(set(folders))) == (1, 1)
    assert os.listdir(tmp_path / "projects") == [digest_of(content)]


async def test_a_project_is_examined_once_for_all_callers_at_the_same_time(
    store: PackageStore, content: bytes, monkeypatch: pytest.MonkeyPatch
):
    times = 0
    change = unpacking.change

    def counting(archive: Path, folder: Path) -> str | None:
        nonlocal times
        times += 1
        return change(archive, folder)

    await store.add(digest_of(content), chunks(content))
    await store.project(digest_of(content))
    monkeypatch.setattr(unpacking, "change", counting)
    await asyncio.gather(*(store.project(digest_of(content)) for _ in range(5)))
    assert times == 1
    await store.project(digest_of(content))
    assert times == 2


@pytest.mark.parametrize("harm", ["write", "replace", "remove", "relink", "make_writable"])
async def test_a_project_that_was_changed_is_unpacked_again(
    store: PackageStore, content: bytes, tmp_path: Path, harm: str
):
    digest = digest_of(content)
    await store.add(digest, chunks(content))
    folder = await store.project(digest)
    file, link = folder / "src" / "handler.py", folder / "latest"
    match harm:
        case "write":
            file.chmod(0o644)
            file.write_text("class Handler: 666")
            file.chmod(0o444)
        case "replace":
            file.unlink()
            file.write_text("class Handler: ...\n")
        case "remove":
            file.unlink()
        case "relink":
            link.unlink()
            link.symlink_to("run.sh")
        case _:
            file.chmod(0o644)
    assert await store.project(digest) == folder
    assert file.read_text() == "class Handler: ...\n"
    assert is_as_unpacked(file.stat())
    assert link.readlink() == Path("src/handler.py")
    assert [path.name for path in (tmp_path / "projects").iterdir()] == [digest]


async def test_files_that_a_build_has_added_stay(store: PackageStore, content: bytes):
    digest = digest_of(content)
    await store.add(digest, chunks(content))
    added = await store.project(digest) / "src" / "model.egg-info"
    added.write_text("")
    await store.project(digest)
    assert added.exists()


async def test_folders_of_earlier_versions_go_with_their_package(content: bytes, tmp_path: Path):
    store = PackageStore(tmp_path / "packages", tmp_path / "revisions", earlier=tmp_path / "projects")
    digest = digest_of(content)
    earlier = tmp_path / "projects" / digest
    earlier.mkdir(parents=True)
    await store.forget([digest])
    assert not earlier.exists()


async def test_an_unknown_project(store: PackageStore):
    with pytest.raises(UnknownPackage, match="does not exist; deploy the project again"):
        await store.project("a" * 64)


async def test_forgetting(store: PackageStore, content: bytes, tmp_path: Path):
    digest = digest_of(content)
    await store.add(digest, chunks(content))
    folder = await store.project(digest)
    (folder / "written-by-a-handler.txt").touch()
    await store.forget([digest, "b" * 64])
    assert not store.has(digest)
    assert not folder.exists()
    assert kept(tmp_path) == []
    await store.add(digest, chunks(content))
    assert await store.project(digest) == folder


# Archives that must not be unpacked


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return into.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b"data" if kind == tarfile.REGTYPE else b""


def sparse() -> tuple[tarfile.TarInfo, bytes]:
    info, data = entry("sparse")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,4",
                        "GNU.sparse.size": str(2**40)}  # fmt: skip
    return info, data


def absurd_header() -> bytes:
    """An extended header that claims more bytes than a machine can count."""
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"\x80" + b"\xff" * 11
    header[156:157] = tarfile.XHDTYPE
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def bad_archives() -> Iterator[tuple[str, bytes]]:
    yield "no tar at all", b"hello" * 1000
    yield "empty", b""
    yield "absolute name", tar_of(entry("/etc/evil"))
    yield "name that leaves", tar_of(entry("../evil"))
    yield "name that leaves later", tar_of(entry("a/../../evil"))
    yield "unnormal name", tar_of(entry("a//b"))
    yield "absolute link", tar_of(entry("link", tarfile.SYMTYPE, "/etc/passwd"))
    yield "link that leaves", tar_of(entry("a/link", tarfile.SYMTYPE, "../../evil"))
    yield "hard link", tar_of(entry("a"), entry("b", tarfile.LNKTYPE, "a"))
    yield "device", tar_of(entry("null", tarfile.CHRTYPE))
    yield "pipe", tar_of(entry("pipe", tarfile.FIFOTYPE))
    yield "folder", tar_of(entry("folder", tarfile.DIRTYPE))
    yield "the same name twice", tar_of(entry("a"), entry("a"))
    yield "a file below a link", tar_of(entry("a", tarfile.SYMTYPE, "b"), entry("a/x"))
    yield "a file that is a folder too", tar_of(entry("a/x"), entry("a"))
    yield "a sparse file", tar_of(sparse())
    yield "no name", tar_of(entry("."))
    yield "too long a name", tar_of(entry("x" * 256))
    yield "too deep a name", tar_of(entry("a/" * 64 + "b"))
    yield "too deep a link", tar_of(entry("a", tarfile.SYMTYPE, "a/" * 64 + "b"))
    yield "no end mark", tar_of(entry("a"))[:1024]
    yield "a link with content", tar_of((entry("a", tarfile.SYMTYPE, "b")[0], b"data"))
    yield "a global header", tarfile.TarInfo.create_pax_global_header({"path": "x"}) + tar_of(entry("a"))
    yield "too long a link", tar_of(entry("a", tarfile.SYMTYPE, "x/" * 2000))
    yield "absurd header", absurd_header()
    yield "cut off", tar_of(entry("a"))[:513]


@pytest.mark.parametrize(
    ("case", "archive"), list(bad_archives()), ids=lambda v: v if isinstance(v, str) else ""
)
async def test_harmful_archives_are_refused(case: str, archive: bytes, store: PackageStore, tmp_path: Path):
    with pytest.raises(BrokenArchive):
        await store.add(digest_of(archive), chunks(archive))
    assert kept(tmp_path) == []


SYM = tarfile.SYMTYPE
LEAVING = {
    "by way of a later link": (entry("out", SYM, "here/../evil"), entry("here", SYM, ".")),
    "by way of an earlier link": (entry("here", SYM, "."), entry("out", SYM, "here/../evil")),
    "in three steps": (
        entry("a", SYM, "d/e"),
        entry("b", SYM, "a/../../../x"),
        entry("d/e/f"),
        entry("c", SYM, "b"),
    ),
    "from a folder": (entry("d/e/x"), entry("s", SYM, "d/e"), entry("d/e/out", SYM, "../../s/../../../x")),
    "through a loop that ends outside": (
        entry("a/b", SYM, "../c"),
        entry("c", SYM, "."),
        entry("o", SYM, "a/b/../x"),
    ),
}


@pytest.mark.parametrize("case", LEAVING)
async def test_links_that_leave_by_way_of_others_are_refused(case: str, store: PackageStore, tmp_path: Path):
    archive = tar_of(*LEAVING[case])
    with pytest.raises(
        BrokenArchive, match=r"is a link (that leaves the folder through another link|to .* leaves)"
    ):
        await store.add(digest_of(archive), chunks(archive))
    assert kept(tmp_path) == []


async def test_links_that_stay_are_accepted(store: PackageStore):
    archive = tar_of(
        entry("a/b/c"), entry("l", SYM, "a/b"), entry("a/up", SYM, "../l/c"), entry("m", SYM, "l/../b/c"),
        entry("loop", SYM, "loop"), entry("x", SYM, "y"), entry("y", SYM, "x/z"), entry("n", SYM, "l/none"),
    )  # fmt: skip
    await store.add(digest_of(archive), chunks(archive))
    folder = await store.project(digest_of(archive))
    assert (folder / "m").read_bytes() == (folder / "a" / "up").read_bytes() == b"data"


def swapped(name: str) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [entry(name), entry(name.swapcase())]


@pytest.mark.parametrize(
    "members",
    [
        swapped("readme"),
        [entry("a/x"), entry("A")],
        [entry("gr\u00fc\u00df"), entry("GRU\u0308SS")],
        [entry("L", SYM, "."), entry("l/x")],
        [entry("L", SYM, "d"), entry("l", SYM, "e")],
    ],
)
def test_names_that_differ_by_case_alone_are_refused_where_case_is_ignored(
    members: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar_of(*members))
    assert not unpacking.ignores_case(tmp_path)
    unpacking.check(archive, tmp_path)
    monkeypatch.setattr(unpacking, "ignores_case", bool)
    with pytest.raises(BrokenArchive, match="occurs twice"):
        unpacking.check(archive, tmp_path)


def test_a_package_has_bounded_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = tmp_path / "a.tar"
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 4)
    archive.write_bytes(tar_of(entry("a/b/c"), entry("d")))
    unpacking.check(archive, tmp_path)
    archive.write_bytes(tar_of(entry("a/b/c"), entry("e/f")))
    with pytest.raises(BrokenArchive, match="is one too many: a package has at most 4 files and folders"):
        unpacking.check(archive, tmp_path)
    monkeypatch.setattr(unpacking, "MOST_LINKS", 1)
    archive.write_bytes(tar_of(entry("a", SYM, "x"), entry("b", SYM, "x")))
    with pytest.raises(BrokenArchive, match="has more than 1 links"):
        unpacking.check(archive, tmp_path)


def test_the_memory_of_an_examination_is_linear_in_the_archive(tmp_path: Path):
    archive = tmp_path / "a.tar"
    names = [f"{'d/' * 60}{n}/{'e/' * 2}f" for n in range(1000)]
    archive.write_bytes(tar_of(*(entry(name) for name in names)))
    tracemalloc.start()
    unpacking.check(archive, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * archive.stat().st_size


def test_large_headers_are_refused_unread(tmp_path: Path):
    info, data = entry("a")
    info.pax_headers = {"comment": "x" * 17_000}
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar_of((info, data)))
    with pytest.raises(BrokenArchive, match="a header has more than 16384 bytes"):
        unpacking.check(archive, tmp_path)


def test_a_file_of_8_gib_has_its_size_in_an_extended_header(tmp_path: Path):
    info, _ = entry("a")
    info.size = 2**33
    archive = tmp_path / "a.tar"
    with archive.open("wb") as file:
        file.write(info.tobuf(tarfile.PAX_FORMAT))
        file.truncate(file.tell() + info.size + 1024)  # a hole: it takes no space
    unpacking.check(archive, tmp_path)


@given(data=st.data())
def test_a_damaged_archive_is_refused_or_harmless(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    place = tmp_path_factory.mktemp("damaged")
    archive = bytearray(tar_of(entry("a/ü" + "x" * 120), entry("b"), entry("c", tarfile.SYMTYPE, "b")))
    for _ in range(data.draw(st.integers(1, 12))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    (place / "archive.tar").write_bytes(archive)
    try:
        unpacking.check(place / "archive.tar", place)
        unpacking.unpack(place / "archive.tar", place / "files")
    except BrokenArchive:
        pass
    assert {path.name for path in place.iterdir()} <= {"archive.tar", "files"}


# A full disk


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A file system of 64 KiB."""
    with small_disk(64 * 1024) as place:
        yield place


@pytest.mark.processes
async def test_an_upload_to_a_full_disk(full_disk: Path):
    store = PackageStore(full_disk / "packages", full_disk / "projects")
    store.clean_up()
    large = tar_of(entry("small"), (tarfile.TarInfo("large"), bytes(100_000)))
    with pytest.raises(
        StorageFull, match=r"The disk is full: .*packages could not be written\. Free some space"
    ):
        await store.add(digest_of(large), chunks(large, 30_000))
    assert list((full_disk / "packages").iterdir()) == []
    half = tar_of((tarfile.TarInfo("half"), bytes(35_000)))
    await store.add(digest_of(half), chunks(half))
    with pytest.raises(StorageFull, match="projects could not be written"):
        await store.project(digest_of(half))
    assert list((full_disk / "projects").iterdir()) == []


def test_a_full_disk_is_reported():
    with pytest.raises(StorageFull, match=r"The disk is full: /here could not be written"):  # noqa: SIM117
        with reporting_full_storage("/here"), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
    with pytest.raises(PermissionError), reporting_full_storage("/here"):
        raise PermissionError


@pytest.mark.processes
def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, gyrus.packaging.archive, gyrus.packaging.store\n"
        "print([m for m in ('pathspec', 'pydantic', 'yaml', 'tempfile') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pathspec" not in loaded
    assert "pydantic" not in loaded
