import pytest
import torch
from torch import nn

from biostyle.models.resnet_generator import ResnetGenerator, initialise_normal


@pytest.mark.parametrize(("n_blocks", "expected"), [(9, 11_378_179), (6, 7_837_699)])
def test_has_the_parameters_of_the_paper(n_blocks: int, expected: int) -> None:
    generator = ResnetGenerator(3, 3, n_blocks=n_blocks)
    assert sum(parameter.numel() for parameter in generator.parameters()) == expected


@pytest.mark.parametrize("decoder", ["transpose", "resize"])
@pytest.mark.parametrize("size", [(8, 8), (9, 11), (32, 17), (3, 50)])
def test_keeps_any_size_and_answers_in_the_unit_range(size: tuple[int, int], decoder: str) -> None:
    generator = ResnetGenerator(3, 1, n_filters=4, n_blocks=1, decoder=decoder)
    for parameter in generator.parameters():
        parameter.data.mul_(50)  # far into both ends of the tanh
    translated = generator(torch.rand(2, 3, *size))
    assert translated.shape == (2, 1, *size)
    assert translated.dtype == torch.float32
    assert translated.min() >= 0
    assert translated.max() <= 1
    assert translated.min() < 0.1
    assert translated.max() > 0.9


@pytest.mark.parametrize("decoder", ["transpose", "resize"])
def test_gradients_reach_every_parameter(decoder: str) -> None:
    generator = ResnetGenerator(n_filters=4, n_blocks=2, decoder=decoder)
    (generator(torch.rand(2, 1, 16, 20)) * torch.randn(2, 1, 16, 20)).sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        if (
            parameter.ndim > 1
        ):  # a bias before an instance normalisation has no effect, so its gradient is zero
            assert parameter.grad.abs().sum() > 0, name


def test_images_of_a_batch_do_not_influence_each_other() -> None:
    generator = ResnetGenerator(n_filters=4, n_blocks=1)
    first, second = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)
    together = generator(torch.cat([first, second]))
    torch.testing.assert_close(
        together, torch.cat([generator(first), generator(second)]), rtol=1e-5, atol=1e-6
    )


def test_initialisation_draws_from_the_paper_s_normal_distribution() -> None:
    layer = nn.Conv2d(64, 64, 3)
    initialise_normal(layer)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.001)
    assert layer.bias is not None
    assert layer.bias.abs().sum() == 0
