"""What the panel does with a layer: which planes it has, what becomes of them, and where results belong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biostyle.errors import CheckpointError, ImageError
from biostyle.io.axes import PlaneIndex
from biostyle.napari.reading import METADATA
from biostyle.types import NDArray

if TYPE_CHECKING:
    from biostyle.application import Model
    from biostyle.io.instances import Split


@dataclass(frozen=True)
class PlaneResult:
    """What an adapted model makes of one plane.

    Parameters
    ----------
    index : tuple of int
        The plane's place in its layer.
    labels : ndarray of uint16, shape (H, W)
        Objects, counted from 1.
    stylized : ndarray of float32, shape (H, W), or None
        In [0, 1]; None where it was not asked for, or nothing stands before the segmenter.
    """

    index: PlaneIndex
    labels: NDArray
    stylized: NDArray | None


def process_planes(
    directory: Path, data: Any, indices: Sequence[PlaneIndex], split: Split, *, stylized: bool
) -> Iterator[PlaneResult]:
    """Load an adapted model and apply it to planes, one at a time.

    Parameters
    ----------
    directory : Path
        What ``biostyle adapt`` leaves in ``OUT/model``.
    data : array of shape (..., H, W)
        From :func:`layer_array`.
    indices : sequence of tuple of int
        Which planes.
    split : {"components", "watershed"}
        How objects are told apart.
    stylized : bool
        Whether to return the stylized planes, too, where the model has something to stylize with.

    Yields
    ------
    PlaneResult
        In the order of `indices`.

    Raises
    ------
    CheckpointError, ChecksumError
        If the model cannot be used.
    ImageError
        If a plane is not finite, or too large.
    """
    from biostyle.application import load

    model = load(directory)
    stylized = stylized and _can_stylize(model)
    for index in indices:
        plane = np.asarray(data[index])
        yield PlaneResult(
            index, model.segment(plane, labels=split), model.stylize(plane) if stylized else None
        )


def layer_array(layer: Any) -> Any:
    """Return a layer's gray values at full resolution.

    Parameters
    ----------
    layer : napari.layers.Image or None
        What the user chose.

    Returns
    -------
    array of shape (..., H, W)
        As the layer holds it, lazy or not.

    Raises
    ------
    ImageError
        If there is no layer, or it is in colour.
    """
    if layer is None:
        raise ImageError("layer must be an image, got none. Open an image, and choose it.")
    if layer.rgb:
        raise ImageError(
            f"layer must hold gray values, got RGB of shape {tuple(layer.data.shape)} ({layer.name}). "
            "Split its channels first."
        )
    return layer.data[0] if layer.multiscale else layer.data


def shown_plane(layer: Any, point: Sequence[float]) -> PlaneIndex:
    """Find the plane of a layer that is shown.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    point : sequence of float
        Where the viewer's sliders are, in world coordinates: ``viewer.dims.point``.

    Returns
    -------
    tuple of int
        The nearest plane, where the sliders have left the layer.
    """
    outer = layer_array(layer).shape[:-2]
    position = np.rint(layer.world_to_data(point)[: len(outer)]).astype(int)
    return tuple(int(i) for i in np.clip(position, 0, np.array(outer, int) - 1))


def placement(layer: Any, index: PlaneIndex | None = None) -> dict[str, Any]:
    """Return the attributes that put a result where its layer is.

    Parameters
    ----------
    layer : napari.layers.Image
        What the result was made from.
    index : tuple of int, optional
        The one plane that the result is made of; the whole layer, when left out.

    Returns
    -------
    dict
        Transform, units and metadata for a new layer with as many dimensions.
    """
    metadata = dict(layer.metadata)
    corner = np.zeros(layer.ndim)
    if index is not None:
        corner[: len(index)] = index
        origin = metadata.pop(METADATA, None)
        if origin and len(index) == 1:
            metadata[METADATA] = origin | {"numbers": [origin["numbers"][index[0]]]}
    return {
        "scale": layer.scale,
        "translate": layer.translate + layer.scale * corner,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "metadata": metadata,
    }


def _can_stylize(model: Model) -> bool:
    """Tell a model that is more than a segmenter."""
    try:
        model.check("stylize", "frame")
    except CheckpointError:
        return False
    return True
