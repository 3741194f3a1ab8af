"""Files are known again by hash and by state."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from biostyle.errors import ImageError
from biostyle.io.integrity import check_unchanged, fingerprint, sha256


def test_hash_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"1")
    assert sha256(tmp_path / "a" / "b" / "c") == hashlib.sha256(b"1").hexdigest()
    before = sha256(tmp_path / "a")
    (tmp_path / "a" / "b" / "c").rename(tmp_path / "a" / "c")
    assert sha256(tmp_path / "a") != before


@pytest.mark.parametrize("change", ["grows", "same size", "replaced"])
def test_a_change_is_seen(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"12")
    before = fingerprint(path)
    check_unchanged(path, before)
    if change == "replaced":
        (tmp_path / "b").write_bytes(b"12")
        os.utime(tmp_path / "b", ns=(before[2], before[2]))
        (tmp_path / "b").replace(path)
    else:
        path.write_bytes(b"123" if change == "grows" else b"21")
        os.utime(path, ns=(before[2] + 1, before[2] + 1))
    with pytest.raises(ImageError, match=r"must not change .*after 2 \(.*a\.tif"):
        check_unchanged(path, before)


def test_a_removed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"")
    before = fingerprint(tmp_path / "a.tif")
    (tmp_path / "a.tif").unlink()
    with pytest.raises(ImageError, match=r"No such file.*a\.tif"):
        check_unchanged(tmp_path / "a.tif", before)
