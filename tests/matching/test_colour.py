"""Colour of the light, and the colours of A."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from biostyle.errors import ImageError
from biostyle.matching.colour import Reinhard, ShadesOfGrey
from biostyle.matching.lab import rgb_to_lab


def photographs(seed: int = 0, low: float = 0.3, high: float = 0.7) -> torch.Tensor:
    images = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * images


@pytest.mark.parametrize("norm", [1.0, 6.0])
def test_shades_of_grey_undoes_the_colour_of_the_light(norm: float) -> None:
    images, step = photographs(), ShadesOfGrey(norm=norm)
    light = torch.tensor([1.2, 1.0, 0.7]).view(1, 3, 1, 1)
    ratio = step(images * light) / step(images)
    torch.testing.assert_close(ratio, ratio[:, :1, :1, :1].expand_as(ratio))  # brightness alone differs
    means = (step(images * light) ** norm).mean(dim=(2, 3)) ** (1 / norm)
    torch.testing.assert_close(means, means[:, :1].expand_as(means))


def test_shades_of_grey_leaves_gray_images_alone_and_stays_finite_on_black() -> None:
    gray = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(ShadesOfGrey()(gray), gray)
    black = torch.zeros(1, 3, 4, 4, requires_grad=True)
    ShadesOfGrey()(black).sum().backward()
    assert black.grad is not None
    assert black.grad.isfinite().all()


@pytest.mark.parametrize("norm", [6.0, 20.0])
def test_shades_of_grey_stays_finite_where_a_channel_is_black(norm: float) -> None:
    images = photographs()
    images[:, 2] = 0
    images[1, 0] = 1 / 255
    images.requires_grad_()
    evened = ShadesOfGrey(norm=norm)(images)
    evened.sum().backward()
    assert images.grad is not None
    assert evened.isfinite().all()
    assert images.grad.isfinite().all()
    assert (evened[:, 2] == 0).all()


def test_reinhard_gives_the_moments_of_a() -> None:
    step = Reinhard.of([photographs(0)])
    moved = rgb_to_lab(step(photographs(1, 0.5, 0.9)))
    for found, wanted in ((moved.mean(dim=(2, 3)), step.mean), (moved.std(dim=(2, 3)), step.deviation)):
        torch.testing.assert_close(found, torch.tensor([wanted] * 2), atol=0.3, rtol=0.02)


def test_reinhard_averages_over_images_of_any_size() -> None:
    dark, bright = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 9, 3), 0.6)
    apart = [float(rgb_to_lab(image)[0, 0].mean()) for image in (dark, bright)]
    step = Reinhard.of([dark, bright])
    assert step.mean[0] == pytest.approx(sum(apart) / 2, abs=1e-3)
    assert step.deviation == pytest.approx((0, 0, 0), abs=1e-3)


def test_reinhard_stays_finite_on_a_constant_image_and_gradients_flow() -> None:
    step = Reinhard.of([photographs()])
    assert step(torch.full((1, 3, 4, 4), 0.5)).isfinite().all()
    images = photographs(1).requires_grad_()
    step(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


def test_reinhard_refuses_gray_images() -> None:
    with pytest.raises(ImageError, match=r"got 1\."):
        Reinhard.of([torch.rand(1, 1, 4, 4)])


def test_a_norm_below_one_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"input_value=0\.5"):
        ShadesOfGrey(norm=0.5)
