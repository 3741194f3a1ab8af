"""An adapted model at work on planes and on arrays of any axes: the same numbers as the verbs write to files.

``biostyle.load(DIR)`` gives a :class:`Model`; it stylizes and segments each plane (H, W) by itself and puts the results
back where the planes came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.adapted_model import (
    CHAIN,
    DESCRIPTION,
    GENERATOR,
    PARTS,
    STATISTICS,
    AdaptedModel,
    load_adapted,
)
from biostyle.artifacts import RECORD, read_record
from biostyle.devices import resolve_device
from biostyle.errors import CheckpointError, ConfigError, ImageError
from biostyle.inference import (
    InferenceSettings,
    prepare_for_inference,
    segment_frame,
    stack_statistics,
    stylize_frame,
)
from biostyle.io.arrays import array_plane, check_array, map_planes
from biostyle.io.axes import PlaneIndex, plane_indices
from biostyle.io.instances import LabelType, Split, binary_mask, mask_dtype, mask_to_instances
from biostyle.io.integrity import sha256
from biostyle.models.unet import UNet
from biostyle.types import NDArray

Statistics = Literal["frame", "stack", "train"]


def load(directory: str | Path, device: str = "auto") -> Model:
    """Load an adapted model.

    Parameters
    ----------
    directory : str or Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    device : str
        "auto", "cpu", or "cuda", or one GPU of several, such as "cuda:1".

    Returns
    -------
    Model
        Ready to stylize and segment.

    Raises
    ------
    CheckpointError
        If a part is missing, is not what it should be, or was altered. Pickles are never opened.
    ChecksumError
        If a file of a finished directory is missing, new or altered.
    ConfigError
        If the device is not there.
    """
    return Model(Path(directory), device)


class Model:
    """An adapted segmenter that works on planes and on arrays.

    Parameters
    ----------
    directory : Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    device : str
        Where to compute; see :func:`load`.

    Attributes
    ----------
    fingerprint : str
        SHA-256 of all parts, 64 hexadecimal digits.
    colour : bool
        Whether planes are colour photographs, (H, W, 3), and not gray values.
    """

    def __init__(self, directory: Path, device: str = "auto") -> None:
        self._directory, self._device = directory, resolve_device(device)
        # a run's directory holds the segmenter, and not what stands before
        if not (directory / DESCRIPTION).is_file():
            raise CheckpointError(
                f"model must hold {DESCRIPTION}, got none ({directory}). Point at OUT/model of adapt."
            )
        if (directory / RECORD).is_file():
            read_record(directory)
        adapted = load_adapted(directory)
        self._preprocessing = adapted.preprocessing
        self._segmenter = _prepared(adapted).to(self._device)
        self._stylizer = adapted.stylizer  # the one inside the segmenter
        self.fingerprint = _fingerprint(directory)
        self.colour = adapted.colour

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the directory's name."""
        return load, (self._directory.absolute(), str(self._device))

    def stylize(self, array: Any, axes: str | None = None, statistics: Statistics = "frame") -> Any:
        """Bring every plane to the style that the segmenter knows.

        Parameters
        ----------
        array : ndarray or dask array of shape (..., H, W)
            Gray values of any real dtype.
        axes : str, optional
            One letter of "TCZYX" a dimension, such as "TYX"; needed from three dimensions on.
        statistics : {"frame", "stack", "train"}
            Where the generator's instance norms get mean and variance from: each plane, all planes of a channel
            together, or the images it was trained on.

        Returns
        -------
        ndarray or dask array of float32, shape (..., H, W)
            In [0, 1]; lazy where `array` is. Only "stack" reads a dask array at once.

        Raises
        ------
        ImageError
            If the axes are unclear, or an array is empty, not finite or not numeric.
        CheckpointError
            If nothing stands before the segmenter, or the model has no such statistics.
        ConfigError
            If `statistics` is another word.
        """
        self.check("stylize", statistics)
        return self._planewise(array, axes, statistics, self.stylize_plane, np.dtype(np.float32))

    def segment(
        self,
        array: Any,
        axes: str | None = None,
        labels: Split | None = None,
        statistics: Statistics = "frame",
        dtype: LabelType = "uint16",
    ) -> Any:
        """Segment every plane.

        Parameters
        ----------
        array : ndarray or dask array of shape (..., H, W)
            Gray values of any real dtype, not stylized.
        axes : str, optional
            One letter of "TCZYX" a dimension, such as "TYX"; needed from three dimensions on.
        labels : {"components", "watershed"}, optional
            Number the objects of each plane; see :func:`biostyle.io.instances.mask_to_instances`.
        statistics : {"frame", "stack", "train"}
            As in :meth:`stylize`.
        dtype : {"uint16", "uint32"}
            Type of the numbers; uint32 for more than 65 535 objects in a plane.

        Returns
        -------
        ndarray or dask array of shape (..., H, W)
            uint8, 0 and 255; with `labels` of type `dtype`, identities counted from 1. Lazy where `array` is.

        Raises
        ------
        ImageError, CheckpointError, ConfigError
            As :meth:`stylize`; a segmenter with nothing before it is fine here.
        """
        self.check("segment", statistics)
        work = partial(self.segment_plane, labels=labels, dtype=dtype)
        return self._planewise(array, axes, statistics, work, mask_dtype(labels, dtype))

    def stylize_plane(self, plane: NDArray, settings: InferenceSettings) -> NDArray:
        """Stylize one plane.

        Parameters
        ----------
        plane : ndarray of shape (H, W)
            Gray values.
        settings : InferenceSettings
            From :meth:`plane_settings`.

        Returns
        -------
        ndarray of float32, shape (H, W)
            In [0, 1].

        Raises
        ------
        ImageError
            If the plane is not finite or does not fit into memory.
        """
        assert self._stylizer is not None
        with _in_memory(plane):
            return stylize_frame(self._stylizer, plane, self._preprocessing, self._device, settings)

    def segment_plane(
        self,
        plane: NDArray,
        settings: InferenceSettings,
        labels: Split | None = None,
        dtype: LabelType = "uint16",
    ) -> NDArray:
        """Segment one plane.

        Parameters
        ----------
        plane : ndarray of shape (H, W) or (H, W, 3)
            Gray values, or red, green and blue where the model is one of colour photographs.
        settings : InferenceSettings
            From :meth:`plane_settings`.
        labels : {"components", "watershed"}, optional
            Number the objects.
        dtype : {"uint16", "uint32"}
            Type of the numbers.

        Returns
        -------
        ndarray of shape (H, W)
            As :meth:`segment`.

        Raises
        ------
        ImageError
            If the plane is not finite or does not fit into memory.
        """
        with _in_memory(plane):
            mask = segment_frame(self._segmenter, plane, self._preprocessing, self._device, settings)
        return binary_mask(mask) if labels is None else mask_to_instances(mask, labels, dtype=dtype)

    def plane_settings(
        self,
        statistics: Statistics,
        axes: str,
        indices: Sequence[PlaneIndex],
        read: Callable[[PlaneIndex], NDArray],
    ) -> Callable[[PlaneIndex], InferenceSettings]:
        """Measure or look up the statistics for all planes of an image.

        Parameters
        ----------
        statistics : {"frame", "stack", "train"}
            As in :meth:`stylize`.
        axes : str
            Axes of the image.
        indices : sequence of tuple of int
            The planes that belong together; channels are measured apart.
        read : callable
            From an index to its plane; for "stack" called about four times a plane.

        Returns
        -------
        callable
            From a plane's index to the settings to compute it with.
        """
        if statistics == "train":
            fixed = InferenceSettings(statistics=self._trained_statistics())
            return lambda index: fixed
        if statistics == "frame":
            return lambda index: InferenceSettings()
        outer = axes.replace("Y", "").replace("X", "")
        position = outer.find("C")
        groups: dict[int, list[PlaneIndex]] = {}
        for index in indices:
            groups.setdefault(index[position] if position >= 0 else 0, []).append(index)
        measured = {channel: self._measure(group, read) for channel, group in groups.items()}
        return lambda index: measured[index[position] if position >= 0 else 0]

    def check(self, verb: Literal["stylize", "segment"], statistics: str) -> None:
        """Refuse what this model cannot do.

        Parameters
        ----------
        verb : {"stylize", "segment"}
            What is asked for.
        statistics : str
            As in :meth:`stylize`.

        Raises
        ------
        CheckpointError
            If there is no stylizer, generator or file of statistics for it.
        ConfigError
            If `statistics` is another word.
        """
        if verb == "stylize" and self._stylizer is None:
            raise CheckpointError(
                f"model must hold {CHAIN} or {GENERATOR} to stylize, got a segmenter alone ({self._directory}). "
                "It takes frames as they are; use segment."
            )
        if self.colour and (verb == "stylize" or statistics != "frame"):
            raise CheckpointError(
                f"model must be one of gray images to {verb} with statistics {statistics!r}, got one of colour photographs "
                f"({self._directory}). Use segment, without --statistics."
            )
        if statistics not in ("frame", "stack", "train"):
            raise ConfigError(
                f"statistics must be 'frame', 'stack' or 'train', got {statistics!r}. Correct --statistics."
            )
        if statistics != "frame" and not (self._directory / GENERATOR).is_dir():
            raise CheckpointError(
                f"statistics must be 'frame' for a model without {GENERATOR}, got {statistics!r} "
                f"({self._directory}). Leave --statistics out."
            )
        if statistics == "train":
            self._trained_statistics()

    def _trained_statistics(self) -> Mapping[str, torch.Tensor]:
        """Read the statistics that were kept when the generator was trained."""
        path = self._directory / GENERATOR / STATISTICS
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"statistics 'train' must be stored with the model, got {error} ({path}). "
                "Use --statistics stack or frame."
            ) from error

    def _measure(
        self, indices: Sequence[PlaneIndex], read: Callable[[PlaneIndex], NDArray]
    ) -> InferenceSettings:
        """Measure the statistics of planes together."""
        assert self._stylizer is not None
        batches = _Batches(indices, lambda index: self._preprocessing.image_batch(read(index)))
        return InferenceSettings(statistics=stack_statistics(self._stylizer, batches, self._device))

    def _planewise(
        self,
        array: Any,
        axes: str | None,
        statistics: Statistics,
        work: Callable[[NDArray, InferenceSettings], NDArray],
        dtype: np.dtype,
    ) -> Any:
        """Apply something to every plane of an array."""
        if self.colour:
            raise CheckpointError(
                f"model must be one of gray images to work on arrays, got one of colour photographs ({self._directory}). "
                "Call segment_plane with each photograph."
            )
        axes = check_array(array, axes)
        indices = list(plane_indices(axes, array.shape))
        settings = self.plane_settings(statistics, axes, indices, partial(array_plane, array))
        return map_planes(array, lambda plane, index: work(plane, settings(index)), dtype)


class _Batches(Sequence[torch.Tensor]):
    """Planes that become batches when they are asked for."""

    def __init__(self, indices: Sequence[PlaneIndex], batch: Callable[[PlaneIndex], torch.Tensor]) -> None:
        self._indices, self._batch = indices, batch

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> torch.Tensor:  # type: ignore[override]
        return self._batch(self._indices[position])


def _prepared(adapted: AdaptedModel) -> nn.Module:
    """Put a U-Net into the form that computes faster; generators are taken apart when they are run."""
    whole = adapted.segmenter
    segmenter: nn.Module = whole.segmenter_a if isinstance(whole, AdaptedSegmenter) else whole
    if isinstance(segmenter, UNet):
        segmenter = prepare_for_inference(segmenter)
    if not isinstance(whole, AdaptedSegmenter):
        return segmenter
    return AdaptedSegmenter(segmenter, whole.stylizer_ba, whole.single_object).eval()


def _fingerprint(directory: Path) -> str:
    """Hash the parts that a result depends on."""
    lines = [f"{name} {sha256(directory / name)}\n" for name in PARTS if (directory / name).is_dir()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def _in_memory(plane: NDArray) -> Iterator[None]:
    """Say which frame was too large."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not exhausted:
            raise
        raise ImageError(
            f"frame must fit into memory, got {plane.shape[0]} x {plane.shape[1]} px. "
            "Use another --device, or crop the frame."
        ) from error
