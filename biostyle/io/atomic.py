"""Write a file that is either complete or absent."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from biostyle.errors import OutputError


def write_atomically(path: Path | str, content: bytes) -> None:
    """Write bytes under a temporary name in the same folder, flush them to disk, then rename.

    Parameters
    ----------
    path : Path or str
        File to write; its folder is made where it is missing.
    content : bytes
        What the file will hold.

    Raises
    ------
    OutputError
        If the file cannot be written; an older file of that name is then unchanged.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Free disk space and run again." if full else "Check the folder and its permissions."
        raise OutputError(
            f"output must be writable, got {error.strerror or error} ({path}). {remedy}"
        ) from error


def flush(path: Path) -> None:
    """Force one file, or where the system can, one folder to the disk.

    Parameters
    ----------
    path : Path
        A file or folder.
    """
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
