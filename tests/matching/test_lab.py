"""CIELAB against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import color

from biostyle.errors import ImageError
from biostyle.matching.lab import lab_to_rgb, rgb_to_lab


def photograph() -> torch.Tensor:
    """Every kind of colour, black and white among them."""
    images = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    images[0, :, 0], images[0, :, 1], images[1, :, 0] = 0, 1, 0.02
    return images


def test_equals_scikit_image_there_and_back() -> None:
    images = photograph()
    lab = rgb_to_lab(images)
    reference = color.rgb2lab(images.movedim(1, -1).double().numpy())
    np.testing.assert_allclose(lab.movedim(1, -1).numpy(), reference, atol=1e-3)
    back = lab_to_rgb(lab)
    np.testing.assert_allclose(back.movedim(1, -1).numpy(), color.lab2rgb(reference), atol=1e-3)
    torch.testing.assert_close(back, images, atol=1e-3, rtol=0)


def test_colours_that_no_screen_shows_are_clipped() -> None:
    rgb = lab_to_rgb(torch.tensor([50.0, 120.0, -120.0]).view(1, 3, 1, 1))
    assert rgb.min() >= 0
    assert rgb.max() <= 1


def test_automatic_mixed_precision_leaves_colours_exact() -> None:
    images = photograph()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(lab_to_rgb(rgb_to_lab(images)), images, atol=1e-3, rtol=0)


def test_gradients_are_finite_everywhere() -> None:
    images = photograph().requires_grad_()
    lab_to_rgb(rgb_to_lab(images)).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


def test_gray_images_are_refused() -> None:
    with pytest.raises(ImageError, match=r"3 channels .*, got 1\."):
        rgb_to_lab(torch.rand(1, 1, 4, 4))
