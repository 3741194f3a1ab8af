"""What is known of an image file without its pixels, in one form for every format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from biostyle.errors import ImageError
from biostyle.io.axes import PlaneIndex, check_channel, plane_indices, plane_shape

Format = Literal["tiff", "imagej", "ome", "png", "jpeg", "zarr"]


@dataclass(frozen=True)
class VolumeInfo:
    """Shape, axes, type, scale and storage of an image file.

    Parameters
    ----------
    path : Path
        The file.
    format : {"tiff", "imagej", "ome", "png", "jpeg", "zarr"}
        Kind of file; "imagej" and "ome" are TIFF files with that metadata.
    shape : tuple of int
        Shape of the whole array.
    axes : str
        One letter of "TCZYXS" a dimension.
    dtype : numpy.dtype
        uint8, uint16 or float32 in native byte order; 64-bit and 16-bit floats are read as float32.
    stored_dtype : str
        Name of the type in the file.
    photometric : {"minisblack", "miniswhite", "rgb"}
        How viewers show the values. Values are never inverted here.
    compression : str or None
        Lossless scheme to write with; a lossy one becomes "zlib".
    predictor : bool
        Whether the compression predicts from the neighbouring pixel.
    tile : tuple of int or None
        Height and width of a tile, in pixels; None for strips.
    bigtiff : bool
        Whether file offsets have 64 bits.
    pixel_size : mapping of str to float
        Distance between pixels along "Z", "Y" and "X", where it is known, in `pixel_unit`.
    pixel_unit : str
        Unit of `pixel_size`, such as "µm"; empty where it is unknown.
    time_increment : float or None
        Time between frames, in `time_unit`.
    time_unit : str
        Unit of `time_increment`, such as "s".
    channel_names : tuple of str
        Names along C, where the file has them.
    description : str
        Free text of the file.
    metadata : mapping
        What only this format has and its writer keeps.
    """

    path: Path
    format: Format
    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype
    stored_dtype: str = ""
    photometric: str = "minisblack"
    compression: str | None = None
    predictor: bool = False
    tile: tuple[int, int] | None = None
    bigtiff: bool = False
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    pixel_unit: str = ""
    time_increment: float | None = None
    time_unit: str = ""
    channel_names: tuple[str, ...] = ()
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width of a plane, in pixels."""
        return plane_shape(self.axes, self.shape)

    @property
    def n_bytes(self) -> int:
        """Size of the whole array in memory, in bytes; it need not fit there."""
        return int(np.prod([int(size) for size in self.shape], dtype=object)) * self.dtype.itemsize

    def size(self, axis: str) -> int:
        """Return the length along an axis.

        Parameters
        ----------
        axis : str
            One letter.

        Returns
        -------
        int
            Number of pixels; 1 where there is no such axis.
        """
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def planes(self, channel: int | None = None) -> Iterator[PlaneIndex]:
        """Iterate over the planes in the order in which they are read and written.

        Parameters
        ----------
        channel : int, optional
            Keep the planes of one channel, counted from 0.

        Returns
        -------
        iterator of tuple of int
            See :func:`biostyle.io.axes.plane_indices`.
        """
        return plane_indices(self.axes, self.shape, channel)

    def with_dtype(self, dtype: np.dtype) -> VolumeInfo:
        """Describe the same image with another pixel type.

        Parameters
        ----------
        dtype : numpy.dtype
            The new type.

        Returns
        -------
        VolumeInfo
            A copy.
        """
        return replace(self, dtype=np.dtype(dtype), stored_dtype=np.dtype(dtype).name)

    def in_format(self, format: Format) -> VolumeInfo:
        """Describe the same image in another kind of file.

        Parameters
        ----------
        format : {"tiff", "imagej", "ome", "png", "jpeg", "zarr"}
            The new format.

        Returns
        -------
        VolumeInfo
            A copy.
        """
        return replace(self, format=format)

    def select_channel(self, channel: int) -> VolumeInfo:
        """Describe one channel of the image.

        Parameters
        ----------
        channel : int
            Channel, counted from 0.

        Returns
        -------
        VolumeInfo
            A copy in which C keeps its place with length 1, and S is gone.

        Raises
        ------
        ImageError
            If the channel does not exist.
        """
        axis = check_channel(self.axes, self.shape, channel, str(self.path))
        if axis is None:
            return self
        position = self.axes.index(axis)
        names = self.channel_names[channel : channel + 1] if axis == "C" else self.channel_names
        kept = (1,) if axis == "C" else ()
        return replace(
            self,
            shape=self.shape[:position] + kept + self.shape[position + 1 :],
            axes=self.axes if axis == "C" else self.axes.replace("S", ""),
            photometric="minisblack" if axis == "S" else self.photometric,
            channel_names=names,
            metadata={**self.metadata, "selected_channel": (axis, channel, self.shape, self.axes)},
        )

    def for_masks(self, dtype: np.dtype) -> VolumeInfo:
        """Describe a mask or label image on this image's grid.

        Parameters
        ----------
        dtype : numpy.dtype
            uint8, uint16 or uint32.

        Returns
        -------
        VolumeInfo
            A copy in which 0 is black.

        Raises
        ------
        ImageError
            If the image has colour samples; choose a channel first.
        """
        if "S" in self.axes:
            raise ImageError(
                f"masks must belong to one channel, got axes {self.axes} ({self.path}). Pass --channel."
            )
        return replace(self.with_dtype(dtype), photometric="minisblack")
