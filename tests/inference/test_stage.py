import pytest
import torch

from biostyle.inference.stage import take_apart
from biostyle.models.resnet_generator import ResnetGenerator


@pytest.mark.parametrize("decoder", ["resize", "transpose"])
def test_every_norm_is_found_once_and_blocks_are_at_a_quarter(decoder: str) -> None:
    generator = ResnetGenerator(n_filters=4, n_blocks=2, decoder=decoder)
    stages, last = take_apart(generator, torch.float32)
    norms = [
        (name, module.num_features)
        for name, module in generator.named_modules()
        if isinstance(module, torch.nn.InstanceNorm2d)
    ]
    assert [(stage.name, stage.n_channels) for stage in stages] == norms
    assert [stage.inner for stage in stages] == [False, False, True, True, True, True, True, False, False]
    assert [stage.opens for stage in stages] == [False, False, False, True, False, True, False, False, False]
    assert [stage.closes for stage in stages] == [False] * 4 + [True, False, True, False, False]
    height = 64
    for stage in stages:
        height = stage.step.height(height)
    assert last.height(height) == 64
