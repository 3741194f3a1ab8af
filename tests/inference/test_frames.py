import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.inference.frames import adapt_frame, segment_frame, stylize_frame
from biostyle.inference.settings import InferenceSettings
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.single_object import SingleObject
from biostyle.models.unet import UNet

CPU = torch.device("cpu")


class Threshold(nn.Module):
    """Call pixels above one half foreground."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.full_like(images, 0.5), images], dim=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_segments_on_the_frame_s_own_grid(dtype: type) -> None:
    image = np.zeros((32, 48), dtype)
    image[8:24, 16:32] = 200
    mask = segment_frame(Threshold(), image, Preprocessing(), CPU)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, image > 0)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_logits_not_masks_are_resized(scale: float) -> None:
    image = np.zeros((32, 48), np.uint8)
    image[8:24, 16:32] = 200
    mask = segment_frame(Threshold(), image, Preprocessing(working_scale=scale), CPU)
    assert mask.shape == image.shape
    assert (mask != (image > 0)).mean() < 0.03


def test_gives_what_the_network_says_about_the_whole_frame() -> None:
    image = np.random.default_rng(0).integers(0, 255, (21, 34), dtype=np.uint8)
    unet = UNet(n_filters=4, depth=2).eval()
    expected = unet(Preprocessing().image_batch(image)).argmax(1)[0].numpy()
    assert np.array_equal(segment_frame(unet, image, Preprocessing(), CPU), expected)


def test_stylizes_on_the_frame_s_own_grid_in_the_unit_range() -> None:
    image = np.random.default_rng(0).integers(0, 60_000, (25, 38), dtype=np.uint16)
    generator = ResnetGenerator(n_filters=2, n_blocks=1).eval()
    stylized = stylize_frame(generator, image, Preprocessing(working_scale=0.5), CPU)
    assert stylized.shape == image.shape
    assert stylized.dtype == np.float32
    assert stylized.min() >= 0
    assert stylized.max() <= 1


def test_an_identity_stylizer_returns_the_scaled_frame() -> None:
    image = np.array([[0, 51], [102, 255]], np.uint8)
    stylized = stylize_frame(nn.Identity(), image, Preprocessing(scaling="dtype"), CPU)
    np.testing.assert_allclose(stylized, image / 255, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7])
def test_tiles_and_strips_leave_no_trace(scale: float) -> None:
    torch.manual_seed(0)
    image = np.random.default_rng(0).integers(0, 60_000, (211, 130), dtype=np.uint16)
    generator = ResnetGenerator(n_filters=4, n_blocks=1, decoder="resize").eval()
    adapted = AdaptedSegmenter(UNet(n_filters=4, depth=2), generator).eval()
    preprocessing = Preprocessing(working_scale=scale)
    small = InferenceSettings(strip_px=7, tile_px=50)
    with torch.inference_mode():
        logits = resize(adapted(preprocessing.image_batch(image)), image.shape)[0]
    mask = segment_frame(adapted, image, preprocessing, CPU, small)
    certain = (logits[0] - logits[1]).abs() > 1e-5 * logits.abs().max()
    assert np.array_equal(mask[certain.numpy()], logits.argmax(0).numpy()[certain.numpy()])
    assert certain.float().mean() > 0.99
    whole = stylize_frame(generator, image, preprocessing, CPU)
    np.testing.assert_allclose(stylize_frame(generator, image, preprocessing, CPU, small), whole, atol=1e-5)
    both = adapt_frame(adapted, image, preprocessing, CPU, small)
    np.testing.assert_allclose(both[0], whole, atol=1e-5)
    assert np.array_equal(both[1], mask)


def test_photographs_stay_in_colour_and_their_masks_flat() -> None:
    torch.manual_seed(0)
    image = np.random.default_rng(0).integers(0, 255, (45, 60, 3), dtype=np.uint8)
    preprocessing = Preprocessing(scaling="dtype", working_side_px=40)
    generator = ResnetGenerator(3, 3, n_filters=2, n_blocks=1).eval()
    adapted = AdaptedSegmenter(UNet(3, n_filters=2, depth=2), generator).eval()
    stylized, mask = adapt_frame(adapted, image, preprocessing, CPU)
    assert stylized.shape == image.shape
    assert mask.shape == (45, 60)
    assert np.array_equal(segment_frame(adapted, image, preprocessing, CPU), mask)
    np.testing.assert_allclose(stylize_frame(generator, image, preprocessing, CPU), stylized)
    same = stylize_frame(nn.Identity(), image, Preprocessing(scaling="dtype"), CPU)
    np.testing.assert_allclose(same, image / 255, rtol=1e-6)


@pytest.mark.parametrize("network", ["threshold", "unet"])
def test_at_most_one_object_is_left_where_the_model_keeps_one(network: str) -> None:
    """Whether a frame is segmented strip by strip or as a whole; an empty one stays empty."""
    torch.manual_seed(0)
    everywhere = SingleObject.of([torch.ones(1, 1, dtype=torch.uint8)])
    preprocessing = Preprocessing(scaling="dtype")
    image = np.kron(np.random.default_rng(0).integers(0, 255, (9, 12)), np.ones((5, 5))).astype(np.uint8)
    segmenter: nn.Module = Threshold()
    if network == "unet":
        segmenter = UNet(n_filters=2, depth=2).eval()
        with torch.no_grad():  # about as much foreground as background
            logits = segmenter(preprocessing.image_batch(image))
            segmenter.head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()  # type: ignore[index, operator]
    adapted = AdaptedSegmenter(segmenter, nn.Identity(), everywhere).eval()
    small = InferenceSettings(strip_px=7, tile_px=32)
    mask = segment_frame(adapted, image, preprocessing, CPU, small)
    several = segment_frame(segmenter, image, preprocessing, CPU, small)
    assert ndimage.label(several, np.ones((3, 3)))[1] > 1
    assert ndimage.label(mask, np.ones((3, 3)))[1] == 1
    assert not (mask > several).any()
    assert np.array_equal(mask, adapted(preprocessing.image_batch(image)).argmax(1)[0].numpy())
    stylized, same = adapt_frame(adapted, image, preprocessing, CPU, small)
    assert np.array_equal(same, mask)
    np.testing.assert_allclose(stylized, image / 255, rtol=1e-6)
    dark = AdaptedSegmenter(Threshold(), nn.Identity(), everywhere)
    assert not segment_frame(dark, np.zeros_like(image), preprocessing, CPU).any()
