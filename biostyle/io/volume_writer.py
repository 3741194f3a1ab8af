"""Write an image file that is complete, verified and described by a JSON file beside it, or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biostyle.errors import ImageError, OutputError
from biostyle.io import integrity
from biostyle.io.atomic import flush, write_atomically
from biostyle.io.ngff import write_ngff
from biostyle.io.raster import encode_png
from biostyle.io.tiff_writer import tiff_format, write_tiff
from biostyle.io.value_range import RangeMapping
from biostyle.io.volume_info import VolumeInfo
from biostyle.io.volumes import Volume, open_volume
from biostyle.types import NDArray

RECORD_VERSION = 1


def write_volume(
    path: Path | str,
    info: VolumeInfo,
    planes: Iterable[NDArray],
    source: Volume,
    *,
    mapping: RangeMapping | None = None,
    labels: bool = False,
    request: Mapping[str, Any] | None = None,
    note: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write planes as a file of the input's kind, one at a time.

    Parameters
    ----------
    path : Path or str
        File to write (a folder for OME-Zarr); its folder is made where it is missing. The name decides
        nothing: the format is that of `info`.
    info : VolumeInfo
        What is written, made from ``source.info`` by ``with_dtype``, ``select_channel`` and ``for_masks``.
        JPEG becomes PNG.
    planes : iterable of ndarray of shape (H, W)
        The planes in the order of ``info.planes()``, with the dtype of `info`. Taken one at a time, so that a
        generator keeps memory constant.
    source : Volume
        The open input.
    mapping : RangeMapping, optional
        The mapping `planes` went through.
    labels : bool
        Whether values are identities, which a pyramid must not average.
    request : mapping, optional
        What else the result depends on, such as the model's hash; goes into the JSON file.
    note : str
        Line for the file's description, beside the mapping.
    overwrite : bool
        Whether to replace an older output.

    Returns
    -------
    dict
        Content of the JSON file: source, output, their SHA-256, mapping and request.

    Raises
    ------
    OutputError
        If the output would lie beside or over the input, exists already, cannot be written, for example
        because the disk is full, or reads back different from what was written.
    ImageError
        If a plane has another shape or dtype than stated, their number is wrong, or the source was changed.
    """
    path = Path(path)
    check_output(path, source.info.path, overwrite=overwrite)
    info = _writable(info, path)
    text = "; ".join(part for part in ("biostyle", note, mapping.text if mapping else "") if part)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            remaining = iter(planes)
            _write(partial, info, _checked(remaining, info, digest), text, labels)
            if next(remaining, None) is not None:
                raise ImageError(
                    f"planes must be those of {info.axes} {info.shape}, got more for the result of {info.path}. "
                    "Describe what is written."
                )
            for file in [partial, *(partial.rglob("*") if partial.is_dir() else ())]:
                flush(file)
            _verify(partial, path, info, digest.hexdigest())
            record = {
                "version": RECORD_VERSION,
                "source": {**_describe(source.info), "sha256": source.source_sha256()},
                "output": {
                    **_describe(info),
                    "file": path.name,
                    "dtype": info.dtype.name,
                    "sha256": integrity.sha256(partial),
                    "pixels_sha256": digest.hexdigest(),
                },
                "mapping": None if mapping is None else mapping.record,
                "request": dict(request or {}),
            }
            # First, so that an output that is there always has one; it describes no other file: it holds the hash.
            text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
            write_atomically(record_path(path), text.encode())
            if path.is_dir():
                shutil.rmtree(path)
            partial.replace(path)
        finally:
            if partial.is_dir():
                shutil.rmtree(partial)
            else:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return record


def record_path(path: Path | str) -> Path:
    """Return where the JSON file of an output lies.

    Parameters
    ----------
    path : Path or str
        The output.

    Returns
    -------
    Path
        ``NAME.json`` beside it.

    Examples
    --------
    >>> record_path("out/a.tif").name
    'a.tif.json'
    """
    path = Path(path)
    return path.with_name(f"{path.name}.json")


def differences(
    path: Path | str, source_sha256: str, request: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Compare an output with the one that would be written.

    Parameters
    ----------
    path : Path or str
        The output.
    source_sha256 : str
        SHA-256 of the input.
    request : mapping, optional
        What :func:`write_volume` was given.

    Returns
    -------
    tuple of str
        Keys of the request that differ, "source file" and "output file" for other bytes, "record" where the JSON file cannot
        be used; empty where the output is there, unharmed, and made from this input for this request.
    """
    path = Path(path)
    try:
        record = json.loads(record_path(path).read_bytes())
        if record["version"] != RECORD_VERSION:
            return ("record",)
        found = {"source file": record["source"]["sha256"], "output file": record["output"]["sha256"]}
        found |= record["request"]
    except (OSError, ValueError, LookupError, TypeError):
        return ("record",)
    actual = integrity.sha256(path) if path.exists() else None
    wanted = {
        "source file": source_sha256,
        "output file": actual,
        **json.loads(json.dumps(dict(request or {}))),
    }
    missing = object()
    keys = {**wanted, **found}
    return tuple(key for key in keys if found.get(key, missing) != wanted.get(key, missing))


def check_output(path: Path, source: Path, *, overwrite: bool = False, differing: Sequence[str] = ()) -> None:
    """Refuse an output over or beside its input, or over an older output.

    Parameters
    ----------
    path : Path
        The output.
    source : Path
        The input.
    overwrite : bool
        Whether an older output may be replaced.
    differing : sequence of str
        In what an older output differs, for the error; see :func:`differences`.

    Raises
    ------
    OutputError
        If it may not be written.
    """
    target, origin = path.resolve(), source.resolve()
    same = target.parent == origin.parent or origin == target or origin in target.parents
    if same or target in origin.parents:
        raise OutputError(
            f"output must lie in another folder than the input {source}, got {path}. Choose another --out."
        )
    if path.exists() and not overwrite:
        how = f", which differs in {', '.join(differing)}" if differing else ""
        raise OutputError(
            f"output must not exist, got {path}{how}. Pass --overwrite to replace it, or choose another --out."
        )


def _writable(info: VolumeInfo, path: Path) -> VolumeInfo:
    """Choose a lossless format that holds the pixel type."""
    if info.format in ("png", "jpeg"):
        if info.dtype.name not in ("uint8", "uint16"):
            raise OutputError(
                f"dtype must be uint8 or uint16 in a PNG file, got {info.dtype} ({path}). "
                "Choose another --dtype, or convert the input to TIFF."
            )
        return info.in_format("png")
    return tiff_format(info)


def _checked(planes: Iterator[NDArray], info: VolumeInfo, digest: Any) -> Iterator[NDArray]:
    """Pass as many planes on as are stated, checked and hashed."""
    n_planes = sum(1 for _ in info.planes())
    for number in range(n_planes):
        plane = next(planes, None)
        if plane is None:
            raise ImageError(
                f"planes must be {n_planes}, got {number} for the result of {info.path}. Describe what is written."
            )
        if plane.shape != info.plane_shape or plane.dtype != info.dtype:
            raise ImageError(
                f"planes must be {info.plane_shape} {info.dtype}, got {plane.shape} {plane.dtype} as plane "
                f"{number} of the result of {info.path}. Describe what is written."
            )
        plane = np.ascontiguousarray(plane)
        digest.update(plane.data)
        yield plane


def _write(path: Path, info: VolumeInfo, planes: Iterator[NDArray], note: str, labels: bool) -> None:
    """Write the file in its format."""
    if info.format == "zarr":
        write_ngff(path, info, planes, note, labels=labels)
    elif info.format == "png":
        samples = list(planes)
        pixels = np.stack(samples, -1) if "S" in info.axes else samples[0]
        path.write_bytes(encode_png(pixels, info.metadata.get("chunks", []), note))
    else:
        write_tiff(path, info, planes, note)


def _verify(partial: Path, path: Path, info: VolumeInfo, pixels_sha256: str) -> None:
    """Read the file back: same axes, same size, same pixels."""
    digest = hashlib.sha256()
    with open_volume(partial, labels=True) as written:
        found = written.info
        for index in found.planes():
            digest.update(written.read_plane(index).data)
    if digest.hexdigest() != pixels_sha256 or _long_axes(found) != _long_axes(info):
        raise OutputError(
            f"output must read back as it was written, got {found.axes} {found.shape} {found.dtype} with pixels "
            f"{digest.hexdigest()[:12]} for {info.axes} {info.shape} {info.dtype} with {pixels_sha256[:12]} "
            f"({path}). Check the disk and run again."
        )


def _long_axes(info: VolumeInfo) -> list[tuple[str, int]]:
    """Return axes and sizes without those of length 1, which some formats do not keep."""
    return [pair for pair in zip(info.axes, info.shape, strict=True) if pair[1] > 1 or pair[0] in "YX"]


def _describe(info: VolumeInfo) -> dict[str, Any]:
    """Return the part of a description that goes into the JSON file."""
    return {
        "file": str(info.path),
        "format": info.format,
        "axes": info.axes,
        "shape": list(info.shape),
        "dtype": info.stored_dtype,
    }


def _unwritable(path: Path, error: OSError) -> OutputError:
    """Say why the file cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)
    remedy = "Free disk space and run again." if full else "Check the folder and its permissions."
    return OutputError(f"output must be writable, got {error.strerror or error} ({path}). {remedy}")
