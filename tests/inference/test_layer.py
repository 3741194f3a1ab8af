from collections.abc import Callable

import pytest
import torch
from torch import nn

from biostyle.inference import layer
from biostyle.inference.strip import Rows, Step

F32 = torch.float32


def small_output(conv: nn.Conv2d) -> nn.Module:
    class Unit(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return (torch.tanh(conv(values)) + 1) / 2

    return Unit()


def cases() -> dict[str, tuple[Callable[[], Step], nn.Module]]:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 5, 7, padding=3, padding_mode="reflect")
    down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    block = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect", bias=False)
    up = nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")
    transposed = nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1)
    last, last_of_three = (nn.Conv2d(3, n, 7, padding=3, padding_mode="reflect") for n in (1, 3))
    enlarge = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), up)
    return {
        "first": (lambda: layer.convolution(first, F32), first),
        "down": (lambda: layer.convolution(down, F32), down),
        "block": (lambda: layer.convolution(block, F32), block),
        "enlargement": (lambda: layer.enlargement(up, F32), enlarge),
        "transposed": (lambda: layer.transposed_convolution(transposed, F32), transposed),
        "output": (lambda: layer.output(last, F32), small_output(last)),
        "output of three": (lambda: layer.output(last_of_three, F32), small_output(last_of_three)),
    }


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("size", [(4, 4), (20, 9), (13, 30)])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 8, 100])
@torch.inference_mode()
def test_strips_are_cut_from_the_whole(name: str, size: tuple[int, int], n_rows: int) -> None:
    make, module = cases()[name]
    image = torch.randn(1, 3, *size)
    expected = module(image)
    rows = Rows(lambda start, stop: image[:, :, start:stop], (size[0],)).then(make())
    assert rows.height == expected.shape[2]
    spans = [(start, min(start + n_rows, rows.height)) for start in range(0, rows.height, n_rows)]
    actual = torch.cat([rows(*span) for span in spans], dim=2)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_normalisation_is_the_instance_norm_with_known_statistics() -> None:
    image = torch.randn(1, 3, 8, 9) * 2 + 5
    values = image.double()[0].flatten(1)
    step = layer.normalisation(values.mean(1), values.var(1, correction=0), 1e-5, relu=True)
    rows = Rows(lambda start, stop: image[:, :, start:stop], (8,)).then(step)
    torch.testing.assert_close(rows(0, 8), nn.InstanceNorm2d(3)(image).relu(), rtol=1e-5, atol=1e-5)
