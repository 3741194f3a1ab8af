"""Unpack zip and tar archives that nobody vouches for.

Nothing is ever written outside the target folder. Links, devices, absolute paths, ``..``, duplicate and encrypted
members are refused, and so is an archive with too many members, too many bytes or too high a compression ratio:
what the headers claim is checked first, what really comes out is counted again while it is written.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from biostyle.errors import ArchiveError, OutputError

_BLOCK_BYTES = 1 << 20
_LITTER = "__MACOSX"
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # zipfile's word for a compression it does not know
    UnicodeDecodeError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes
    ----------
    max_files : int
        Most members.
    max_bytes : int
        Most bytes, all members together.
    max_ratio : float
        Most unpacked bytes for each byte of the archive; the first MiB is always allowed, because a small
        archive of label images compresses very well.
    """

    max_files: int = 200_000
    max_bytes: int = 1 << 36
    max_ratio: float = 200.0


@dataclass(frozen=True)
class FileEntry:
    """One file that was written.

    Attributes
    ----------
    path : str
        Where it is, relative to the target folder, with ``/`` between the parts.
    size_bytes : int
        Its size in bytes.
    sha256 : str
        Its SHA-256, as 64 lowercase hexadecimal digits.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class _Member:
    """What both kinds of archive say about one member; ``kind`` is "file", "folder" or what is refused."""

    name: str
    kind: str
    size_bytes: int
    open: Callable[[], IO[bytes]]


def extract(
    archive: Path,
    target: Path,
    *,
    top_folder: str = ".",
    limits: Limits | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[FileEntry]:
    """Unpack an archive into a folder and hash every file on the way.

    Parameters
    ----------
    archive : Path
        A zip or tar file, compressed or not; told apart by content.
    target : Path
        Folder to write into; made where it is missing. On an error it may hold a part of the archive.
    top_folder : str
        Folder inside the archive whose contents are wanted; members outside it are left out.
    limits : Limits, optional
        Caps on count, size and compression ratio.
    progress : callable, optional
        Called with the number of bytes written so far, after each file.

    Returns
    -------
    list of FileEntry
        The files written, in the archive's order.

    Raises
    ------
    ArchiveError
        If the archive is broken, truncated, unsafe or beyond the limits, or holds nothing under `top_folder`.
    OutputError
        If the files cannot be written, for example because the disk is full.
    """
    writer = _Writer(archive, target, limits or Limits())
    try:
        for member in _members(archive, writer):
            path = _safe_path(member, archive)
            writer.claim(member)
            if path.parts[:1] == (_LITTER,) or not path.is_relative_to(PurePosixPath(top_folder)):
                continue
            relative = path.relative_to(PurePosixPath(top_folder))
            if member.kind == "folder":
                writer.make_folder(target / relative, member.name)
            else:
                writer.write(member, relative)
                if progress is not None:
                    progress(writer.n_bytes)
    except _BROKEN as error:
        raise ArchiveError(_broken(archive, error)) from error
    except OSError as error:
        if error.errno is None:  # bz2 and gzip say so when their own stream is bad
            raise ArchiveError(_broken(archive, error)) from error
        raise OutputError(
            f"{target} must be writable, got {error.strerror} while unpacking {archive.name}. "
            "Free some space or choose another folder with BIOSTYLE_DATA."
        ) from error
    if not writer.entries:
        raise ArchiveError(
            f"{archive.name} must hold files in the folder {top_folder!r}, got none ({archive}). "
            "Check that it is the archive the manifest describes."
        )
    return writer.entries


class _Writer:
    """Writes members and keeps count, so that the limits hold for claims and for bytes."""

    def __init__(self, archive: Path, target: Path, limits: Limits) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.entries: list[FileEntry] = []
        self.n_members = self.n_claimed_bytes = self.n_bytes = 0
        self.max_by_ratio = int(max(1 << 20, limits.max_ratio * archive.stat().st_size))

    def claim(self, member: _Member) -> None:
        """Count what a header announces."""
        self.n_members += 1
        self.n_claimed_bytes += member.size_bytes
        if self.n_members > self.limits.max_files:
            raise ArchiveError(
                f"{self.archive.name} must hold at most {self.limits.max_files} members, "
                f"got more ({self.archive}). It is not unpacked; check where it comes from."
            )
        self.check_size(self.n_claimed_bytes)

    def check_size(self, n_bytes: int) -> None:
        """Refuse a total beyond the size or ratio limit."""
        if n_bytes > self.limits.max_bytes:
            raise ArchiveError(
                f"{self.archive.name} must unpack to at most {self.limits.max_bytes} bytes, got at least "
                f"{n_bytes} ({self.archive}). It is not unpacked; check where it comes from."
            )
        if n_bytes > self.max_by_ratio:
            raise ArchiveError(
                f"{self.archive.name} must unpack to at most {self.limits.max_ratio:g} times its size, got "
                f"{n_bytes} bytes from {self.archive.stat().st_size} ({self.archive}). "
                "It looks like an archive bomb and is not unpacked."
            )

    def make_folder(self, folder: Path, name: str) -> None:
        """Make a folder, unless a file of the archive is in the way."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ArchiveError(
                _unsafe(self.archive, name, "a folder where the archive has a file")
            ) from error

    def write(self, member: _Member, relative: PurePosixPath) -> None:
        """Write one regular file, block by block."""
        path = self.target / relative
        self.make_folder(path.parent, member.name)
        digest, n_file_bytes = hashlib.sha256(), 0
        try:
            out = path.open("xb")
        except (FileExistsError, IsADirectoryError) as error:
            raise ArchiveError(_unsafe(self.archive, member.name, "a member of that name twice")) from error
        with out, member.open() as source:
            while block := source.read(_BLOCK_BYTES):
                self.check_size(self.n_bytes + len(block))
                out.write(block)
                digest.update(block)
                n_file_bytes += len(block)
                self.n_bytes += len(block)
        self.entries.append(FileEntry(relative.as_posix(), n_file_bytes, digest.hexdigest()))


def _members(archive: Path, writer: _Writer) -> Iterator[_Member]:
    """List the members of either kind of archive; a zip's claims are all checked before the first."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            writer.check_size(sum(info.file_size for info in opened.infolist()))
            for info in opened.infolist():
                yield _zip_member(opened, info)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            for entry in tar:
                yield _tar_member(tar, entry)
    else:
        raise tarfile.ReadError("a file that is neither or was cut short")


def _zip_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    """Describe a member of a zip; the Unix mode, where there is one, sits in the upper 16 bits."""
    kind_bits = stat.S_IFMT(info.external_attr >> 16)
    kind = "folder" if info.is_dir() else "file"
    if info.flag_bits & 0x1:
        kind = "an encrypted member"
    elif kind_bits == stat.S_IFLNK:
        kind = "a link"
    elif kind_bits not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a device or special file"
    return _Member(info.filename, kind, info.file_size, lambda: opened.open(info))


def _tar_member(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    """Describe a member of a tar."""
    kind = "a device or special file"
    if entry.isreg():
        kind = "file"
    elif entry.isdir():
        kind = "folder"
    elif entry.issym() or entry.islnk():
        kind = "a link"

    def opened() -> IO[bytes]:
        source = tar.extractfile(entry)
        if source is None:
            raise tarfile.ReadError(f"{entry.name} has no content")
        return source

    return _Member(entry.name, kind, entry.size if kind == "file" else 0, opened)


def _safe_path(member: _Member, archive: Path) -> PurePosixPath:
    """Return where a member belongs, relative to the target, or refuse it."""
    if member.kind not in ("file", "folder"):
        raise ArchiveError(_unsafe(archive, member.name, member.kind))
    path = PurePosixPath(member.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or any(":" in part for part in path.parts):
        raise ArchiveError(_unsafe(archive, member.name, "a path outside the target folder"))
    return path


def _unsafe(archive: Path, name: str, got: str) -> str:
    """Word a refusal of one member."""
    return (
        f"{archive.name} must hold only plain files and folders, got {got}: {name!r} ({archive}). "
        "It is not unpacked; check where it comes from."
    )


def _broken(archive: Path, error: Exception) -> str:
    """Word a refusal of an archive that cannot be read."""
    return (
        f"{archive.name} must be a complete zip or tar archive, got {str(error) or type(error).__name__} ({archive}). "
        "Download it again."
    )
