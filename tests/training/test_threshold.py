"""The threshold: chosen on validation images, and built in."""

import pytest
import torch
from torch import nn

from biostyle.adaptation import foreground
from biostyle.errors import ConfigError, SplitError
from biostyle.models.deeplab import DeepLab
from biostyle.models.unet import UNet
from biostyle.training.threshold import THRESHOLDS, build_in_threshold, choose_threshold, fit_threshold

CPU = torch.device("cpu")


class Brightness(nn.Module):
    """Takes the gray value for the probability of foreground."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(images), images.logit()], dim=1)


def blob(gray: float) -> tuple[torch.Tensor, torch.Tensor]:
    """An object of one gray value on a darker ground, and its mask."""
    mask = torch.zeros(8, 8, dtype=torch.uint8)
    mask[2:5, 2:6] = 1
    return torch.where(mask == 1, gray, gray - 0.1)[None], mask


@pytest.mark.parametrize(("gray", "expected"), [(0.33, 0.3), (0.62, 0.55), (0.99, 0.9), (0.54, 0.5)])
def test_takes_the_best_and_of_equals_the_one_nearest_to_a_half(gray: float, expected: float) -> None:
    image, mask = blob(gray)
    assert choose_threshold(Brightness(), [image], [mask], CPU) == expected  # type: ignore[arg-type]


def test_every_image_counts_alike_and_what_is_not_annotated_does_not() -> None:
    (dark, mask), (bright, _) = blob(0.33), blob(0.93)
    found = choose_threshold(Brightness(), [dark, dark, bright], [mask] * 3, CPU)  # type: ignore[arg-type]
    assert found == 0.3
    unknown = torch.full_like(mask, 255)
    found = choose_threshold(Brightness(), [dark, dark, bright], [unknown, unknown, mask], CPU)  # type: ignore[arg-type]
    assert found == 0.85


def test_refuses_to_choose_on_nothing() -> None:
    with pytest.raises(SplitError, match="got 0"):
        choose_threshold(Brightness(), [], [], CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize("network", [UNet(3, 2, n_filters=2, depth=1), DeepLab()])
@pytest.mark.parametrize("threshold", [THRESHOLDS[0], 0.55, THRESHOLDS[-1]])
def test_one_half_becomes_the_threshold(network: UNet | DeepLab, threshold: float) -> None:
    network.eval()
    images = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = foreground(network, images)
        build_in_threshold(network, threshold)
        after = foreground(network, images)
    sure = (before - threshold).abs() > 1e-4
    assert torch.equal((after > 0.5)[sure], (before > threshold)[sure])


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.5])
def test_refuses_what_is_no_threshold(threshold: float) -> None:
    with pytest.raises(ConfigError, match=rf"between 0 and 1, got {threshold}"):
        build_in_threshold(UNet(n_filters=2, depth=1), threshold)


@torch.no_grad()
def test_a_fitted_threshold_is_built_in() -> None:
    torch.manual_seed(0)
    network = UNet(1, 2, n_filters=2, depth=1).eval()
    image = torch.rand(1, 16, 16)
    probs = foreground(network, image[None])[0, 0]
    middle = float(probs.median())
    mask = (probs > middle).to(torch.uint8)
    threshold = fit_threshold(network, [image], [mask], torch.device("cpu"))
    assert torch.equal(foreground(network, image[None])[0, 0] > 0.5, probs > threshold)
