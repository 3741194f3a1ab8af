import pytest
import torch
from torch import nn

from biostyle.inference.settings import InferenceSettings
from biostyle.inference.stylizing import stack_statistics, stylize
from biostyle.inference.translation import measure_statistics
from biostyle.matching.chain import MatchingChain
from biostyle.models.residual_generator import ResidualGenerator
from biostyle.models.resnet_generator import ResnetGenerator

CPU = torch.device("cpu")


def make(kind: str) -> nn.Module:
    torch.manual_seed(0)
    chain = MatchingChain([{"kind": "polarity"}, {"kind": "stretch"}])
    if kind == "chain":
        return chain
    generator = ResnetGenerator(n_filters=4, n_blocks=1, decoder="resize")
    residual = ResidualGenerator(n_filters=4, n_blocks=1)
    nn.init.normal_(residual.generator.layers[-1].weight, 0, 0.02)
    return {
        "generator": generator,
        "residual": residual,
        "sequence": nn.Sequential(chain, residual),
    }[kind].eval()


@pytest.mark.parametrize("kind", ["chain", "generator", "residual", "sequence"])
def test_equals_the_stylizer_on_the_whole_frame(kind: str) -> None:
    stylizer, images = make(kind), torch.rand(2, 1, 70, 45)
    with torch.inference_mode():
        expected = stylizer(images)
    actual = stylize(stylizer, images, CPU, InferenceSettings(strip_px=16))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_statistics_are_those_behind_the_matching_steps() -> None:
    sequence, planes = make("sequence"), [torch.rand(1, 1, 32, 32), torch.rand(1, 1, 40, 24) ** 2]
    found = stack_statistics(sequence, planes, CPU)
    assert found is not None
    expected = measure_statistics(sequence[1].generator, [sequence[0](plane) for plane in planes])
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_matching_steps_have_no_statistics() -> None:
    assert stack_statistics(make("chain"), [torch.rand(1, 1, 8, 8)], CPU) is None
