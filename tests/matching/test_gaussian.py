"""The blur against SciPy, and where the Gaussian is wider than the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from biostyle.matching import gaussian
from biostyle.matching.gaussian import gaussian_blur


def test_equals_scipy_away_from_the_border() -> None:
    image = np.random.default_rng(0).random((60, 50))
    ours = gaussian_blur(torch.from_numpy(image)[None, None], 2.0)[0, 0].numpy()
    reference = ndimage.gaussian_filter(image, 2.0, truncate=8)
    np.testing.assert_allclose(ours[15:-15, 15:-15], reference[15:-15, 15:-15], atol=1e-4)


def test_a_constant_stays_and_any_width_works() -> None:
    torch.testing.assert_close(
        gaussian_blur(torch.full((2, 3, 5, 1), 0.3), 100.0), torch.full((2, 3, 5, 1), 0.3)
    )


@pytest.mark.parametrize("sigma_px", [0.4, 3.0, 200.0])
def test_large_frames_are_cut_into_blocks(sigma_px: float, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(2, 1, 90, 61, generator=torch.Generator().manual_seed(0))
    whole = gaussian_blur(images, sigma_px)
    monkeypatch.setattr(gaussian, "_WHOLE_PX", 32)
    monkeypatch.setattr(gaussian, "_BLOCK_PX", 16)
    torch.testing.assert_close(gaussian_blur(images, sigma_px), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("whole_px", [4096, 4])
def test_gradients_flow(whole_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian, "_WHOLE_PX", whole_px)
    images = torch.rand(1, 1, 8, 9, requires_grad=True)
    gaussian_blur(images, 1.5).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().min() > 0
