"""Read and write OME-Zarr images (NGFF 0.4 and 0.5) with their pyramid; needs the extra ``zarr``.

References
----------
Moore, J. et al. (2021). OME-NGFF: a next-generation file format for expanding bioimaging data-access
strategies. Nature Methods 18, 1496-1498. https://doi.org/10.1038/s41592-021-01326-w
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from biostyle.errors import ImageError
from biostyle.io.axes import PlaneIndex, resolve_axes
from biostyle.io.limits import byte_size, check_size, readable_dtype
from biostyle.io.volume_info import VolumeInfo
from biostyle.types import NDArray

_UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "second": "s", "millisecond": "ms"}
_LONG_UNITS = {short: long for long, short in _UNITS.items()}
_SMALLEST_LEVEL_PX = 256
_CHUNK_PX = 1024


def metadata_file(path: Path) -> Path:
    """Return the file with an OME-Zarr image's metadata.

    Parameters
    ----------
    path : Path
        The image's folder.

    Returns
    -------
    Path
        ``zarr.json`` of NGFF 0.5 or ``.zattrs`` of NGFF 0.4.

    Raises
    ------
    ImageError
        If the folder is no OME-Zarr image.
    """
    for name in ("zarr.json", ".zattrs"):
        if (path / name).is_file():
            return path / name
    raise ImageError(
        f"folder must be an OME-Zarr image, got no zarr.json or .zattrs ({path}). "
        "Give a folder of images to the command, not to this reader."
    )


class NgffSource:
    """An open OME-Zarr image, read at its full resolution.

    Parameters
    ----------
    path : Path
        The image's folder.
    axes : str or None
        What the user says the dimensions are.
    series : int or None
        Which multiscale image of the folder.
    max_bytes : int
        Largest chunk to decode, in bytes.
    labels : bool
        Whether uint32 is accepted.

    Raises
    ------
    ImageError
        If the metadata are damaged or of another version, or zarr is not installed.
    """

    def __init__(
        self, path: Path, axes: str | None, series: int | None, max_bytes: int, *, labels: bool = False
    ) -> None:
        zarr = _import_zarr(path)
        attributes, version = _attributes(path)
        multiscales = attributes.get("multiscales")
        if not multiscales:
            raise ImageError(
                f"folder must hold one image with multiscales, got {sorted(attributes)} ({path}). "
                "Give the path of one image inside of it, such as NAME.zarr/0."
            )
        number = series or 0
        if not 0 <= number < len(multiscales) or (series is None and len(multiscales) > 1):
            raise ImageError(
                f"series must be 0 to {len(multiscales) - 1}, got {series} ({path}). Choose one with --series."
            )
        image = multiscales[number]
        level = (path / str(image["datasets"][0]["path"])).resolve()
        if not level.is_relative_to(path.resolve()):
            raise ImageError(f"levels must lie in the image's folder, got {level} ({path}). Refuse the file.")
        self._array = zarr.open_array(str(level), mode="r")
        shape = tuple(int(size) for size in self._array.shape)
        stated = "".join(axis["name"] if len(axis["name"]) == 1 else "?" for axis in image["axes"]).upper()
        dtype = np.dtype(self._array.dtype)
        check_size(shape, dtype, math.inf, path)
        chunk_bytes = math.prod(self._array.chunks) * dtype.itemsize
        if chunk_bytes > max_bytes:
            raise ImageError(
                f"chunks must need at most {byte_size(max_bytes)}, got {byte_size(chunk_bytes)} "
                f"({path}). Save the image in smaller chunks."
            )
        resolved = resolve_axes(shape, stated, axes, str(path))
        scale = _scale(image, stated)
        units = {a["name"].upper(): _UNITS.get(a.get("unit", ""), a.get("unit", "")) for a in image["axes"]}
        channels = attributes.get("omero", {}).get("channels", [])
        names = tuple(str(channel.get("label", "")) for channel in channels)
        self.info = VolumeInfo(
            path=path,
            format="zarr",
            shape=shape,
            axes=resolved,
            dtype=readable_dtype(dtype, path, labels=labels),
            stored_dtype=dtype.name,
            pixel_size={axis: scale[axis] for axis in "ZYX" if axis in scale and units.get(axis)},
            pixel_unit=units.get("X", ""),
            time_increment=scale.get("T") if units.get("T") else None,
            time_unit=units.get("T", ""),
            channel_names=names if any(names) else (),
            description=str((image.get("metadata") or {}).get("description", "")),
            metadata={"version": version, "omero": attributes.get("omero"), "name": image.get("name")},
        )

    def read(self, index: PlaneIndex, rows: range, columns: range) -> NDArray:
        """Return a region of a plane.

        Parameters
        ----------
        index : tuple of int
            Plane.
        rows, columns : range
            Region, in pixels.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            Pixel values; chunks that are not stored hold the fill value.
        """
        place = (*index, slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        return np.asarray(self._array[place])

    def close(self) -> None:
        """Do nothing: no file stays open."""


def write_ngff(path: Path, info: VolumeInfo, planes: Iterator[NDArray], note: str, *, labels: bool) -> None:
    """Write an OME-Zarr image of the input's version, with a pyramid of factor 2.

    Parameters
    ----------
    path : Path
        Folder to make.
    info : VolumeInfo
        The image.
    planes : iterator of ndarray of shape (H, W)
        Its planes in the order of ``info.planes()``.
    note : str
        Line for the image's description.
    labels : bool
        Whether values are identities: lower levels then take every second pixel, else the mean of four.
    """
    zarr = _import_zarr(path)
    version = info.metadata.get("version", "0.5")
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    height, width = info.plane_shape
    shapes = [(height, width)]
    while max(shapes[-1]) > _SMALLEST_LEVEL_PX:
        shapes.append((math.ceil(shapes[-1][0] / 2), math.ceil(shapes[-1][1] / 2)))
    levels = [_create_level(group, str(number), info, shape) for number, shape in enumerate(shapes)]
    for index, plane in zip(info.planes(), planes, strict=False):
        for number, level in enumerate(levels):
            plane = plane if number == 0 else plane[::2, ::2] if labels else _halve(plane)
            level[(*index, slice(None), slice(None))] = plane
    image = {
        "name": info.metadata.get("name") or info.path.stem,
        "axes": [_axis(axis, info) for axis in info.axes],
        "datasets": [_dataset(number, info) for number in range(len(shapes))],
        "metadata": {"description": f"{info.description}\n{note}".strip()},
    }
    omero = _omero(info)
    if version == "0.4":
        group.attrs.update({"multiscales": [{"version": version, **image}], **omero})
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image], **omero}


def _import_zarr(path: Path) -> Any:
    """Import zarr, or say how to install it."""
    try:
        import zarr
    except ImportError as error:
        raise ImageError(
            f"zarr must be installed for OME-Zarr, got none ({path}). Run: pip install 'biostyle[zarr]'"
        ) from error
    return zarr


def _attributes(path: Path) -> tuple[dict[str, Any], str]:
    """Return the image's OME attributes and their version."""
    file = metadata_file(path)
    content = json.loads(file.read_bytes())
    attributes = content.get("attributes", {}).get("ome", {}) if file.name == "zarr.json" else content
    first = (attributes.get("multiscales") or [{}])[0]
    version = str(attributes.get("version") or first.get("version") or "0.4")
    if version not in ("0.4", "0.5"):
        raise ImageError(
            f"OME-Zarr must be of version 0.4 or 0.5, got {version} ({path}). Convert it to NGFF 0.5."
        )
    return attributes, version


def _scale(image: dict[str, Any], axes: str) -> dict[str, float]:
    """Return the distance between the pixels of the full resolution along each axis."""
    total = [1.0] * len(axes)
    for transformations in (
        image["datasets"][0].get("coordinateTransformations", []),
        image.get("coordinateTransformations", []),
    ):
        for one in transformations:
            if one["type"] == "scale":
                total = [a * float(b) for a, b in zip(total, one["scale"], strict=True)]
    return dict(zip(axes, total, strict=True))


def _create_level(group: Any, name: str, info: VolumeInfo, plane: tuple[int, int]) -> Any:
    """Make the array of one level; one chunk lies in one plane."""
    shape = (*info.shape[:-2], *plane)
    version_2 = info.metadata.get("version") == "0.4"
    options: dict[str, Any] = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if version_2 else {}
    if not version_2:
        options["dimension_names"] = [axis.lower() for axis in info.axes]
    return group.create_array(
        name,
        shape=shape,
        chunks=(1,) * (len(shape) - 2) + tuple(min(_CHUNK_PX, size) for size in plane),
        dtype=info.dtype,
        **options,
    )


def _halve(plane: NDArray) -> NDArray:
    """Average blocks of 2 × 2 pixels; an odd edge is repeated."""
    even = np.pad(plane, [(0, size % 2) for size in plane.shape], mode="edge")
    mean = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3), dtype=np.float64)
    return (np.rint(mean) if plane.dtype.kind == "u" else mean).astype(plane.dtype)


def _axis(axis: str, info: VolumeInfo) -> dict[str, str]:
    """Describe an axis in NGFF's words."""
    if axis == "C":
        return {"name": "c", "type": "channel"}
    unit = info.time_unit if axis == "T" else info.pixel_unit
    stated = {"unit": _LONG_UNITS.get(unit, unit)} if unit else {}
    return {"name": axis.lower(), "type": "time" if axis == "T" else "space", **stated}


def _dataset(number: int, info: VolumeInfo) -> dict[str, Any]:
    """Describe a level of the pyramid."""
    sizes = {**info.pixel_size, "T": info.time_increment or 1.0}
    factor = {"Y": 2**number, "X": 2**number}
    scale = [sizes.get(axis, 1.0) * factor.get(axis, 1) for axis in info.axes]
    return {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": scale}]}


def _omero(info: VolumeInfo) -> dict[str, Any]:
    """Keep the channels' names and colours; the display range is the dtype's."""
    omero = info.metadata.get("omero")
    if not omero or not omero.get("channels"):
        return {}
    channels = omero["channels"]
    selected = info.metadata.get("selected_channel")
    if selected is not None:
        channels = channels[selected[1] : selected[1] + 1]
    high = float(np.iinfo(info.dtype).max) if info.dtype.kind == "u" else 1.0
    window = {"min": 0.0, "max": high, "start": 0.0, "end": high}
    return {"omero": {**omero, "channels": [{**channel, "window": window} for channel in channels]}}
