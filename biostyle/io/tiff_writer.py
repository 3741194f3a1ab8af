"""Write TIFF, BigTIFF, ImageJ and OME-TIFF files plane by plane, as much like the input as can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from biostyle.io.ome_xml import revise_ome_xml
from biostyle.io.volume_info import VolumeInfo
from biostyle.types import NDArray

# Above it, 32-bit offsets may not reach the end of the file: 4 GiB less room for metadata.
CLASSIC_BYTES = 2**32 - 2**25
_IMAGEJ_BLOCKS = ("Info", "Labels", "LUTs", "ROI", "Overlays", "Properties", "Plot")
# Not carried to other pixel values: display range and the calibration of gray values.
_IMAGEJ_VALUES = ("min", "max", "c0", "c1", "c2", "c3", "c4", "cf", "vunit", "ImageJ", "SCIFIO", "order")


def tiff_format(info: VolumeInfo) -> VolumeInfo:
    """Fall back on OME-TIFF where ImageJ's format cannot hold an image.

    Parameters
    ----------
    info : VolumeInfo
        The image to write.

    Returns
    -------
    VolumeInfo
        The same, or a copy with the format "ome": for uint32 labels, for axes in another order than ImageJ's
        TZCYXS, and for compressed or tiled images above 4 GiB.
    """
    if info.format != "imagej":
        return info
    ordered = "".join(axis for axis in "TZCYXS" if axis in info.axes) == info.axes
    colours = "S" not in info.axes or (info.photometric == "rgb" and info.dtype == np.uint8)
    large = info.n_bytes > CLASSIC_BYTES and bool(info.compression or info.tile)
    if ordered and colours and info.dtype.name in ("uint8", "uint16", "float32") and not large:
        return info
    return info.in_format("ome")


def write_tiff(path: Path, info: VolumeInfo, planes: Iterator[NDArray], note: str) -> None:
    """Write a TIFF file.

    Parameters
    ----------
    path : Path
        File to write.
    info : VolumeInfo
        The image; see :func:`tiff_format`.
    planes : iterator of ndarray of shape (H, W)
        Its planes in the order of ``info.planes()``.
    note : str
        Line for the file's description.
    """
    large = info.n_bytes > CLASSIC_BYTES
    imagej = info.format == "imagej"
    options: dict[str, Any] = {
        "photometric": info.photometric,
        "compression": info.compression,
        "predictor": True if info.predictor and info.compression else None,
        "software": "biostyle",
        "extratags": [(code, "s", 0, _ascii(text), True) for code, text in _tags(info).items()],
        "truncate": imagej and large,
    }
    if "S" in info.axes:
        options["planarconfig"] = "contig" if info.axes.endswith("S") else "separate"
    if info.metadata.get("resolution"):
        x, y, unit = info.metadata["resolution"]
        options |= {"resolution": (x, y), "resolutionunit": unit}
    revised = info.format == "ome" and "ome_xml" in info.metadata
    if revised:
        xml = revise_ome_xml(info.metadata["ome_xml"], info.metadata["image"], info, note)
        options |= {"description": xml.encode(), "metadata": None}
    else:
        options["metadata"] = _metadata(info, note)
    data = _pages(info, planes)
    if info.tile:
        options["tile"] = info.tile
        data = _tiles(data, info.tile)
    with tifffile.TiffWriter(
        path,
        bigtiff=(large or info.bigtiff) and not imagej,
        imagej=imagej,
        ome=info.format == "ome" and not revised,
    ) as writer:
        writer.write(data, shape=info.shape, dtype=info.dtype, **options)


def _pages(info: VolumeInfo, planes: Iterable[NDArray]) -> Iterator[NDArray]:
    """Put the samples of each pixel together where there are several."""
    if "S" not in info.axes:
        yield from planes
        return
    axis = -1 if info.axes.endswith("S") else 0
    for samples in zip(*[iter(planes)] * info.size("S"), strict=True):
        page = np.stack(samples, axis)
        if axis == 0:
            yield from page  # separate samples are written one after the other
        else:
            yield page


def _tiles(pages: Iterable[NDArray], tile: tuple[int, int]) -> Iterator[NDArray]:
    """Cut pages into tiles, those at the lower and right edge filled up with zeros."""
    height, width = tile
    for page in pages:
        for y in range(0, page.shape[0], height):
            for x in range(0, page.shape[1], width):
                part = page[y : y + height, x : x + width]
                missing = [(0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)]
                yield np.ascontiguousarray(np.pad(part, missing[: part.ndim]))


def _tags(info: VolumeInfo) -> dict[int, str]:
    """Return the text tags to carry along."""
    tags: dict[int, str] = info.metadata.get("tags", {})
    return tags


def _metadata(info: VolumeInfo, note: str) -> dict[str, Any]:
    """Return what tifffile turns into the description of a plain, ImageJ or new OME file."""
    if info.format == "tiff":
        text = {"description": info.description} if info.description else {}
        return {"axes": info.axes, **text, "biostyle": note}
    if info.format == "imagej":
        return _imagej_metadata(info, note)
    scale: dict[str, Any] = {}
    for axis, value in info.pixel_size.items():
        scale |= {f"PhysicalSize{axis}": value, f"PhysicalSize{axis}Unit": info.pixel_unit}
    if info.time_increment is not None:
        scale |= {"TimeIncrement": info.time_increment, "TimeIncrementUnit": info.time_unit}
    if info.channel_names:
        scale["Channel"] = {"Name": list(info.channel_names)}
    return {"axes": info.axes, "Description": f"{info.description}\n{note}".strip(), **scale}


def _imagej_metadata(info: VolumeInfo, note: str) -> dict[str, Any]:
    """Return ImageJ's metadata with the display range reset and what belongs to other channels left out."""
    kept: dict[str, Any] = {}
    for key, value in info.metadata["imagej"].items():
        if key in _IMAGEJ_BLOCKS:
            kept[key] = value
        elif key not in _IMAGEJ_VALUES and isinstance(value, str | int | float):
            kept[key] = _ascii(value) if isinstance(value, str) else value
    selected = info.metadata.get("selected_channel")
    if selected is not None:
        _, channel, shape, axes = selected
        n_channels = shape[axes.index("C")] if "C" in axes else 1
        for key in ("Labels", "LUTs"):
            entries = kept.get(key)
            if isinstance(entries, list) and len(entries) % n_channels == 0 and len(entries) > 1:
                kept[key] = entries[channel::n_channels]
        kept.pop("mode", None)
    for key in ("Labels", "LUTs"):
        if key in kept and not isinstance(kept[key], list):
            kept[key] = [kept[key]]
    text = f"{info.description}\n{note}".strip()
    return {**kept, "axes": info.axes, "Info": text}


def _ascii(text: str) -> str:
    """Escape what a TIFF's 7-bit texts cannot hold, the way ImageJ does."""
    return "".join(sign if sign.isascii() else f"\\u{ord(sign):04X}" for sign in text)
