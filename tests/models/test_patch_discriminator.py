import pytest
import torch
from torch import nn

from biostyle.models.patch_discriminator import PatchDiscriminator


def test_has_the_parameters_of_the_paper() -> None:
    assert sum(parameter.numel() for parameter in PatchDiscriminator(3).parameters()) == 2_764_737


@pytest.mark.parametrize(("n_layers", "expected"), [(3, 70), (2, 34)])
def test_each_score_sees_one_patch(n_layers: int, expected: int) -> None:
    discriminator = PatchDiscriminator(n_filters=4, n_layers=n_layers).double()
    for index, layer in enumerate(discriminator.layers):
        if isinstance(layer, nn.InstanceNorm2d):  # its statistics see the whole image by design
            discriminator.layers[index] = nn.Identity()
    image = torch.rand(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    scores = discriminator.layers(image * 2 - 1)
    centre = scores.shape[-1] // 2
    scores[0, 0, centre, centre].backward()
    assert image.grad is not None
    touched = image.grad[0, 0] != 0
    assert touched.any(dim=1).sum() == expected
    assert touched.any(dim=0).sum() == expected


def test_scores_a_map_of_patches_in_float32() -> None:
    scores = PatchDiscriminator(3, n_filters=4)(torch.rand(2, 3, 64, 48).to(torch.float32))
    assert scores.shape == (2, 1, 6, 4)
    assert scores.dtype == torch.float32


def test_gradients_reach_every_parameter() -> None:
    discriminator = PatchDiscriminator(n_filters=4)
    scores = discriminator(torch.rand(2, 1, 40, 40))
    (scores * torch.randn_like(scores)).sum().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, name
        if parameter.ndim > 1:
            assert parameter.grad.abs().sum() > 0, name
