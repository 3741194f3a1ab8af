"""A data set's folder is complete or not there, and what is in it can be checked again."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from biostyle.data.cache import (
    RECORD_NAME,
    complete_folder,
    copy_folder,
    data_root,
    is_complete,
    locked,
    publish,
    verify,
)
from biostyle.data.extract import FileEntry
from biostyle.data.manifest import Manifest
from biostyle.errors import ArchiveError, ArtifactMismatchError, ChecksumError, DataError, OutputError
from biostyle.io.integrity import sha256

MakeManifest = Callable[..., Manifest]


def fill(folder: Path) -> list[FileEntry]:
    entries = []
    for name in ["01/t000.tif", "01/t001.tif", "01_GT/SEG/man_seg000.tif"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
        entries.append(FileEntry(name, len(name), sha256(folder / name)))
    return entries


def test_data_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIOSTYLE_DATA", str(tmp_path / "env"))
    assert data_root() == tmp_path / "env"
    assert data_root(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.delenv("BIOSTYLE_DATA")
    assert data_root().name == "biostyle"


def test_publish_and_verify(tmp_path: Path, make_manifest: MakeManifest) -> None:
    manifest = make_manifest()
    assert complete_folder(manifest, tmp_path) is None
    folder = publish(manifest, tmp_path, fill, {})
    assert folder == tmp_path / "Sim-Cells" == complete_folder(manifest, tmp_path)
    assert is_complete("Sim-Cells", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Sim-Cells"]
    record = json.loads((folder / RECORD_NAME).read_text())
    sha256 = hashlib.sha256(b"01/t000.tif").hexdigest()
    assert record["files"][0] == {"path": "01/t000.tif", "size_bytes": 11, "sha256": sha256}
    seen: list[tuple[str, int, int]] = []
    assert verify(manifest, tmp_path, lambda *step: seen.append(step)) == 3
    assert seen[-1] == ("verifying", 46, 46)


def test_half_made_folder_is_made_again(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "Sim-Cells.partial" / "01").mkdir(parents=True)
    (tmp_path / "Sim-Cells.partial" / "01" / "t999.tif").write_bytes(b"old")
    folder = publish(make_manifest(), tmp_path, fill, {})
    assert not (folder / "01" / "t999.tif").exists()


def test_failure_leaves_nothing(tmp_path: Path, make_manifest: MakeManifest) -> None:
    def fail(folder: Path) -> list[FileEntry]:
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="Sim-Cells must be writable, got No space left on device"):
        publish(make_manifest(), tmp_path, fail, {})
    assert list(tmp_path.iterdir()) == []


def test_missing_expected_file(tmp_path: Path, make_manifest: MakeManifest) -> None:
    manifest = make_manifest({"expects": ["02/t*.tif"]})
    with pytest.raises(ArchiveError, match=r"Sim-Cells must hold 02/t\*.tif, got only 01, 01_GT at the top"):
        publish(manifest, tmp_path, fill, {})
    assert list(tmp_path.iterdir()) == []


def test_verify_names_what_changed(tmp_path: Path, make_manifest: MakeManifest) -> None:
    manifest = make_manifest()
    folder = publish(manifest, tmp_path, fill, {})
    (folder / "01" / "t000.tif").unlink()
    (folder / "01" / "t001.tif").write_bytes(b"01/t0O1.tif")
    message = "hold its 3 files unchanged, got 01/t000.tif is missing; 01/t001.tif was altered "
    with pytest.raises(ChecksumError, match=message):
        verify(manifest, tmp_path)


def test_verify_names_the_first_only(tmp_path: Path, make_manifest: MakeManifest) -> None:
    def fill_many(folder: Path) -> list[FileEntry]:
        return [*fill(folder), *(FileEntry(f"x{i}", 1, "0" * 64) for i in range(9))]

    manifest = make_manifest()
    publish(manifest, tmp_path, fill_many, {})
    with pytest.raises(ChecksumError, match="x4 is missing and 4 more"):
        verify(manifest, tmp_path)


def test_verify_without_data(tmp_path: Path, make_manifest: MakeManifest) -> None:
    with pytest.raises(DataError, match="Run `biostyle data fetch Sim-Cells`"):
        verify(make_manifest(), tmp_path)


def test_spoilt_record(tmp_path: Path, make_manifest: MakeManifest) -> None:
    manifest = make_manifest()
    folder = publish(manifest, tmp_path, fill, {})
    (folder / RECORD_NAME).write_text("{")
    with pytest.raises(ChecksumError, match=f"must list the folder's files, got .* \\(.*{RECORD_NAME}\\)"):
        verify(manifest, tmp_path)


def test_somebody_elses_folder(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "Sim-Cells" / "01").mkdir(parents=True)
    with pytest.raises(ArtifactMismatchError, match=f"got a folder without {RECORD_NAME} .*/Sim-Cells"):
        complete_folder(make_manifest(), tmp_path)


def test_another_version(tmp_path: Path, make_manifest: MakeManifest) -> None:
    publish(make_manifest(), tmp_path, fill, {"Sim-Cells.zip": "1" * 64})
    with pytest.raises(ArtifactMismatchError, match=f"got one with {'1' * 64} "):
        complete_folder(make_manifest(), tmp_path)


def test_copy_refuses_links(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.tif").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match=r"got a link or special file: link\.tif"):
        copy_folder(tmp_path / "in", tmp_path / "out")


def test_unwritable_root(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OutputError, match=r"data folder must be writable, got Not a directory \(.*/file\)"),
        locked(make_manifest(), tmp_path / "file"),
    ):
        pass


def test_a_source_that_cannot_be_read_is_not_blamed_on_the_cache(
    make_manifest: MakeManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "in")

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    monkeypatch.setattr("biostyle.data.cache.shutil.copyfile", refuse)
    with pytest.raises(DataError, match=r"source must be readable, got Permission denied \(.*t000\.tif\)"):
        publish(make_manifest(), tmp_path, lambda target: copy_folder(tmp_path / "in", target), {})
