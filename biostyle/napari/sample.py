"""Simulated movies of two microscopes, as layers."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from biostyle.data.sources.simulated import simulate_pair
from biostyle.napari.reading import LayerData, read_folder

_SEED, _N_FRAMES = 0, 8


def simulate_a() -> list[LayerData]:
    """Simulate microscope A, whose images a segmenter of the demo knows.

    Returns
    -------
    list of (data, attributes, type)
        An image (8, 256, 256) of uint8, and its exact labels.
    """
    return _simulate(0)


def simulate_b() -> list[LayerData]:
    """Simulate microscope B: inverted, blurred, of another magnification.

    Returns
    -------
    list of (data, attributes, type)
        An image (8, 256, 256) of uint16, and its exact labels.
    """
    return _simulate(1)


def _simulate(microscope: int) -> list[LayerData]:
    """Return one of the two movies."""
    with TemporaryDirectory() as root:
        folder = simulate_pair(Path(root), _SEED, _N_FRAMES)[microscope]
        return [(np.asarray(data), attributes, kind) for data, attributes, kind in read_folder(str(folder))]
