import pytest
import torch
from torch import nn

from biostyle.models.residual_unet import ResidualUNet


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (32, 17), (3, 50)])
def test_begins_by_changing_nothing(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    assert torch.equal(ResidualUNet(3, n_filters=4, depth=2)(images), images)


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (32, 17), (3, 50)])
def test_keeps_any_size_and_answers_in_the_unit_range(size: tuple[int, int]) -> None:
    network = ResidualUNet(1, n_filters=4, depth=2)
    nn.init.normal_(network.unet.head.weight)  # far beyond both ends
    images = torch.rand(2, 1, *size)
    restored = network(images)
    assert restored.shape == images.shape
    assert restored.dtype == torch.float32
    assert 0 <= restored.min() < restored.max() <= 1
    assert not torch.equal(restored, images)
