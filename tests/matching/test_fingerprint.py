"""Fingerprints of simulated domains whose properties are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from biostyle.errors import ImageError, MaskError
from biostyle.matching.fingerprint import DomainFingerprint, fingerprint_domain
from biostyle.types import NDArray

SIDE = 256


def cells(diameter: float = 30, n: int = 8) -> NDArray:
    """A mask of round cells on a grid."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for i in range(n):
        row, column = 32 + 64 * (i // 4), 32 + 64 * (i % 4)
        mask |= (np.hypot(rows - row, columns - column) <= diameter / 2).astype(np.uint8)
    return mask


def frame(noise: float = 0.02, dark: bool = False) -> NDArray:
    """Bright or dark cells over a background, in [0, 1]."""
    image = 0.2 + 0.6 * ndimage.gaussian_filter(cells().astype(float), 1.0)
    image = 1 - image if dark else image
    return image + np.random.default_rng(0).normal(0, noise, image.shape)


def test_stored_values() -> None:
    stored = [(33_000 + 4_000 * np.clip(frame(), 0, 1)).astype(np.uint16) for _ in range(3)]
    found = fingerprint_domain(stored)
    assert (found.n_frames, found.shapes, found.dtypes) == (3, ((SIDE, SIDE),), ("uint16",))
    assert found.minimum == stored[0].min()
    assert found.maximum == stored[0].max()
    assert found.pedestal == pytest.approx(33_800 / 65_535, abs=0.01)
    assert found.contrast == pytest.approx(0.6 * 4_000 / 65_535, rel=0.2)


def test_saturation() -> None:
    clipped = (255 * np.clip(frame() * 2 - 0.4, 0, 1)).astype(np.uint8)
    found = fingerprint_domain([clipped])
    assert found.saturated_low == pytest.approx((clipped == 0).mean())
    assert found.saturated_high == pytest.approx((clipped == 255).mean())
    assert found.saturated_low > 0.3


@pytest.mark.parametrize(("dark", "expected"), [(False, "bright objects"), (True, "dark objects")])
def test_polarity_with_and_without_masks(dark: bool, expected: str) -> None:
    image = frame(dark=dark)
    assert fingerprint_domain([image]).polarity == expected
    with_mask = fingerprint_domain([image], [cells()])
    assert with_mask.polarity == with_mask.polarity_from_image == expected


def test_a_symmetric_histogram_has_no_polarity() -> None:
    assert fingerprint_domain([np.random.default_rng(0).normal(0, 1, (64, 64))]).polarity == "mixed"


def test_masks_win_over_the_image() -> None:
    image = frame()
    image[:16] = 3.0  # a bright band that is no object makes the tail
    found = fingerprint_domain([2 - image], [cells()])
    assert found.polarity == "dark objects"


def test_noise_is_measured_against_the_contrast() -> None:
    levels = [fingerprint_domain([frame(noise)]).noise for noise in (0.01, 0.04)]
    assert levels[0] == pytest.approx(0.01 / 0.64, rel=0.25)
    assert levels[1] == pytest.approx(0.04 / 0.75, rel=0.25)


def test_blur_lowers_the_sharpness() -> None:
    image = frame()
    blurred = ndimage.gaussian_filter(image, 2.0)
    assert fingerprint_domain([blurred]).sharpness < 0.5 * fingerprint_domain([image]).sharpness


def test_objects() -> None:
    found = fingerprint_domain([frame(), frame()], [cells(), None])
    assert found.object_diameter_px == pytest.approx(30, abs=0.5)
    assert found.image_diameter_px == pytest.approx(30, rel=0.25)
    assert found.foreground_fraction == pytest.approx(cells().mean())
    assert found.foreground_source == "masks"


def test_without_masks_nothing_is_claimed_about_them() -> None:
    found = fingerprint_domain([frame()])
    assert found.object_diameter_px is None
    assert found.foreground_fraction is None
    assert found.foreground_source is None


def test_frames_may_be_boolean() -> None:
    frame = np.zeros((64, 64), bool)
    frame[10:30, 10:30] = True
    found = fingerprint_domain([frame])
    assert (found.dtypes, found.contrast) == (("bool",), 1.0)


def test_json_gives_it_back() -> None:
    found = fingerprint_domain([frame()])
    assert DomainFingerprint.model_validate_json(found.model_dump_json()) == found


def test_bad_input_is_named() -> None:
    with pytest.raises(ImageError, match="got 0"):
        fingerprint_domain([])
    with pytest.raises(ImageError, match=r"got 7\.0 in every pixel \(frame 1\)"):
        fingerprint_domain([frame(), np.full((8, 8), 7.0)])
    with pytest.raises(MaskError, match=r"got \(3, 4\) \(frame 0\)"):
        fingerprint_domain([frame()], [np.zeros((3, 4), np.uint8)])


def test_no_torch_is_needed() -> None:
    script = "import sys, biostyle.matching.fingerprint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
