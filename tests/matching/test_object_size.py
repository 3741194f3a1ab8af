"""Object size on discs and textures of known size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from biostyle.errors import ConfigError, MaskError
from biostyle.matching.object_size import (
    diameter_from_image,
    diameter_from_images,
    diameter_from_masks,
    scale_factor,
)
from biostyle.types import NDArray


def discs(diameter: float, n: int = 12, side: int = 320) -> NDArray:
    """Labels of round objects that do not touch."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.uint16)
    for label in range(1, n + 1):
        for _ in range(100):
            row, column = rng.uniform(diameter / 2, side - diameter / 2, 2)
            near = np.hypot(rows - row, columns - column)
            if not labels[near <= diameter / 2 + 3].any():
                labels[near <= diameter / 2] = label
                break
    return labels


def test_masks_give_the_median_diameter_of_labels_and_of_components() -> None:
    labels = discs(30)
    assert diameter_from_masks([labels]) == pytest.approx(30, abs=0.5)
    assert diameter_from_masks([(labels > 0).astype(np.uint8) * 255]) == pytest.approx(30, abs=0.5)


def test_touching_labels_stay_apart() -> None:
    labels = np.zeros((20, 40), np.uint8)
    labels[:, :20], labels[:, 20:] = 1, 2
    assert diameter_from_masks([labels]) == pytest.approx(2 * np.sqrt(400 / np.pi))


def test_identities_may_be_any_integers() -> None:
    labels = np.zeros((40, 40), np.int64)
    labels[2:12, 2:12], labels[20:30, 20:30] = 2**40, 7
    assert diameter_from_masks([labels]) == pytest.approx(2 * np.sqrt(100 / np.pi))


def test_no_object_has_no_diameter() -> None:
    assert diameter_from_masks([np.zeros((5, 5), np.uint8)]) is None
    assert diameter_from_masks([]) is None


def test_masks_hold_integers() -> None:
    with pytest.raises(MaskError, match="float64"):
        diameter_from_masks([np.zeros((5, 5))])


@pytest.mark.parametrize("diameter", [16, 32, 60])
def test_blobs_are_measured(diameter: int) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, (320, 320))
    found = diameter_from_image((discs(diameter) > 0) + noise)
    assert found.cue == "blob"
    assert found.diameter_px == pytest.approx(diameter, rel=0.25)
    assert found.low_px <= found.diameter_px <= found.high_px


@pytest.mark.parametrize("diameter", [40, 64])
def test_textured_objects_are_measured(diameter: int) -> None:
    texture = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, (320, 320)), 1.5)
    found = diameter_from_image(0.5 + (discs(diameter, 6) > 0) * texture)
    assert found.cue == "texture"
    assert found.diameter_px == pytest.approx(diameter, rel=0.35)


def test_noise_and_confluence_cannot_be_told() -> None:
    noise = np.random.default_rng(1).normal(0, 1, (256, 256))
    assert diameter_from_image(noise).diameter_px is None


def test_frames_of_different_sizes_are_averaged() -> None:
    frames = [(discs(24, side=side) > 0).astype(float) for side in (200, 320)]
    assert diameter_from_images(frames).diameter_px == pytest.approx(24, rel=0.25)


def test_scale_factor() -> None:
    assert scale_factor(65, 130) == 0.5
    with pytest.raises(ConfigError, match=r"diameter_b_px must be positive, got -3"):
        scale_factor(65, -3)
