"""Histogram matching against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from skimage.exposure import match_histograms

from biostyle.errors import ImageError
from biostyle.matching.histogram import N_QUANTILES, Histogram


def test_equals_scikit_image() -> None:
    rng = np.random.default_rng(0)
    image_a = np.clip(rng.normal(0.4, 0.1, (64, 64)), 0, 1).astype(np.float32)
    image_b = rng.beta(1, 5, (50, 71)).astype(np.float32)
    ours = Histogram.of([torch.from_numpy(image_a)[None, None]])(torch.from_numpy(image_b)[None, None])
    reference = match_histograms(image_b, image_a)
    assert np.abs(ours[0, 0].numpy() - reference).mean() < 2e-3
    assert np.abs(ours[0, 0].numpy() - reference).max() < 0.1  # between the two outermost of 257 quantiles


def test_clipped_black_gets_one_value_as_in_scikit_image() -> None:
    rng = np.random.default_rng(1)
    image_a = rng.random((64, 64)).astype(np.float32)
    image_b = np.clip(rng.normal(0, 0.3, (64, 64)), 0, 1).astype(np.float32)
    black = image_b == 0
    ours = Histogram.of([torch.from_numpy(image_a)[None, None]])(torch.from_numpy(image_b)[None, None])
    values = np.unique(ours[0, 0].numpy()[black])
    assert len(values) == 1
    assert values[0] == pytest.approx(match_histograms(image_b, image_a)[black][0], abs=0.01)


def test_learns_the_mean_over_frames_of_any_size() -> None:
    step = Histogram.of([torch.full((1, 1, 4, 4), 0.2), torch.full((1, 1, 9, 3), 0.4)])
    assert step.quantiles == pytest.approx([0.3] * N_QUANTILES)


def test_frames_are_matched_one_by_one_and_gradients_flow() -> None:
    step = Histogram(quantiles=(0.2, 0.5, 0.6))
    images = torch.rand(2, 1, 16, 16)
    alone = torch.cat([step(images[:1]), step(images[1:])])
    torch.testing.assert_close(step(images), alone)
    images.requires_grad_()
    step(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_a_constant_frame_stays_finite() -> None:
    assert Histogram(quantiles=(0.2, 0.6))(torch.full((1, 1, 4, 4), 0.5)).isfinite().all()


def test_quantiles_lie_in_the_range_of_images() -> None:
    with pytest.raises(ValidationError, match=r"1\.5"):
        Histogram(quantiles=(0.0, 1.5))


def colours(seed: int, size: tuple[int, int], power: float) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) ** power


def test_each_channel_of_a_photograph_is_matched_as_in_scikit_image() -> None:
    image_a, image_b = colours(0, (64, 60), 0.5), colours(1, (50, 71), 2.0)
    image_a[:, 0] *= 0.6
    ours = Histogram.of([image_a])(image_b)
    a, b = (image[0].movedim(0, -1).numpy() for image in (image_a, image_b))
    reference = match_histograms(b, a, channel_axis=-1)
    assert np.abs(ours[0].movedim(0, -1).numpy() - reference).mean() < 2e-3


def test_lab_matches_lightness_and_colours_of_a() -> None:
    image_a, image_b = 0.3 + 0.4 * colours(0, (40, 40), 1.0), 0.3 + 0.3 * colours(1, (40, 50), 1.5)
    step = Histogram.of([image_a], space="lab")
    assert step(image_b).shape == image_b.shape
    matched = Histogram.of([step(image_b)], space="lab")
    np.testing.assert_allclose(matched.quantiles, step.quantiles, atol=0.02)
    assert Histogram.model_validate(step.model_dump(mode="json")) == step


def test_a_gray_curve_is_stored_without_a_space() -> None:
    assert Histogram(quantiles=(0.0, 1.0)).model_dump() == {"kind": "histogram", "quantiles": (0.0, 1.0)}


def test_other_channels_than_learned_are_refused() -> None:
    step = Histogram.of([colours(0, (8, 8), 1.0)])
    with pytest.raises(ImageError, match=r"must have 3 channels .*, got 1\."):
        step(torch.rand(1, 1, 8, 8))
    with pytest.raises(ImageError, match=r"got 1\."):
        Histogram.of([torch.rand(1, 1, 8, 8)], space="lab")


def test_lab_needs_three_curves() -> None:
    with pytest.raises(ValidationError, match="got one of 2 values"):
        Histogram(quantiles=(0.0, 1.0), space="lab")
