"""Know a file again: its SHA-256, and whether it was changed meanwhile."""

from __future__ import annotations

import hashlib
from pathlib import Path

from biostyle.errors import ImageError

Fingerprint = tuple[int, int, int]


def fingerprint(path: Path) -> Fingerprint:
    """Describe a file's state without reading it.

    Parameters
    ----------
    path : Path
        A file that exists.

    Returns
    -------
    tuple of int
        Inode, size in bytes, and time of the last change in nanoseconds.
    """
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def check_unchanged(path: Path, before: Fingerprint) -> None:
    """Refuse a file that was changed since it was opened.

    Parameters
    ----------
    path : Path
        The file.
    before : tuple of int
        Its :func:`fingerprint` when it was opened.

    Raises
    ------
    ImageError
        If it was replaced, changed or removed.
    """
    try:
        after = fingerprint(path)
    except OSError as error:
        raise ImageError(
            f"file must stay while it is read, got {error.strerror} ({path}). Restore it and run again."
        ) from error
    if after != before:
        raise ImageError(
            f"file must not change while it is read, got {after[1]} bytes after {before[1]} ({path}). "
            "Wait until the microscope or the copy has finished, and run again."
        )


def sha256(path: Path) -> str:
    """Hash a file, or a folder with everything in it.

    Parameters
    ----------
    path : Path
        A file, or a folder such as an OME-Zarr store.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits. A folder's is that of the sorted lines ``DIGEST  NAME`` of its files.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
