import itertools

import pytest
import torch

from biostyle.models.unet import UNet


def test_has_as_many_parameters_as_the_layers_add_up_to() -> None:
    def double_convolution(n_in: int, n_out: int) -> int:
        return 9 * n_out * (n_in + n_out) + 4 * n_out  # two bias-free 3x3 convolutions, two scales and shifts

    widths = [16, 32, 64, 128, 256]
    encoder = sum(double_convolution(n_in, n_out) for n_in, n_out in zip([1, *widths], widths, strict=False))
    decoder = sum(double_convolution(n_in + n_out, n_out) for n_out, n_in in itertools.pairwise(widths))
    head = 16 * 2 + 2
    n_parameters = sum(parameter.numel() for parameter in UNet().parameters())
    assert n_parameters == encoder + decoder + head == 1_963_826


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (16, 16), (33, 50)])
def test_keeps_any_size(size: tuple[int, int]) -> None:
    unet = UNet(in_channels=3, n_classes=4, n_filters=2).eval()
    logits = unet(torch.rand(2, 3, *size))
    assert logits.shape == (2, 4, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_gradients_reach_every_parameter_and_the_image() -> None:
    unet = UNet(n_filters=4, depth=2)
    images = torch.rand(2, 1, 20, 24, requires_grad=True)
    (unet(images) * torch.randn(2, 2, 20, 24)).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    for name, parameter in unet.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_padding_does_not_move_the_image() -> None:
    unet = UNet(n_filters=2, depth=1).eval()
    image = torch.rand(1, 1, 40, 40)
    torch.testing.assert_close(unet(image[..., :39, :39])[..., :20, :20], unet(image)[..., :20, :20])


def test_arguments_rebuild_it() -> None:
    unet = UNet(3, 5, 4, 2)
    again = UNet(**unet.arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in unet.state_dict().items()
    }
