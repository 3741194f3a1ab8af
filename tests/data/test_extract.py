"""Archives that are safe come out whole; every kind that is not is refused and writes nothing outside."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from biostyle.data.extract import Limits, extract
from biostyle.errors import ArchiveError, OutputError

ZERO_MIB = bytes(1 << 20)


def write_zip(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, data)
    return path


def write_tar(path: Path, *members: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as opened:  # type: ignore[call-overload]
        for member in members:
            opened.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, link
    return member


def assert_refused(archive: Path, tmp_path: Path, match: str, **options: object) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ArchiveError, match=match):
        extract(archive, tmp_path / "out", **options)  # type: ignore[arg-type]
    made = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "out") and not path.is_symlink() for path in made)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_whole_archive_is_unpacked_and_hashed(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "in"
    (source / "top" / "01").mkdir(parents=True)
    (source / "top" / "01" / "t000.tif").write_bytes(b"frame" * 1000)
    (source / "top" / "empty").write_bytes(b"")
    (source / "elsewhere").write_bytes(b"not wanted")
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for path in sorted(source.rglob("*")):
                opened.write(path, path.relative_to(source))
    else:
        with tarfile.open(archive, "w:" + suffix.partition(".")[2]) as tar:  # type: ignore[call-overload]
            tar.add(source, arcname=".")
    seen: list[int] = []
    entries = extract(archive, tmp_path / "out", top_folder="top", progress=seen.append)
    assert sorted((entry.path, entry.size_bytes) for entry in entries) == [
        ("01/t000.tif", 5000),
        ("empty", 0),
    ]
    assert (tmp_path / "out" / "01" / "t000.tif").read_bytes() == b"frame" * 1000
    assert {entry.sha256 for entry in entries if entry.size_bytes} == {
        hashlib.sha256(b"frame" * 1000).hexdigest()
    }
    assert max(seen) == 5000
    assert not (tmp_path / "out" / "elsewhere").exists()


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil", "\\\\server\\evil", "a/b/../../../evil"],
)
def test_path_outside_is_refused_in_a_zip(tmp_path: Path, name: str) -> None:
    archive = write_zip(tmp_path / "a.zip", {"fine": b"1", name: b"2"})
    assert_refused(archive, tmp_path, "got a path outside the target folder: .*evil")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_path_outside_is_refused_in_a_tar(tmp_path: Path, name: str) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", tar_member("fine"), tar_member(name))
    assert_refused(archive, tmp_path, "got a path outside the target folder: .*evil")


def test_symlink_is_refused_in_a_zip(tmp_path: Path) -> None:
    assert_refused(
        write_zip(tmp_path / "a.zip", {"lnk": b"/etc/passwd"}, 0o120777), tmp_path, "a link: 'lnk'"
    )


def test_device_is_refused_in_a_zip(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"dev": b""}, 0o060666)
    assert_refused(archive, tmp_path, "a device or special file: 'dev'")


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (tarfile.SYMTYPE, "a link: 'lnk'"),
        (tarfile.LNKTYPE, "a link: 'lnk'"),
        (tarfile.CHRTYPE, "a device or special file: 'lnk'"),
        (tarfile.BLKTYPE, "a device or special file: 'lnk'"),
        (tarfile.FIFOTYPE, "a device or special file: 'lnk'"),
    ],
)
def test_links_and_devices_are_refused_in_a_tar(tmp_path: Path, kind: bytes, match: str) -> None:
    archive = write_tar(
        tmp_path / "a.tar.gz", tar_member("lnk", kind, link="../outside"), tar_member("lnk/x")
    )
    assert_refused(archive, tmp_path, match)


def test_encrypted_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "a.zip", {"secret": b"1"}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert_refused(tmp_path / "a.zip", tmp_path, "an encrypted member: 'secret'")


def test_duplicate_member_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", tar_member("twin", size=1), tar_member("twin", size=2))
    assert_refused(archive, tmp_path, "a member of that name twice: 'twin'")


def test_file_in_the_way_of_a_folder_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar.gz", tar_member("x", size=1), tar_member("x/y", size=1))
    assert_refused(archive, tmp_path, "a folder where the archive has a file: 'x/y'")


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_bomb_is_refused_by_ratio(tmp_path: Path, suffix: str) -> None:
    if suffix == "zip":
        archive = write_zip(tmp_path / "bomb.zip", {f"{i}": ZERO_MIB for i in range(20)})
    else:
        archive = write_tar(tmp_path / "bomb.tar.gz", *(tar_member(f"{i}", size=1 << 20) for i in range(20)))
    assert_refused(
        archive, tmp_path, rf"at most 200 times its size, got \d+ bytes from {archive.stat().st_size} "
    )
    assert sum(path.stat().st_size for path in tmp_path.glob("out/*")) < 20 << 20


def test_small_archive_may_compress_well(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "labels.zip", {"labels": ZERO_MIB})
    assert extract(archive, tmp_path / "out")[0].size_bytes == 1 << 20


def test_size_limit_holds_for_claims(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a": bytes(600), "b": bytes(600)})
    assert_refused(archive, tmp_path, "at most 1000 bytes, got at least 1200", limits=Limits(max_bytes=1000))
    assert not (tmp_path / "out").exists()


def test_size_limit_holds_for_bytes_whatever_the_header_claims(tmp_path: Path) -> None:
    """The central directory says ten bytes; the stream holds a mebibyte."""
    archive = write_zip(tmp_path / "a.zip", {"liar": ZERO_MIB})
    data = bytearray(archive.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"a.zip must be a complete zip or tar archive, got Bad CRC"):
        extract(archive, tmp_path / "out")
    assert (tmp_path / "out" / "liar").stat().st_size <= 10


def test_size_limit_holds_for_a_tar(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", tar_member("a", size=600), tar_member("b", size=600), mode="w")
    assert_refused(archive, tmp_path, "at most 1000 bytes, got at least 1200", limits=Limits(max_bytes=1000))


def test_count_limit(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"{i}": b"1" for i in range(6)})
    assert_refused(archive, tmp_path, "at most 5 members", limits=Limits(max_files=5))


def break_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"not a tar" * 500)[:-1] + b"x")


def break_bz2(path: Path) -> None:
    path.write_bytes(bz2.compress(bytes(1000))[:30])


def break_crc(path: Path) -> None:
    write_zip(path, {"a": b"payload" * 100})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 0xFF
    path.write_bytes(data)


def cut_zip(path: Path) -> None:
    write_zip(path, {f"{i}": bytes(range(256)) for i in range(50)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_tar_gz(path: Path) -> None:
    write_tar(path, *(tar_member(f"{i}", size=5000) for i in range(50)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_tar(path: Path) -> None:
    write_tar(path, tar_member("a", size=50_000), mode="w")
    path.write_bytes(path.read_bytes()[:20_000])


def write_text(path: Path) -> None:
    path.write_text("hello")


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [break_gzip, break_bz2, break_crc, cut_zip, cut_tar_gz, cut_tar, write_text, write_nothing]
)
def test_broken_archive_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "spoilt.zip")
    with pytest.raises(ArchiveError, match=r"^spoilt.zip must be a complete zip or tar archive, got [^\n]+$"):
        extract(tmp_path / "spoilt.zip", tmp_path / "out")


def test_unknown_compression_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "a.zip", {"a": b"1"}).read_bytes())
    data[data.index(b"PK\x01\x02") + 10] = 99
    data[8] = 99
    (tmp_path / "a.zip").write_bytes(data)
    assert_refused(tmp_path / "a.zip", tmp_path, "got That compression method is not supported")


def test_missing_top_folder_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"Other/t.tif": b"1"})
    assert_refused(archive, tmp_path, "files in the folder 'Cells', got none", top_folder="Cells")


def test_unwritable_target_is_the_users_problem(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"n" * 300: b"1"})
    with pytest.raises(OutputError, match=r"got File name too long while unpacking a.zip"):
        extract(archive, tmp_path / "out")


def test_full_disk_is_the_users_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(self: Path, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    archive = write_zip(tmp_path / "a.zip", {"a": b"1"})
    monkeypatch.setattr(Path, "mkdir", no_space)
    with pytest.raises(OutputError, match=r"got No space left on device while unpacking a.zip"):
        extract(archive, tmp_path / "out")
