"""Blur and unsharp masking."""

from __future__ import annotations

import torch

from biostyle.matching.gaussian import gaussian_blur
from biostyle.matching.resolution import Blur, Sharpen


def edge() -> torch.Tensor:
    """A vertical edge from .2 to .8."""
    return torch.where(torch.arange(32) < 16, 0.2, 0.8).expand(1, 1, 24, 32).clone()


def test_blur_widens_an_edge() -> None:
    blurred = Blur(sigma_px=2.0)(edge())
    torch.testing.assert_close(blurred, gaussian_blur(edge(), 2.0))
    assert 0.2 < blurred[0, 0, 12, 14] < blurred[0, 0, 12, 17] < 0.8


def test_sharpening_adds_the_difference_and_stays_in_range() -> None:
    expected = edge() + 0.5 * (edge() - gaussian_blur(edge(), 1.0))
    torch.testing.assert_close(Sharpen(amount=0.5, sigma_px=1.0)(edge()), expected)
    strong = Sharpen(amount=9, sigma_px=2.0)(edge())
    assert strong.min() == 0
    assert strong.max() == 1


def test_sharpening_undoes_some_of_a_blur() -> None:
    blurred = Blur(sigma_px=1.0)(edge())
    restored = Sharpen(amount=1.0, sigma_px=1.0)(blurred)
    assert (restored - edge()).abs().mean() < (blurred - edge()).abs().mean()
