import pytest
import torch
from torch import nn

from biostyle.adaptation import AdaptedSegmenter, foreground, foreground_when_turned, freeze
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.unet import UNet


def snapshot(model: nn.Module) -> dict[str, bytes]:
    """Every parameter and buffer, to the bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_an_identity_stylizer_changes_no_logit() -> None:
    unet = UNet(n_filters=4, depth=2).eval()
    images = torch.rand(2, 1, 21, 30)
    before = unet(images).detach()
    assert torch.equal(AdaptedSegmenter(unet, nn.Identity())(images), before)


def test_frozen_means_that_training_through_it_changes_nothing() -> None:
    unet, stylizer = UNet(n_filters=4, depth=2), ResnetGenerator(n_filters=4, n_blocks=1)
    adapted = AdaptedSegmenter(unet, stylizer).train()
    before_unet, before_stylizer = snapshot(unet), snapshot(stylizer)
    optimiser = torch.optim.Adam(parameter for parameter in adapted.parameters() if parameter.requires_grad)
    for _ in range(3):
        optimiser.zero_grad()
        adapted(torch.rand(2, 1, 16, 16)).square().mean().backward()
        optimiser.step()
    assert snapshot(unet) == before_unet
    assert snapshot(stylizer) != before_stylizer


def test_the_segmenter_stays_in_evaluation_mode() -> None:
    adapted = AdaptedSegmenter(UNet(n_filters=2, depth=1), ResnetGenerator(n_filters=2, n_blocks=1))
    assert adapted.train() is adapted
    assert adapted.stylizer_ba.training
    assert not any(module.training for module in adapted.segmenter_a.modules())
    adapted.eval()
    assert not adapted.stylizer_ba.training


def test_freeze_returns_the_same_network() -> None:
    unet = UNet(n_filters=2, depth=1)
    assert freeze(unet) is unet
    assert not unet.training
    assert not any(parameter.requires_grad for parameter in unet.parameters())


def test_a_stylizer_that_changes_the_size_still_gives_logits_on_the_image_s_grid() -> None:
    adapted = AdaptedSegmenter(UNet(n_filters=2, depth=1), nn.Upsample(scale_factor=2))
    assert adapted(torch.rand(1, 1, 12, 15)).shape == (1, 2, 12, 15)


@pytest.mark.parametrize("n_turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_turned_comes_back_on_its_own_grid(n_turns: int, mirrored: bool) -> None:
    """A segmenter that looks at each pixel alone sees the same in every orientation."""
    torch.manual_seed(0)
    alone, images = nn.Conv2d(1, 2, 1), torch.rand(2, 1, 5, 7)
    found = foreground_when_turned(alone, images, n_turns, mirrored)
    torch.testing.assert_close(found, foreground(alone, images))
