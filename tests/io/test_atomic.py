"""A file is complete or absent, and the error names the reason."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from biostyle.errors import OutputError
from biostyle.io.atomic import flush, write_atomically


def test_makes_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep/er/a.txt", b"content")
    assert (tmp_path / "deep/er/a.txt").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "Free disk space"), (errno.EACCES, "Check the folder")]
)
def test_failure_keeps_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    target = tmp_path / "a.txt"
    write_atomically(target, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=f"{os.strerror(number)}.*a.txt.*{remedy}"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match=r"taken/a.txt"):
        write_atomically(tmp_path / "taken/a.txt", b"")


def test_files_and_folders_can_be_flushed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    flush(tmp_path / "a")
    flush(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        flush(tmp_path / "missing")
