"""The whole way from a real server, or from what the user has, to a complete folder; also through ``kill -9``."""

from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from biostyle.data.cache import RECORD_NAME, is_complete, verify
from biostyle.data.fetch import fetch, import_dataset
from biostyle.data.manifest import Manifest
from biostyle.errors import (
    ArchiveError,
    ArtifactMismatchError,
    ChecksumError,
    DataError,
    OutputError,
    TermsError,
)

MakeManifest = Callable[..., Manifest]
Content = dict[str, bytes]
Usage = namedtuple("Usage", "total used free")

# Runs the real fetch; kills itself with SIGKILL at the n-th sign of life, or just "before" or "after" the folder gets its
# name. How many signs there are differs a little from run to run: the network cuts the stream as it likes.
RUN = """
import os, signal, sys
from pathlib import Path
from biostyle.data.fetch import fetch
from biostyle.data.manifest import Manifest

manifest, root, kill_at = Manifest.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3]
n_signs = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def tick(*_):
    global n_signs
    n_signs += 1
    if str(n_signs) == kill_at:
        die()

rename = Path.rename
def counted_rename(self, target):
    tick()
    named = Path(target).name == manifest.name
    if named and kill_at == "before":
        die()
    made = rename(self, target)
    if named and kill_at == "after":
        die()
    return made
Path.rename = counted_rename

print(fetch(manifest, root, True, tick))
print(n_signs, file=sys.stderr)
"""


def start(manifest: Manifest, root: Path, kill_at: int | str = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, manifest.model_dump_json(), str(root), str(kill_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_right(folder: Path, content: Content) -> None:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found.pop(RECORD_NAME)
    assert {name: path.read_bytes() for name, path in found.items()} == content


def assert_nothing_but(root: Path, *names: str) -> None:
    assert {path.name for path in root.iterdir() if not path.name.startswith(".")} == set(names)


def test_fetch(tmp_path: Path, server: Any, make_manifest: MakeManifest, content: Content) -> None:
    manifest, steps = make_manifest(), set()
    folder = fetch(manifest, tmp_path, True, lambda step, *_: steps.add(step))
    assert folder == tmp_path / "Sim-Cells"
    assert_right(folder, content)
    assert_nothing_but(tmp_path, "Sim-Cells")
    assert list((tmp_path / ".downloads").iterdir()) == []
    assert steps == {"downloading Sim-Cells.zip", "unpacking Sim-Cells.zip"}
    assert verify(manifest, tmp_path) == len(content)
    assert fetch(manifest, tmp_path) == folder
    assert len(server.ranges) == 1


def test_default_root(isolated_cache: None, make_manifest: MakeManifest) -> None:
    folder = fetch(make_manifest(), accept_terms=True)
    assert is_complete("Sim-Cells")
    assert folder.name == "Sim-Cells"


def test_two_archives_in_one_data_set(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes, content: Content
) -> None:
    server.files["more.zip"] = archive
    table = make_manifest().model_dump()
    more = table["files"][0] | {
        "name": "more.zip",
        "url": server.url("more.zip"),
        "extracts_to": "second/copy",
    }
    manifest = make_manifest({"files": [table["files"][0], more]})
    assert_right(
        fetch(manifest, tmp_path, True),
        content | {f"second/copy/{name}": data for name, data in content.items()},
    )
    assert verify(manifest, tmp_path) == 2 * len(content)


def test_terms_come_first(tmp_path: Path, server: Any, make_manifest: MakeManifest) -> None:
    with pytest.raises(
        TermsError, match=r"terms of Sim-Cells .* \(https://example.org/cells\).* --accept-terms"
    ):
        fetch(make_manifest(), tmp_path)
    assert server.ranges == []


def test_registration(tmp_path: Path, server: Any, make_manifest: MakeManifest) -> None:
    with pytest.raises(TermsError, match="then run `biostyle data import Sim-Cells --from PATH`"):
        fetch(make_manifest({"access": "registration"}), tmp_path, True)
    assert server.ranges == []


def test_wrong_hash(tmp_path: Path, make_manifest: MakeManifest, content: Content) -> None:
    with pytest.raises(ChecksumError, match=f"its manifest says {'b1' * 32}. The file was deleted"):
        fetch(make_manifest(sha256="b1" * 32), tmp_path, True)
    assert_nothing_but(tmp_path)
    assert_right(fetch(make_manifest(), tmp_path), content)


def test_archive_that_does_not_unpack_is_not_kept(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes, content: Content
) -> None:
    manifest = make_manifest(sha256=None)
    server.files["Sim-Cells.zip"] = archive[: len(archive) // 2] + bytes(len(archive) - len(archive) // 2)
    with pytest.raises(ArchiveError, match=r"Sim-Cells.zip must be a complete zip or tar archive"):
        fetch(manifest, tmp_path, True)
    assert_nothing_but(tmp_path)
    server.files["Sim-Cells.zip"] = archive
    assert_right(fetch(manifest, tmp_path), content)


def zip_of(name: str, data: bytes, mode: int = 0) -> bytes:
    out, info = io.BytesIO(), zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr("Sim-Cells/01/t000.tif", b"frame")
        opened.writestr(info, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("evil", "match"),
    [
        (
            zip_of("Sim-Cells/../../../evil", b"1"),
            "got a path outside the target folder: 'Sim-Cells/../../../evil'",
        ),
        (zip_of("Sim-Cells/link", b"/etc/passwd", 0o120777), "got a link: 'Sim-Cells/link'"),
        (
            zip_of("Sim-Cells/bomb", bytes(30 << 20)),
            r"must unpack to at most 1600000 bytes, got at least 31457",
        ),
        (b"<html><title>Log in</title></html>", "got a page of HTML titled 'Log in'"),
        (b"PK\x03\x04 and then nothing", "a file that is neither or was cut short"),
    ],
    ids=["traversal", "symlink", "bomb", "html", "truncated"],
)
def test_evil_archive(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, evil: bytes, match: str
) -> None:
    """Even where size and checksum are right, nothing of it stays and nothing is written elsewhere."""
    server.files["Sim-Cells.zip"] = evil
    manifest = make_manifest(size_bytes=len(evil), sha256=hashlib.sha256(evil).hexdigest())
    root = tmp_path / "a" / "b"
    with pytest.raises(ArchiveError, match=match):
        fetch(manifest, root, True)
    assert_nothing_but(root)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and ".zip" in path.name] == []
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_full_disk_is_seen_first(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 400_000 + len(archive)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9 - needed + 1, needed - 1))
    with pytest.raises(OutputError, match=f"at least {needed} bytes for Sim-Cells, got {needed - 1} "):
        fetch(make_manifest(), tmp_path, True)
    assert server.ranges == []
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9 - needed, needed))
    assert fetch(make_manifest(), tmp_path).is_dir()


def test_disk_fills_up_while_unpacking(
    tmp_path: Path, make_manifest: MakeManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(step: str, *_: int) -> None:
        if step.startswith("unpacking"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"got No space left on device while unpacking Sim-Cells.zip"):
        fetch(make_manifest(), tmp_path, True, disk_full)
    assert_nothing_but(tmp_path)
    assert fetch(make_manifest(), tmp_path).is_dir()


def test_from_dir(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes, content: Content
) -> None:
    (tmp_path / "have").mkdir()
    with pytest.raises(
        DataError, match=r"Sim-Cells.zip must be in the folder of archives, got nothing \(.*/have\)"
    ):
        fetch(make_manifest(), tmp_path / "root", True, from_dir=tmp_path / "have")
    (tmp_path / "have" / "Sim-Cells.zip").write_bytes(archive)
    assert_right(fetch(make_manifest(), tmp_path / "root", from_dir=tmp_path / "have"), content)
    assert (tmp_path / "have" / "Sim-Cells.zip").read_bytes() == archive
    assert server.ranges == []


@pytest.mark.parametrize("kind", ["archive", "folder of archives", "unpacked folder"])
def test_import(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, archive: bytes, content: Content, kind: str
) -> None:
    manifest = make_manifest({"access": "registration"})
    source = tmp_path / "have"
    source.mkdir()
    if kind == "unpacked folder":
        for name, data in content.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
    else:
        (source / "Sim-Cells.zip").write_bytes(archive)
    if kind == "archive":
        source = (source / "Sim-Cells.zip").rename(source / "renamed-by-the-browser.zip")
    steps: list[int] = []
    folder = import_dataset(manifest, source, tmp_path / "root", lambda _, done, __: steps.append(done))
    assert_right(folder, content)
    assert steps[-1] == sum(map(len, content.values()))
    assert verify(manifest, tmp_path / "root") == len(content)
    assert source.exists()
    assert server.ranges == []
    assert fetch(manifest, tmp_path / "root") == import_dataset(manifest, source, tmp_path / "root") == folder


def test_import_of_an_altered_archive(tmp_path: Path, make_manifest: MakeManifest, archive: bytes) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(archive[:-1] + b"x")
    with pytest.raises(
        ChecksumError, match=r"mine.zip has SHA-256 [0-9a-f]{64}, its .* Nothing was unpacked"
    ):
        import_dataset(make_manifest(), path, tmp_path / "root")
    assert path.exists()


def test_import_of_another_folder(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"1")
    with pytest.raises(ArchiveError, match=r"Sim-Cells must hold 01/t\*.tif, got only beach.jpg at the top"):
        import_dataset(make_manifest(), tmp_path / "holiday", tmp_path / "root")
    assert_nothing_but(tmp_path / "root")


def test_import_of_nothing(tmp_path: Path, make_manifest: MakeManifest) -> None:
    with pytest.raises(DataError, match=r"import source must be a file or folder, got nothing \(.*/absent\)"):
        import_dataset(make_manifest(), tmp_path / "absent", tmp_path / "root")


def test_import_of_one_file_of_none(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "a.zip").write_bytes(b"1")
    manifest = make_manifest({"access": "registration", "files": []})
    with pytest.raises(
        DataError, match=r"because Sim-Cells comes as an unpacked folder, got one file \(.*a.zip\)"
    ):
        import_dataset(manifest, tmp_path / "a.zip", tmp_path / "root")


def test_folder_of_somebody_else_is_left_alone(tmp_path: Path, make_manifest: MakeManifest) -> None:
    (tmp_path / "Sim-Cells").mkdir()
    with pytest.raises(ArtifactMismatchError, match="Sim-Cells must be made by `biostyle data`"):
        fetch(make_manifest(), tmp_path, True)
    assert list((tmp_path / "Sim-Cells").iterdir()) == []


@pytest.mark.slow
def test_two_processes_at_once(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, content: Content
) -> None:
    """One downloads, the other waits and finds the work done."""
    server.block_delay_s = 0.05
    runs = [start(make_manifest(), tmp_path) for _ in range(2)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert {out.strip() for out, _ in outputs} == {str(tmp_path / "Sim-Cells")}
    assert_right(tmp_path / "Sim-Cells", content)
    assert server.ranges == [None]


def n_signs_of_life(manifest: Manifest, root: Path) -> int:
    _, n_signs = start(manifest, root).communicate(timeout=60)
    return int(n_signs)


@pytest.mark.slow
def test_killed_at_ten_points_and_run_again(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, content: Content
) -> None:
    """Killed in the download, while unpacking, before and after the folder gets its name."""
    manifest = make_manifest()
    server.block_delay_s = 0.002
    n_signs = n_signs_of_life(manifest, tmp_path / "whole")
    points: list[int | str] = [1 + i * n_signs // 10 for i in range(8)]
    points += ["before", "after"]
    assert len(set(points)) == 10
    for point in points:
        root = tmp_path / f"killed-at-{point}"
        run = start(manifest, root, kill_at=point)
        run.communicate(timeout=60)
        assert run.returncode == -signal.SIGKILL
        assert is_complete("Sim-Cells", root) == (root / "Sim-Cells").exists() == (point == "after")
        assert_right(fetch(manifest, root, True), content)
        assert verify(manifest, root) == len(content)
        assert_nothing_but(root, "Sim-Cells")
        assert list((root / ".downloads").iterdir()) == []
    resumed = [wanted for wanted in server.ranges if wanted]
    assert len(resumed) >= 3


@pytest.mark.slow
def test_killed_again_and_again(
    tmp_path: Path, server: Any, make_manifest: MakeManifest, content: Content
) -> None:
    """Ten kills from outside, wherever they fall, then one run to the end."""
    manifest = make_manifest()
    server.block_delay_s = 0.05
    for _ in range(10):
        run, n_before = start(manifest, tmp_path), len(server.ranges)
        while len(server.ranges) == n_before and run.poll() is None:
            time.sleep(0.005)
        time.sleep(0.06)
        run.kill()
        run.communicate(timeout=60)
        assert is_complete("Sim-Cells", tmp_path) == (tmp_path / "Sim-Cells").exists()
    server.block_delay_s = 0.0
    assert_right(fetch(manifest, tmp_path, True), content)
    assert sum(wanted is not None for wanted in server.ranges) >= 5
