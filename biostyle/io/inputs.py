"""Find the image files that a command line names, and the name of each one's output."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from biostyle.errors import ImageError, OutputError

_IMAGES = {".tif", ".tiff", ".btf", ".tf8", ".png", ".jpg", ".jpeg"}
_NAME = re.compile(r"(?P<stem>.+?)(?P<extension>(?:\.ome)?\.[^.]+)", re.IGNORECASE)
_SEQUENCE = re.compile(r"\d{2}")
_CHALLENGE_FRAME = re.compile(r"(?:.*/)?(?P<sequence>\d{2})/t(?P<frame>\d{3,4})\.tiff?", re.IGNORECASE)


@dataclass(frozen=True)
class InputFile:
    """An image file and where its result goes.

    Parameters
    ----------
    path : Path
        The file, or the folder of an OME-Zarr image.
    output : PurePosixPath
        Name of the result below the output folder.
    """

    path: Path
    output: PurePosixPath


def find_inputs(
    inputs: Iterable[str | Path],
    *,
    suffix: str = "",
    challenge_names: bool = False,
    out: Path | None = None,
) -> list[InputFile]:
    """List the images that files, folders, patterns and challenge folders stand for.

    Parameters
    ----------
    inputs : iterable of str or Path
        Files, folders (searched to any depth; their structure is kept), patterns such as ``"day*/*.tif"``, and
        folders of the Cell Tracking Challenge: of a sequence ``NN/tTTT.tif``, ``NN_GT``, ``NN_RES`` and the like are left
        out.
    suffix : str
        Added to each output's stem, such as "_stylized".
    challenge_names : bool
        Whether to name outputs like the challenge's results, ``NN_RES/maskTTT.tif``, and to take only frames from
        folders that hold some.
    out : Path, optional
        Output folder, which may not lie in an input folder.

    Returns
    -------
    list of InputFile
        In the order of `inputs`; within each, in the order of names, where numbers count as numbers. A file
        that is named twice is there once.

    Raises
    ------
    ImageError
        If an input does not exist or holds no image, or a name cannot become a challenge result.
    OutputError
        If two inputs would give one output, `out` lies in an input folder, or the suffix is no part of a name.

    Notes
    -----
    JPEG is lossy and gives PNG. Names that differ in case alone count as one, because they are one file on
    many systems.
    """
    if "/" in suffix or "\\" in suffix:
        raise OutputError(f"suffix must be part of a file name, got {suffix!r}. Leave out slashes.")
    found: dict[str, InputFile] = {}
    for given in inputs:
        for path, name in _expand(str(given), out, challenge_names):
            output = _challenge_result(path) if challenge_names else _output_name(name, suffix)
            earlier = found.setdefault(str(output).casefold(), InputFile(path, output))
            if earlier.path.resolve() != path.resolve():
                raise OutputError(
                    f"outputs must have different names, got {output} for {earlier.path} and {path}. "
                    "Process them one after the other into different folders."
                )
    if not found:
        raise ImageError("inputs must name at least one image, got none. Give files, folders or patterns.")
    return list(found.values())


def _expand(given: str, out: Path | None, only_frames: bool) -> Iterator[tuple[Path, PurePosixPath]]:
    """Return the files one input stands for, each with its name below the output folder."""
    path = Path(given)
    if path.is_dir() and not _is_zarr(path):
        yield from _folder(path, out, only_frames)
        return
    if path.exists():
        yield path, PurePosixPath(path.name)
        return
    matches = [Path(match) for match in glob.glob(given, recursive=True)] if glob.has_magic(given) else []
    images = sorted((match for match in matches if _is_image(match)), key=_natural)
    if not images:
        raise ImageError(f"input must be an image that exists, got {given}. Check the path or the pattern.")
    parts = path.parts
    n_fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:n_fixed])
    for image in images:
        yield image, PurePosixPath(image.relative_to(root).as_posix())


def _folder(folder: Path, out: Path | None, only_frames: bool) -> Iterator[tuple[Path, PurePosixPath]]:
    """Return the images in a folder; in a challenge folder, not its masks."""
    if out is not None and out.resolve().is_relative_to(folder.resolve()):
        raise OutputError(
            f"output must lie outside of the input folder {folder}, got {out}. Choose another --out."
        )
    images = sorted(_images(folder, out), key=_natural)
    frames = [image for image in images if _CHALLENGE_FRAME.fullmatch(image.absolute().as_posix())]
    sequence = _SEQUENCE.fullmatch(folder.absolute().name)
    if not images:
        formats = ", ".join(sorted(_IMAGES))
        raise ImageError(
            f"folder must hold an image ({formats}, .zarr), got none ({folder}). Check the path."
        )
    root = folder.parent if frames and sequence else folder
    sequences = {frame.absolute().parent for frame in frames}
    for image in frames if frames and only_frames else images:
        if not any(_masks_of(parent) in sequences for parent in image.absolute().parents):
            yield image, PurePosixPath(image.relative_to(root).as_posix())


def _masks_of(folder: Path) -> Path | None:
    """Return the sequence NN whose masks a folder NN_GT, NN_ST or NN_RES would hold."""
    sequence, underscore, _ = folder.name.partition("_")
    return folder.with_name(sequence) if sequence and underscore else None


def _images(folder: Path, out: Path | None) -> Iterator[Path]:
    """Walk through a folder and what it links to, each once, but not `out`; an OME-Zarr image is one entry."""
    seen = set() if out is None else {os.path.realpath(out)}
    for root, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(root) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(root))
        folders.sort()
        for name in list(folders):
            if _is_zarr(Path(root, name)):
                yield Path(root, name)
            if name.startswith(".") or _is_zarr(Path(root, name)):
                folders.remove(name)
        yield from (Path(root, name) for name in files if _is_image(Path(root, name)))


def _is_image(path: Path) -> bool:
    """Tell an image by its name."""
    if path.name.startswith("."):
        return False
    return _is_zarr(path) or (path.suffix.lower() in _IMAGES and path.is_file())


def _is_zarr(path: Path) -> bool:
    """Tell the folder of an OME-Zarr image."""
    return path.is_dir() and ((path / ".zattrs").is_file() or (path / "zarr.json").is_file())


def _output_name(name: PurePosixPath, suffix: str) -> PurePosixPath:
    """Return the name of the result."""
    match = _NAME.fullmatch(name.name)
    stem, extension = (match["stem"], match["extension"]) if match else (name.name, "")
    if extension.lower() in (".jpg", ".jpeg"):
        extension = ".png"
    return name.with_name(f"{stem}{suffix}{extension}")


def _challenge_result(path: Path) -> PurePosixPath:
    """Return the challenge's name for the result of a frame."""
    match = _CHALLENGE_FRAME.fullmatch(path.absolute().as_posix())
    if match is None:
        raise ImageError(
            f"frames must be named NN/tTTT.tif for challenge results, got {path}. "
            "Leave the challenge's naming out, or rename the files."
        )
    return PurePosixPath(f"{match['sequence']}_RES/mask{match['frame']}.tif")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort numbers in names as numbers."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())
    ]
