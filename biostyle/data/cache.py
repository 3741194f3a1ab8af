"""The folder downloads live in: a data set's folder is there under its own name only when it is complete.

::

    ROOT/NAME/                    as the publisher delivers it, plus biostyle_files.json (path, bytes, SHA-256)
    ROOT/NAME.partial/            being made; thrown away and made again after a crash
    ROOT/.downloads/NAME/         archives on their way, resumed after a crash
    ROOT/.terms/NAME.txt          the terms that were accepted
    ROOT/.locks/NAME.lock         one process at a time for each data set
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from biostyle.data.extract import FileEntry
from biostyle.data.manifest import Manifest, load_manifest
from biostyle.errors import (
    ArchiveError,
    ArtifactMismatchError,
    ChecksumError,
    DataError,
    OutputError,
)
from biostyle.io.atomic import flush
from biostyle.io.integrity import sha256

RECORD_NAME = "biostyle_files.json"
_N_NAMED = 5
# Told what is being done, and how many bytes of how many are done.
OnBytes = Callable[[str, int, int], None]


def data_root(root: str | Path | None = None) -> Path:
    """Say where data sets are kept.

    Parameters
    ----------
    root : str or Path, optional
        A folder of your choice, which wins over everything else.

    Returns
    -------
    Path
        `root`, else the folder in the environment variable ``BIOSTYLE_DATA``, else the user's cache folder.
    """
    chosen = root or os.environ.get("BIOSTYLE_DATA")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("biostyle")


def is_complete(name: str, root: str | Path | None = None) -> bool:
    """Tell whether a data set is in place.

    Parameters
    ----------
    name : str
        The data set's name.
    root : str or Path, optional
        See :func:`data_root`.

    Returns
    -------
    bool
        True where the folder holds the record that is written last, before it gets its name.
    """
    return (data_root(root) / name / RECORD_NAME).is_file()


@contextmanager
def locked(manifest: Manifest, root: Path, progress: OnBytes | None = None) -> Iterator[None]:
    """Hold a data set's lock; a second process waits for the first. A killed process holds nothing.

    Parameters
    ----------
    manifest : Manifest
        The data set.
    root : Path
        The cache; made where it is missing.
    progress : OnBytes, optional
        Told "waiting for another process" when that is the case.

    Raises
    ------
    OutputError
        If the cache cannot be written.
    """
    try:
        (root / ".locks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"data folder must be writable, got {error.strerror} ({root}). Set BIOSTYLE_DATA to another folder."
        ) from error
    lock = FileLock(root / ".locks" / f"{manifest.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if progress is not None:
            progress("waiting for another process", 0, 0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def complete_folder(manifest: Manifest, root: Path) -> Path | None:
    """Return the data set's folder if it is in place and is the one the manifest describes.

    Parameters
    ----------
    manifest : Manifest
        The data set.
    root : Path
        The cache.

    Returns
    -------
    Path or None
        None where there is nothing yet.

    Raises
    ------
    ArtifactMismatchError
        If the folder was not made by biostyle, or from an archive with another SHA-256.
    """
    folder = root / manifest.name
    if not folder.exists():
        return None
    if not is_complete(manifest.name, root):
        raise ArtifactMismatchError(
            f"{manifest.name} must be made by `biostyle data`, got a folder without {RECORD_NAME} ({folder}). "
            f"Move it away, then `biostyle data import {manifest.name} --from` it."
        )
    made_from = _read_record(folder)["archives"]
    for file in manifest.files:
        recorded = made_from.get(file.name, file.sha256)
        if file.sha256 is not None and recorded != file.sha256:
            raise ArtifactMismatchError(
                f"{manifest.name} must be made from {file.name} with SHA-256 {file.sha256}, got one with "
                f"{recorded} ({folder}). Delete the folder and fetch it again."
            )
    return folder


def publish(
    manifest: Manifest, root: Path, fill: Callable[[Path], list[FileEntry]], archives: dict[str, str]
) -> Path:
    """Make a data set's folder so that it appears complete or not at all.

    Parameters
    ----------
    manifest : Manifest
        The data set.
    root : Path
        The cache, with its lock held.
    fill : callable
        Writes the files into the folder it is given and returns what it wrote.
    archives : dict of str to str
        SHA-256 of each archive the files come from, by its name; for the record.

    Returns
    -------
    Path
        The finished folder.

    Raises
    ------
    ArchiveError
        If a file the manifest expects is missing.
    OutputError
        If the folder cannot be written.
    """
    partial, folder = root / f"{manifest.name}.partial", root / manifest.name
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir()
        entries = fill(partial)
        _check_expected(manifest, partial)
        record: dict[str, Any] = {"schema": 1, "name": manifest.name, "archives": archives}
        record["files"] = [dataclasses.asdict(entry) for entry in entries]
        (partial / RECORD_NAME).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        _flush_tree(partial)
        partial.rename(folder)
        flush(root)
    except OSError as error:
        raise OutputError(
            f"{folder} must be writable, got {error.strerror} ({error.filename or partial}). "
            "Free some space or choose another folder with BIOSTYLE_DATA."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def copy_folder(source: Path, target: Path, progress: Callable[[int], None] | None = None) -> list[FileEntry]:
    """Copy a folder file by file and hash on the way.

    Parameters
    ----------
    source : Path
        Folder to copy.
    target : Path
        Folder to write into.
    progress : callable, optional
        Called with the number of bytes copied so far, after each file.

    Returns
    -------
    list of FileEntry
        The files, sorted by path.

    Raises
    ------
    ArchiveError
        If the folder holds a link or a special file.
    DataError
        If a file cannot be read.
    """
    entries: list[FileEntry] = []
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArchiveError(
                f"{source.name} must hold only plain files and folders, got a link or special file: "
                f"{relative.as_posix()} ({source}). Copy the file itself there."
            )
        if path.is_dir() or relative.as_posix() == RECORD_NAME:
            continue
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, target / relative)
        except OSError as error:
            if str(error.filename) != str(path):
                raise
            raise DataError(
                f"import source must be readable, got {error.strerror} ({path}). Check its permissions."
            ) from error
        entries.append(_entry(target / relative, relative.as_posix()))
        if progress is not None:
            progress(sum(entry.size_bytes for entry in entries))
    return entries


def verify(dataset: str | Manifest, root: str | Path | None = None, progress: OnBytes | None = None) -> int:
    """Hash a data set's files again and compare them with the list made when they were unpacked.

    Parameters
    ----------
    dataset : str or Manifest
        Name of a built-in data set, path of a manifest, or a manifest.
    root : str or Path, optional
        See :func:`data_root`.
    progress : OnBytes, optional
        Told how far it is.

    Returns
    -------
    int
        Number of files that are as they were.

    Raises
    ------
    DataError
        If the data set is not in the cache.
    ChecksumError
        If files are missing or altered; the first ones are named.
    """
    manifest = dataset if isinstance(dataset, Manifest) else load_manifest(dataset)
    folder = complete_folder(manifest, data_root(root))
    if folder is None:
        raise DataError(
            f"{manifest.name} must be in the data folder, got nothing ({data_root(root)}). "
            f"Run `biostyle data fetch {manifest.name}`."
        )
    files = [FileEntry(**entry) for entry in _read_record(folder)["files"]]
    total_bytes, done_bytes = sum(entry.size_bytes for entry in files), 0
    wrong: list[str] = []
    for expected in files:
        path = folder / expected.path
        if not path.is_file():
            wrong.append(f"{expected.path} is missing")
        elif _entry(path, expected.path) != expected:
            wrong.append(f"{expected.path} was altered")
        done_bytes += expected.size_bytes
        if progress is not None:
            progress("verifying", done_bytes, total_bytes)
    if wrong:
        more = f" and {len(wrong) - _N_NAMED} more" if len(wrong) > _N_NAMED else ""
        raise ChecksumError(
            f"{manifest.name} must hold its {len(files)} files unchanged, got {'; '.join(wrong[:_N_NAMED])}{more} "
            f"({folder}). Delete the folder and fetch it again."
        )
    return len(files)


def _entry(path: Path, name: str) -> FileEntry:
    """Describe one file on disk."""
    return FileEntry(name, path.stat().st_size, sha256(path))


def _read_record(folder: Path) -> dict[str, Any]:
    """Read the list written last."""
    path = folder / RECORD_NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"archives": dict(record["archives"]), "files": list(record["files"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ChecksumError(
            f"{RECORD_NAME} must list the folder's files, got {error} ({path}). "
            "Delete the folder and fetch it again."
        ) from error


def _check_expected(manifest: Manifest, folder: Path) -> None:
    """Refuse a folder that lacks what the manifest promises."""
    for pattern in manifest.expects:
        if next(folder.glob(pattern), None) is None:
            found = sorted(path.name for path in folder.iterdir())[:_N_NAMED]
            raise ArchiveError(
                f"{manifest.name} must hold {pattern}, got only {', '.join(found) or 'an empty folder'} at the top. "
                "Check that it is the right data set, whole and laid out as its publisher delivers it."
            )


def _flush_tree(folder: Path) -> None:
    """Force every file and folder to the disk, so that a power cut after the rename loses nothing."""
    for path in folder.rglob("*"):
        flush(path)
    flush(folder)
