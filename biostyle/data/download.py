"""Download one archive: resumed after a cut, retried, hashed on the way, and never mistaken for another thing."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from biostyle.data.cache import OnBytes
from biostyle.data.manifest import ArchiveFile
from biostyle.errors import ArchiveError, ChecksumError, DownloadError, OutputError

_BACKOFF_S = (1.0, 2.0, 4.0, 8.0)
_TIMEOUT_S = 60.0
_BLOCK_BYTES = 1 << 18
_SNIFF_BYTES = 4096
_WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def download(file: ArchiveFile, folder: Path, progress: OnBytes | None = None) -> tuple[Path, str]:
    """Bring one archive into a folder, whole and verified.

    What an earlier call left there is continued: by a ranged request that the server honours only if the file
    is still the same (``If-Range``), from the start otherwise. What is whole already is only hashed.

    Parameters
    ----------
    file : ArchiveFile
        Address, size and SHA-256.
    folder : Path
        Folder to write into; made where it is missing.
    progress : OnBytes, optional
        Told how far it is.

    Returns
    -------
    archive : Path
        The archive.
    sha256 : str
        Its SHA-256.

    Raises
    ------
    DownloadError
        If the server refuses, or the network failed five times in a row without a byte of progress.
    ChecksumError
        If size or SHA-256 are not those of the manifest; the file is deleted.
    ArchiveError
        If a page of HTML came instead.
    OutputError
        If the folder cannot be written.
    """
    archive = folder / file.name
    n_failures, reached = 0, _size(archive)
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sha256 = _transfer(file, archive, progress)
            break
        except _NETWORK_ERRORS as error:
            n_failures = 1 if _size(archive) > reached else n_failures + 1
            reached = max(reached, _size(archive))
            if n_failures > len(_BACKOFF_S):
                raise DownloadError(
                    f"{file.name} must arrive whole, got {_size(archive)} of {file.size_bytes} bytes after "
                    f"{n_failures} failures in a row, the last: {error} ({file.url}). "
                    "Run the same command again; it continues where it stopped."
                ) from error
            time.sleep(_BACKOFF_S[n_failures - 1])
        except OSError as error:
            raise OutputError(
                f"{archive} must be writable, got {error.strerror}. "
                "Free some space or choose another folder with BIOSTYLE_DATA; the download then continues."
            ) from error
    if file.sha256 not in (None, sha256):
        _forget(archive)
        raise ChecksumError(
            f"{archive} has SHA-256 {sha256}, its manifest says {file.sha256}. "
            "The file was deleted; the download was cut short or the publisher changed it."
        )
    return archive, sha256


def _transfer(file: ArchiveFile, archive: Path, progress: OnBytes | None) -> str:
    """Make one request, append what it brings, and return the SHA-256 of the whole file."""
    start, digest = _size(archive), _hash_so_far(archive)
    is_whole = start == file.size_bytes and not file.size_is_approximate
    if is_whole or digest.hexdigest() == file.sha256:
        return digest.hexdigest()
    response = _request(file, archive, start)
    if response is None:
        return digest.hexdigest()
    with response:
        if response.status != 206:
            start, digest = 0, hashlib.sha256()
        total_bytes = _announced_bytes(response, start)
        block = _read(response.read, _SNIFF_BYTES)
        _check_head(file, archive, response, block, total_bytes)
        if start == 0:
            _forget(archive)
            _validator_path(archive).write_text(_validator(response), encoding="utf-8")
        n_bytes = start
        with archive.open("ab") as out:
            while block:
                n_bytes += len(block)
                if n_bytes > file.max_bytes:
                    _forget(archive)
                    raise _wrong_size(file, f"more than {file.max_bytes}")
                out.write(block)
                digest.update(block)
                if progress is not None:
                    progress(
                        f"downloading {file.name}", n_bytes, max(total_bytes or file.size_bytes, n_bytes)
                    )
                block = _read(response.read1, _BLOCK_BYTES)
    if n_bytes < (total_bytes or (0 if file.size_is_approximate else file.size_bytes)):
        raise ConnectionError(f"the connection broke at byte {n_bytes}")
    return digest.hexdigest()


def _request(file: ArchiveFile, archive: Path, start: int) -> http.client.HTTPResponse | None:
    """Ask for what is missing; None where the server says that nothing is."""
    headers = {"User-Agent": "biostyle"}
    kept = _validator_path(archive)
    validator = kept.read_text(encoding="utf-8") if kept.exists() else ""
    if start and (validator or file.sha256):
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    try:
        request = urllib.request.Request(str(file.url), headers=headers)
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{start}":
            return None
        if error.code == 416:
            _forget(archive)
            raise ConnectionError("the server has fewer bytes than were downloaded") from error
        if error.code in _WORTH_RETRYING:
            raise
        raise DownloadError(
            f"{file.name} must be offered by its server, got HTTP {error.code} {error.reason} ({file.url}). "
            "Check the address in the manifest; the publisher may have moved the file."
        ) from error
    answered = response.headers.get("Content-Range", "")
    if response.status == 206 and not answered.startswith(f"bytes {start}-"):
        response.close()
        _forget(archive)
        raise ConnectionError("the server answered with another range than the one asked for")
    return response


def _announced_bytes(response: http.client.HTTPResponse, start: int) -> int | None:
    """Return the size in bytes of the whole file, as far as the server tells."""
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _check_head(
    file: ArchiveFile,
    archive: Path,
    response: http.client.HTTPResponse,
    block: bytes,
    total_bytes: int | None,
) -> None:
    """Refuse a page of HTML and a file of another size before anything is written."""
    begins_as_html = response.status != 206 and block.lstrip()[:14].lower().startswith(
        (b"<!doctype html", b"<html")
    )
    if begins_as_html or response.headers.get_content_type() == "text/html":
        title = re.search(rb"<title[^>]*>\s*(.*?)\s*</title>", block, re.IGNORECASE | re.DOTALL)
        called = f" titled {title[1].decode(errors='replace')!r}" if title else ""
        raise ArchiveError(
            f"{file.name} must be an archive, got a page of HTML{called} ({file.url}). "
            "Open the address in a browser; it may ask for a login or have moved."
        )
    if total_bytes is not None and (
        total_bytes > file.max_bytes or (total_bytes != file.size_bytes and not file.size_is_approximate)
    ):
        _forget(archive)
        raise _wrong_size(file, str(total_bytes))


def _wrong_size(file: ArchiveFile, got: str) -> ChecksumError:
    """Word the refusal of a file of another size than the manifest's."""
    about = "at most" if file.size_is_approximate else "exactly"
    return ChecksumError(
        f"{file.name} must be {about} {file.max_bytes} bytes, got {got} ({file.url}). "
        "Nothing was kept; the publisher changed the file."
    )


def _read(read: Callable[[int], bytes], n_bytes: int) -> bytes:
    """Read from the server; any failure here is the network's."""
    try:
        return read(n_bytes)
    except OSError as error:
        raise ConnectionError(str(error)) from error


def _validator(response: http.client.HTTPResponse) -> str:
    """Return what ``If-Range`` may carry: a strong entity tag, else a date, else nothing."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _validator_path(archive: Path) -> Path:
    """Name the file that remembers which version of an archive is being downloaded."""
    return archive.with_name(f"{archive.name}.validator")


def _hash_so_far(archive: Path) -> hashlib._Hash:
    """Hash what an earlier attempt left."""
    digest = hashlib.sha256()
    if archive.exists():
        with archive.open("rb") as source:
            while block := source.read(_BLOCK_BYTES):
                digest.update(block)
    return digest


def _size(archive: Path) -> int:
    """Size of a file in bytes; 0 where it is not there."""
    return archive.stat().st_size if archive.exists() else 0


def _forget(archive: Path) -> None:
    """Delete an archive and what is known of it."""
    archive.unlink(missing_ok=True)
    _validator_path(archive).unlink(missing_ok=True)
