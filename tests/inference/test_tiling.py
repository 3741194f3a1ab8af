from pathlib import Path

import pytest
import torch

from biostyle.data.preprocessing import Preprocessing
from biostyle.inference.settings import InferenceSettings
from biostyle.inference.tiling import predict_rows, prepare_for_inference, reach_px, strips, tile_px
from biostyle.io.frames import read_frame
from biostyle.models.unet import UNet


def make_unet(depth: int = 2, n_filters: int = 4) -> UNet:
    """A U-Net whose running statistics are not those it was born with."""
    torch.manual_seed(0)
    unet = UNet(n_classes=3, n_filters=n_filters, depth=depth).train()
    with torch.no_grad():
        for _ in range(3):
            unet(torch.rand(2, 1, 32, 32))
    return unet.eval()


@pytest.mark.parametrize("size", [(200, 131), (97, 300), (1, 1), (5, 170), (170, 3), (129, 128)])
@pytest.mark.parametrize("tile", [1, 64, 96, 200])
def test_no_seams_whatever_the_tile(size: tuple[int, int], tile: int) -> None:
    if tile == 1 and max(size) > 1:
        tile = 50
    unet, images = make_unet(), torch.rand(1, 1, *size)
    with torch.inference_mode():
        expected = unet(images)
        predict = predict_rows(unet, images, InferenceSettings(tile_px=tile))
        actual = torch.cat([predict(*rows) for rows in strips(size[0], tile)], dim=2)
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.real
@pytest.mark.parametrize("name", ["PhC-C2DH-U373", "DIC-C2DH-HeLa", "Fluo-N2DL-HeLa", "Fluo-N2DH-GOWT1"])
def test_no_seams_in_real_frames(name: str, real_data: Path) -> None:
    frame = read_frame(min((real_data / "ctc" / name / "01").glob("t*.tif")))
    unet, images = make_unet(), Preprocessing().image_batch(frame)
    with torch.inference_mode():
        expected = unet(images)
        predict = predict_rows(unet, images, InferenceSettings(tile_px=200))
        actual = torch.cat([predict(*rows) for rows in strips(images.shape[2], 200)], dim=2)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_reach_is_as_far_as_a_pixel_s_influence() -> None:
    unet = make_unet(depth=3)
    assert reach_px(unet) == 4 * 7 + 3 * 8
    images = torch.rand(1, 1, 64, 256, requires_grad=True)
    unet(images)[0, :, :, 128].abs().sum().backward()
    touched = images.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert 128 - touched[0] <= reach_px(unet)
    assert touched[-1] - 128 <= reach_px(unet)


def test_tiles_follow_the_memory() -> None:
    unet = make_unet()
    small, large = (tile_px(unet, InferenceSettings(memory_bytes=n)) for n in (2**26, 2**30))
    assert small < large
    assert 4 * 8 * 4 * (large + 2 * reach_px(unet)) ** 2 <= 2**30 / 4
    assert tile_px(unet, InferenceSettings(memory_bytes=1)) == 64
    assert tile_px(unet, InferenceSettings(tile_px=10)) == 10


def test_prepared_network_gives_the_same_and_leaves_the_original_alone() -> None:
    unet, images = make_unet(), torch.rand(2, 1, 40, 56)
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    prepared = prepare_for_inference(unet)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in prepared.modules())
    with torch.inference_mode():
        torch.testing.assert_close(prepared(images), unet(images), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in unet.state_dict().items())


def test_bfloat16_is_close() -> None:
    unet, images = make_unet(), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        expected = unet(images)
        actual = predict_rows(unet, images, InferenceSettings(precision="bfloat16"))(0, 64)
    assert 0 < (actual - expected).abs().max() < 0.05 * expected.abs().max()
