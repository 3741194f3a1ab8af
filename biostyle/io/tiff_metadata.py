"""Describe a TIFF's image: axes, scale, storage, and what its ImageJ, OME or plain metadata say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile

from biostyle.errors import ImageError
from biostyle.io.axes import resolve_axes
from biostyle.io.limits import readable_dtype
from biostyle.io.ome_xml import OmeScale, ome_scale
from biostyle.io.volume_info import Format, VolumeInfo

LOSSLESS = {5: "lzw", 8: "zlib", 32946: "zlib", 32773: "packbits", 34925: "lzma", 50000: "zstd"}
# Date and time, maker, model, artist, computer, copyright.
TEXT_TAGS = (306, 271, 272, 315, 316, 33432)
_MICRON = {"um", "µm", "μm", "micron", "microns", "micrometer", "micrometre", "\\u00b5m", "\\u03bcm"}
_PHOTOMETRIC = {0: "miniswhite", 1: "minisblack", 2: "rgb"}
_REFUSED = {3: "indices into a palette", 5: "CMYK colours", 6: "YCbCr colours", 8: "CIELab colours"}


def check_photometric(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse pages whose values are not intensities.

    Parameters
    ----------
    series : TiffPageSeries
        The image.
    path : Path
        The file, for errors.

    Raises
    ------
    ImageError
        If it is a palette, transparent or another colour space, a volume in one page, lies in several files,
        or has values that have to be computed.
    """
    page = series.keyframe
    if page.dtype is None:
        raise ValueError("unknown pixel type")
    code = int(page.photometric)
    jpeg_rgb = code == 6 and page.compression == 7 and page.samplesperpixel == 3
    if code not in _PHOTOMETRIC and not jpeg_rgb:
        kind = _REFUSED.get(code, f"photometric interpretation {code}")
        remedy = (
            "In Fiji, choose Image > Lookup Tables > Grays and save again." if code == 3 else "Convert it."
        )
        raise ImageError(f"pixels must be gray or RGB values, got {kind} ({path}). {remedy}")
    alpha = any(int(extra) in (1, 2) for extra in page.extrasamples)
    if alpha or (code == 2 and page.samplesperpixel != 3):
        raise ImageError(
            f"pixels must be opaque, got {page.samplesperpixel} samples with transparency ({path}). "
            "Remove the alpha channel: in Fiji, Image > Type > RGB Color or 8-bit."
        )
    if page.axes not in ("YX", "YXS", "SYX") or series.transform is not None or series.is_multifile:
        what = "several files" if series.is_multifile else f"pages with axes {page.axes}"
        raise ImageError(
            f"pages must be planes of one file, got {what} ({path}). Export the image as one OME-TIFF file."
        )


def tiff_info(
    tiff: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    number: int,
    path: Path,
    axes: str | None,
    *,
    labels: bool = False,
) -> VolumeInfo:
    """Describe one image of a TIFF file.

    Parameters
    ----------
    tiff : TiffFile
        The open file.
    series : TiffPageSeries
        The image.
    number : int
        Its number, counted from 0.
    path : Path
        The file.
    axes : str or None
        What the user says the dimensions are.
    labels : bool
        Whether uint32 is accepted.

    Returns
    -------
    VolumeInfo
        Everything but pixels.

    Raises
    ------
    ImageError
        If the axes are unclear, the pixel type is not supported or the metadata contradict the pages.
    """
    page = series.keyframe
    kind = _kind(tiff, series, path)
    resolved = resolve_axes(series.shape, series.axes, axes, str(path))
    if _rows_and_columns(resolved) != _rows_and_columns(series.axes):
        raise ImageError(
            f"axes must have rows and columns where the pages have them, got {resolved} for {series.axes} "
            f"({path}). Correct --axes, or save one plane a page."
        )
    metadata: dict[str, Any] = {
        "tags": {code: str(page.tags[code].value) for code in TEXT_TAGS if code in page.tags},
        "resolution": _resolution(page),
        "planar": page.axes == "SYX",
    }
    if kind == "ome":
        metadata["ome_xml"] = tiff.ome_metadata
        metadata["image"] = number
    elif kind == "imagej":
        metadata["imagej"] = dict(tiff.imagej_metadata or {})
    scale = _scale(kind, metadata, page)
    description = _description(kind, metadata, page)
    if kind == "ome" and resolved != series.axes:
        del metadata["ome_xml"]  # it describes other axes than the user's; a new one is written
    return VolumeInfo(
        path=path,
        format=kind,
        shape=tuple(int(size) for size in series.shape),
        axes=resolved,
        dtype=readable_dtype(series.dtype, path, labels=labels),
        stored_dtype=series.dtype.newbyteorder("=").name,
        photometric=_PHOTOMETRIC.get(int(page.photometric), "rgb"),
        compression=None if page.compression == 1 else LOSSLESS.get(int(page.compression), "zlib"),
        predictor=int(page.predictor) in (2, 3),
        tile=(page.tilelength, page.tilewidth) if page.is_tiled else None,
        bigtiff=tiff.is_bigtiff,
        pixel_size=scale.pixel_size,
        pixel_unit=scale.pixel_unit,
        time_increment=scale.time_increment,
        time_unit=scale.time_unit,
        channel_names=scale.channel_names,
        description=description,
        metadata=metadata,
    )


def micrometre(unit: str) -> str:
    """Give the many spellings of the micrometre one.

    Parameters
    ----------
    unit : str
        Unit of length.

    Returns
    -------
    str
        "µm", or the unit itself where it is another one.

    Examples
    --------
    >>> micrometre("micron")
    'µm'
    """
    return "µm" if unit.strip().lower() in _MICRON else unit


def _kind(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> Format:
    """Tell OME, ImageJ and plain files apart."""
    if series.kind == "imagej":
        return "imagej"
    if series.kind == "ome" or (series.kind == "mmstack" and tiff.is_ome):
        return "ome"
    broken = [name for name, has in (("OME", tiff.is_ome), ("ImageJ", tiff.is_imagej)) if has]
    if broken and series.kind in ("generic", "uniform", "shaped"):
        raise ImageError(
            f"{broken[0]} metadata must fit the pages, got shape {series.shape} ({path}). "
            "The file is truncated or its metadata were damaged; export it again."
        )
    return "tiff"


def _rows_and_columns(axes: str) -> tuple[int, int]:
    """Return the positions of Y and X."""
    return axes.find("Y"), axes.find("X")


def _resolution(page: Any) -> tuple[Any, Any, int] | None:
    """Return the resolution tags as they are: X and Y as fractions, and the unit's code."""
    if 282 not in page.tags or 283 not in page.tags:
        return None
    x, y = page.tags[282].value, page.tags[283].value
    if not (all(x) and all(y)):
        return None
    return x, y, int(page.tags[296].value) if 296 in page.tags else 2


def _scale(kind: str, metadata: dict[str, Any], page: Any) -> OmeScale:
    """Return what is known about distances in space and time."""
    if kind == "ome":
        return ome_scale(metadata["ome_xml"], metadata["image"])
    if metadata["resolution"] is None:
        return OmeScale()
    (x, x_per), (y, y_per), unit = metadata["resolution"]
    size = {"Y": y_per / y, "X": x_per / x}
    if kind == "imagej":
        texts = metadata["imagej"]
        if not texts.get("unit"):
            return OmeScale(time_increment=texts.get("finterval"), time_unit=str(texts.get("tunit", "s")))
        if "spacing" in texts:
            size["Z"] = texts["spacing"]
        return OmeScale(
            size, micrometre(str(texts["unit"])), texts.get("finterval"), str(texts.get("tunit", "s"))
        )
    if unit == 3:  # centimetres; dots per inch are about paper, not about the specimen
        return OmeScale({axis: value * 1e4 for axis, value in size.items()}, "µm")
    return OmeScale()


def _description(kind: str, metadata: dict[str, Any], page: Any) -> str:
    """Return the free text of a file."""
    if kind == "imagej":
        return str(metadata["imagej"].get("Info", ""))
    if kind == "ome":
        return ome_scale(metadata["ome_xml"], metadata["image"]).description
    if page.is_shaped:
        shaped = tifffile.tifffile.shaped_description_metadata(page.shaped_description)
        return str(shaped.get("description", ""))
    return str(page.description)
