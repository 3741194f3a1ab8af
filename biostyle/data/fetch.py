"""Bring a data set into the cache: download, resume, check, unpack, and only then give it its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from biostyle.data.cache import (
    OnBytes,
    complete_folder,
    copy_folder,
    data_root,
    locked,
    publish,
)
from biostyle.data.download import download
from biostyle.data.extract import FileEntry, Limits, extract
from biostyle.data.manifest import ArchiveFile, Manifest, load_manifest
from biostyle.data.terms import require_terms
from biostyle.errors import ArchiveError, ChecksumError, DataError, OutputError, TermsError
from biostyle.io import integrity

_UNPACKED_SLACK = 4  # the manifests' sizes are estimates


class _Archive(NamedTuple):
    """An archive on disk whose bytes are those of the manifest."""

    file: ArchiveFile
    path: Path
    sha256: str


def fetch(
    dataset: str | Manifest,
    root: str | Path | None = None,
    accept_terms: bool = False,
    progress: OnBytes | None = None,
    from_dir: str | Path | None = None,
) -> Path:
    """Make sure a data set is in the cache, downloading it if it is not.

    A broken download continues where it stopped, also after the process was killed. Several processes may ask
    for the same data set at once: one works, the others wait.

    Parameters
    ----------
    dataset : str or Manifest
        Name of a built-in data set, path of a manifest, or a manifest.
    root : str or Path, optional
        Folder to keep data sets in; ``BIOSTYLE_DATA`` or the user's cache folder otherwise.
    accept_terms : bool
        Accept the data set's terms; needed once.
    progress : OnBytes, optional
        Told what is being done and how far it is.
    from_dir : str or Path, optional
        Folder that already holds the archives; nothing is downloaded, and they stay where they are.

    Returns
    -------
    Path
        The data set's folder, complete and checked.

    Raises
    ------
    TermsError
        If the terms are not accepted, or the data set has to be obtained by hand.
    DownloadError
        If the network failed after every retry; the next call continues.
    ChecksumError
        If an archive is not the published one; a downloaded one is deleted.
    ArchiveError
        If a page of HTML came instead of an archive, or the archive is broken or unsafe.
    OutputError
        If the disk is too small or cannot be written.
    """
    manifest = dataset if isinstance(dataset, Manifest) else load_manifest(dataset)
    root = data_root(root)
    with locked(manifest, root, progress):
        downloads = root / ".downloads" / manifest.name
        folder = complete_folder(manifest, root)
        if folder is None:
            if manifest.access == "registration":
                raise TermsError(
                    f"{manifest.name} must be obtained from its publisher by hand, got a request to download it "
                    f"({manifest.homepage}). Register there, then run "
                    f"`biostyle data import {manifest.name} --from PATH`."
                )
            require_terms(manifest, root, accept_terms)
            if from_dir is not None:
                _check_space(manifest, root, None)
                folder = _unpack(manifest, root, _archives_in(Path(from_dir), manifest), progress)
            else:
                _check_space(manifest, root, downloads)
                folder = _download_and_unpack(manifest, root, downloads, progress)
        shutil.rmtree(downloads, ignore_errors=True)
        return folder


def import_dataset(
    dataset: str | Manifest,
    source: str | Path,
    root: str | Path | None = None,
    progress: OnBytes | None = None,
) -> Path:
    """Bring a data set that was obtained by hand into the cache; the original stays where it is.

    Parameters
    ----------
    dataset : str or Manifest
        Name of a built-in data set, path of a manifest, or a manifest.
    source : str or Path
        The archive, a folder that holds all of the data set's archives, or the unpacked folder itself.
    root : str or Path, optional
        Folder to keep data sets in; ``BIOSTYLE_DATA`` or the user's cache folder otherwise.
    progress : OnBytes, optional
        Told what is being done and how far it is.

    Returns
    -------
    Path
        The data set's folder, complete and checked.

    Raises
    ------
    DataError
        If `source` is not there.
    ChecksumError
        If an archive is not the published one.
    ArchiveError
        If an archive is broken or unsafe, or the folder is not this data set.
    OutputError
        If the disk is too small or cannot be written.
    """
    manifest = dataset if isinstance(dataset, Manifest) else load_manifest(dataset)
    root, source = data_root(root), Path(source)
    if not source.exists():
        raise DataError(f"import source must be a file or folder, got nothing ({source}). Check the path.")
    with locked(manifest, root, progress):
        folder = complete_folder(manifest, root)
        if folder is not None:
            return folder
        _check_space(manifest, root, None)
        if source.is_file():
            archives = [_checked(_only_file(manifest, source), source)]
        elif manifest.files and all((source / file.name).is_file() for file in manifest.files):
            archives = _archives_in(source, manifest)
        else:
            step = _steps(progress, "copying", manifest.unpacked_bytes)
            return publish(manifest, root, lambda target: copy_folder(source, target, step), {})
        return _unpack(manifest, root, archives, progress)


def _download_and_unpack(manifest: Manifest, root: Path, downloads: Path, progress: OnBytes | None) -> Path:
    """Download every archive and unpack them; an archive that does not unpack is not kept for the next time."""
    archives = [_Archive(file, *download(file, downloads, progress)) for file in manifest.files]
    try:
        return _unpack(manifest, root, archives, progress)
    except ArchiveError:
        shutil.rmtree(downloads, ignore_errors=True)
        raise


def _archives_in(folder: Path, manifest: Manifest) -> list[_Archive]:
    """Find and check all of a data set's archives in a folder of the user's."""
    return [_checked(file, folder / file.name) for file in manifest.files]


def _checked(file: ArchiveFile, path: Path) -> _Archive:
    """Check one archive of the user's; whatever is wrong with it, it stays where it is."""
    if not path.is_file():
        raise DataError(
            f"{file.name} must be in the folder of archives, got nothing ({path.parent}). "
            "Put it there, or leave out --from-dir to download it."
        )
    sha256 = integrity.sha256(path)
    if file.sha256 not in (None, sha256):
        raise ChecksumError(
            f"{path} has SHA-256 {sha256}, its manifest says {file.sha256}. "
            "Nothing was unpacked; the download was cut short or the publisher changed it."
        )
    return _Archive(file, path, sha256)


def _only_file(manifest: Manifest, source: Path) -> ArchiveFile:
    """Return a data set's only archive."""
    if len(manifest.files) != 1:
        names = ", ".join(file.name for file in manifest.files) or "an unpacked folder"
        raise DataError(
            f"import source must be a folder, because {manifest.name} comes as {names}, got one file ({source}). "
            "Give the folder that holds it all."
        )
    return manifest.files[0]


def _unpack(manifest: Manifest, root: Path, archives: list[_Archive], progress: OnBytes | None) -> Path:
    """Unpack checked archives into the data set's folder."""
    limits = Limits(max_bytes=_UNPACKED_SLACK * manifest.unpacked_bytes)

    def fill(target: Path) -> list[FileEntry]:
        entries = []
        for file, path, _ in archives:
            made = extract(
                path,
                target / file.extracts_to,
                top_folder=file.top_folder,
                limits=limits,
                progress=_steps(progress, f"unpacking {file.name}", manifest.unpacked_bytes),
            )
            inside = PurePosixPath(file.extracts_to)
            entries += [replace(entry, path=str(inside / entry.path)) for entry in made]
        return entries

    return publish(manifest, root, fill, {file.name: sha256 for file, _, sha256 in archives})


def _steps(progress: OnBytes | None, step: str, total_bytes: int) -> Callable[[int], None] | None:
    """Turn a progress into a callback that takes only the bytes done; an estimated total grows when passed."""
    if progress is None:
        return None
    return lambda done_bytes: progress(step, done_bytes, max(total_bytes, done_bytes))


def _check_space(manifest: Manifest, root: Path, downloads: Path | None) -> None:
    """Refuse to start what the disk cannot hold."""
    needed_bytes = manifest.unpacked_bytes
    if downloads is not None:
        downloads.mkdir(parents=True, exist_ok=True)
        there = sum(path.stat().st_size for path in downloads.iterdir())
        needed_bytes += max(0, sum(file.size_bytes for file in manifest.files) - there)
    free_bytes = shutil.disk_usage(root).free
    if free_bytes < needed_bytes:
        raise OutputError(
            f"free disk space must be at least {needed_bytes} bytes for {manifest.name}, got {free_bytes} "
            f"({root}). Free some or choose another folder with BIOSTYLE_DATA."
        )
