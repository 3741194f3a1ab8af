import pytest
import torch
from torch import nn

from biostyle.models.residual_generator import ResidualGenerator
from biostyle.models.resnet_generator import ResnetGenerator


def last_convolution(generator: ResidualGenerator) -> nn.Module:
    return generator.generator.layers[-1]


@pytest.mark.parametrize("decoder", ["transpose", "resize"])
@pytest.mark.parametrize("size", [(8, 8), (9, 11), (32, 17), (3, 50)])
def test_begins_by_changing_nothing(size: tuple[int, int], decoder: str) -> None:
    images = torch.rand(2, 3, *size)
    assert torch.equal(ResidualGenerator(3, n_filters=4, n_blocks=1, decoder=decoder)(images), images)


@pytest.mark.parametrize("decoder", ["transpose", "resize"])
@pytest.mark.parametrize("size", [(8, 8), (9, 11), (32, 17), (3, 50)])
def test_keeps_any_size_and_answers_in_the_unit_range(size: tuple[int, int], decoder: str) -> None:
    generator = ResidualGenerator(1, n_filters=4, n_blocks=1, decoder=decoder)
    nn.init.normal_(last_convolution(generator).weight)  # far beyond both ends
    images = torch.rand(2, 1, *size)
    translated = generator(images)
    assert translated.shape == images.shape
    assert translated.dtype == torch.float32
    assert 0 <= translated.min() < translated.max() <= 1
    assert not torch.equal(translated, images)


def test_adds_what_the_inner_generator_makes() -> None:
    generator = ResidualGenerator(1, n_filters=4, n_blocks=1)
    nn.init.normal_(last_convolution(generator).weight, std=1e-3)
    images = torch.rand(1, 1, 12, 12) * 0.5 + 0.25
    expected = images + (generator.generator(images) - 0.5) * 2
    torch.testing.assert_close(generator(images), expected, rtol=0, atol=1e-6)


def test_has_the_parameters_of_the_generator_inside() -> None:
    n_parameters = [
        sum(parameter.numel() for parameter in generator.parameters())
        for generator in (ResidualGenerator(1, decoder="transpose"), ResnetGenerator(1, 1))
    ]
    assert n_parameters[0] == n_parameters[1] == 11_365_633


def test_gradients_reach_the_last_layer_at_once_and_every_parameter_after_a_step() -> None:
    generator = ResidualGenerator(1, n_filters=4, n_blocks=2)
    optimiser = torch.optim.SGD(generator.parameters(), 0.01)
    images, direction = torch.rand(2, 1, 16, 20), torch.randn(2, 1, 16, 20)
    for step in range(2):
        optimiser.zero_grad()
        (generator(images) * direction).sum().backward()
        for name, parameter in generator.named_parameters():
            assert parameter.grad is not None, name
            is_last = parameter is last_convolution(generator).weight
            # a bias before an instance normalisation has no effect, so its gradient is zero
            if is_last or (step == 1 and parameter.ndim > 1):
                assert parameter.grad.abs().sum() > 0, name
        optimiser.step()


def test_images_of_a_batch_do_not_influence_each_other() -> None:
    generator = ResidualGenerator(1, n_filters=4, n_blocks=1)
    nn.init.normal_(last_convolution(generator).weight, std=0.01)
    first, second = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)
    together = generator(torch.cat([first, second]))
    torch.testing.assert_close(
        together, torch.cat([generator(first), generator(second)]), rtol=1e-5, atol=1e-6
    )


def test_its_arguments_build_it_again() -> None:
    generator = ResidualGenerator(1, n_filters=4, n_blocks=2, decoder="transpose")
    again = ResidualGenerator(**generator.arguments)
    again.load_state_dict(generator.state_dict())
    assert again.arguments == generator.arguments
