"""One archive from a real server that breaks, lies and forgets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from biostyle.data.download import download
from biostyle.data.manifest import Manifest
from biostyle.errors import ArchiveError, ChecksumError, DownloadError, OutputError

MakeManifest = Callable[..., Manifest]


def test_whole(tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes) -> None:
    seen: list[tuple[str, int, int]] = []
    path, sha256 = download(make_manifest().files[0], tmp_path, lambda *step: seen.append(step))
    assert path.read_bytes() == archive
    assert sha256 == hashlib.sha256(archive).hexdigest()
    assert seen[-1] == ("downloading Sim-Cells.zip", len(archive), len(archive))
    assert server.ranges == [None]


def test_resumed_after_cuts(tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes) -> None:
    server.cuts = [100_000, 50_000]
    path, _ = download(make_manifest().files[0], tmp_path)
    assert path.read_bytes() == archive
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_resumed_in_a_later_call(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    file = make_manifest().files[0]
    server.cuts = [100_000, 0, 0, 0, 0]
    message = (
        f"got 100000 of {len(archive)} bytes after 5 failures in a row, the last: .* broke at byte 100000"
    )
    with pytest.raises(DownloadError, match=message):
        download(file, tmp_path)
    assert download(file, tmp_path)[0].read_bytes() == archive
    assert server.ranges[-1] == "bytes=100000-"


def test_what_is_whole_is_not_asked_for_again(
    tmp_path: Path, server: Any, make_manifest: MakeManifest
) -> None:
    file = make_manifest().files[0]
    assert download(file, tmp_path) == download(file, tmp_path)
    assert len(server.ranges) == 1


def test_server_without_ranges(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    server.honours_ranges = False
    server.cuts = [100_000]
    assert download(make_manifest().files[0], tmp_path)[0].read_bytes() == archive


def test_server_with_another_range(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    server.cuts, server.shift = [100_000], 7
    assert download(make_manifest().files[0], tmp_path)[0].read_bytes() == archive
    assert server.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize("etag", ['"two"', 'W/"two"', ""])
def test_archive_changed_between_the_halves(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes, etag: str
) -> None:
    """The second half is never glued to the first half of another version."""
    file = make_manifest().files[0]
    server.files["Sim-Cells.zip"] = bytes(len(archive))
    server.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="got 100000 of"):
        download(file, tmp_path)
    server.files["Sim-Cells.zip"], server.etag = archive, etag
    assert download(file, tmp_path)[0].read_bytes() == archive


def test_unknown_version_is_not_resumed(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    """Without a version from the server and a checksum in the manifest nothing would notice the seam."""
    server.etag = ""
    server.cuts = [100_000]
    assert download(make_manifest(sha256=None).files[0], tmp_path)[0].read_bytes() == archive
    assert server.ranges == [None, None]


def test_broken_server_recovers(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    server.statuses = [500, 503, 429]
    assert download(make_manifest().files[0], tmp_path)[0].read_bytes() == archive


def test_broken_server_stays_broken(tmp_path: Path, server: Any, make_manifest: MakeManifest) -> None:
    server.statuses = [500] * 5
    with pytest.raises(
        DownloadError, match=r"got 0 of .* after 5 failures in a row, the last: HTTP Error 500"
    ):
        download(make_manifest().files[0], tmp_path)


def test_missing_page_is_not_retried(tmp_path: Path, server: Any, make_manifest: MakeManifest) -> None:
    with pytest.raises(DownloadError, match=r"got HTTP 404 Not Found \(http://127.0.0.1:\d+/gone.zip\)"):
        download(make_manifest(url=server.url("gone.zip")).files[0], tmp_path)
    assert len(server.ranges) == 1


def test_nobody_listens(tmp_path: Path, server: Any, make_manifest: MakeManifest) -> None:
    with pytest.raises(DownloadError, match=r"after 5 failures in a row, the last: .*refused"):
        download(make_manifest(url="http://127.0.0.1:9/Sim-Cells.zip").files[0], tmp_path)


def test_wrong_hash_is_deleted(tmp_path: Path, make_manifest: MakeManifest, archive: bytes) -> None:
    right = hashlib.sha256(archive).hexdigest()
    with pytest.raises(
        ChecksumError, match=f"has SHA-256 {right}, its manifest says {'0' * 64}. The file was deleted"
    ):
        download(make_manifest(sha256="0" * 64).files[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_truncated_at_the_publisher(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    server.files["Sim-Cells.zip"] = archive[:-1000]
    message = f"must be exactly {len(archive)} bytes, got {len(archive) - 1000} "
    with pytest.raises(ChecksumError, match=message):
        download(make_manifest().files[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_endless_file_is_cut_off(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    server.files["Sim-Cells.zip"], server.announces_length = archive * 3, False
    file = make_manifest(size_is_approximate=True).files[0]
    with pytest.raises(
        ChecksumError, match=f"at most {2 * len(archive)} bytes, got more than {2 * len(archive)} "
    ):
        download(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_announced_monster_is_not_begun(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    server.files["Sim-Cells.zip"] = archive * 3
    with pytest.raises(ChecksumError, match=f"at most {2 * len(archive)} bytes, got {3 * len(archive)} "):
        download(make_manifest(size_is_approximate=True).files[0], tmp_path)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/zip"])
def test_page_of_html(tmp_path: Path, server: Any, make_manifest: MakeManifest, content_type: str) -> None:
    page = b"\n<!DOCTYPE html><html><head><title>\n Sign in </title></head></html>"
    server.files["Sim-Cells.zip"], server.content_type = page, content_type
    with pytest.raises(
        ArchiveError, match=r"Sim-Cells.zip must be an archive, got a page of HTML titled 'Sign in'"
    ):
        download(make_manifest().files[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_page_of_html_costs_nothing_of_what_is_there(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    file = make_manifest().files[0]
    server.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="got 100000 of"):
        download(file, tmp_path)
    server.files["Sim-Cells.zip"], server.honours_ranges = b"<html>busy</html>", False
    with pytest.raises(ArchiveError, match="a page of HTML "):
        download(file, tmp_path)
    server.files["Sim-Cells.zip"], server.honours_ranges = archive, True
    assert download(file, tmp_path)[0].read_bytes() == archive
    assert server.ranges[-1] == "bytes=100000-"


def test_whole_file_of_unknown_size(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    """The server says that nothing is missing (416), which is the only way to know."""
    file = make_manifest(size_is_approximate=True, sha256=None, size_bytes=len(archive) + 5).files[0]
    assert download(file, tmp_path)[0].read_bytes() == archive
    assert download(file, tmp_path)[0].read_bytes() == archive
    assert server.ranges == [None, f"bytes={len(archive)}-"]


def test_more_than_the_server_has(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes
) -> None:
    file = make_manifest(size_is_approximate=True).files[0]
    (tmp_path / file.name).write_bytes(archive + b"extra")
    assert download(file, tmp_path)[0].read_bytes() == archive


def test_unwritable_folder(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/x/Sim-Cells.zip must be writable, got Not a directory"):
        download(make_manifest().files[0], tmp_path / "file" / "x")


def test_full_disk(tmp_path: Path, make_manifest: MakeManifest) -> None:
    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"Sim-Cells.zip must be writable, got No space left on device"):
        download(make_manifest().files[0], tmp_path, disk_full)
