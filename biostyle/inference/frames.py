"""From a raw frame to a mask, or to a frame in the other style, on the frame's own grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.inference.resizing import needed_rows, resize_rows
from biostyle.inference.settings import InferenceSettings
from biostyle.inference.stylizing import stylize
from biostyle.inference.tiling import predict_rows, strips, tile_px
from biostyle.models.unet import UNet
from biostyle.types import NDArray


def segment_frame(
    segmenter: nn.Module,
    image: NDArray,
    preprocessing: Preprocessing,
    device: torch.device,
    settings: InferenceSettings | None = None,
) -> NDArray:
    """Segment one frame of any size.

    Parameters
    ----------
    segmenter : Module
        A Segmenter, adapted or not, on ``device`` and in evaluation mode. A U-Net is run tile by tile and the
        generator before it strip by strip; anything else gets the frame as a whole.
    image : ndarray of shape (H, W) or (H, W, 3)
        Raw frame of any dtype.
    preprocessing : Preprocessing
        How the segmenter wants its input.
    device : device
        Where to compute.
    settings : InferenceSettings or None
        Statistics, precision and memory. None is the default of each.

    Returns
    -------
    ndarray of shape (H, W), uint8
        Class indices; 0 is background. Logits, not masks, are brought back to the frame's size.
    """
    settings = settings or InferenceSettings()
    if isinstance(segmenter, AdaptedSegmenter):
        stylized = stylize(segmenter.stylizer_ba, preprocessing.image_batch(image), device, settings)
        return _segment_stylized(segmenter, stylized, image.shape, device, settings)
    return _segment(segmenter, preprocessing.image_batch(image), image.shape, device, settings)


def stylize_frame(
    stylizer: nn.Module,
    image: NDArray,
    preprocessing: Preprocessing,
    device: torch.device,
    settings: InferenceSettings | None = None,
) -> NDArray:
    """Translate one frame of any size.

    Parameters
    ----------
    stylizer : Module
        A Stylizer on ``device`` and in evaluation mode. A generator is run strip by strip; matching steps get the
        frame as a whole.
    image : ndarray of shape (H, W) or (H, W, 3)
        Raw frame of any dtype.
    preprocessing : Preprocessing
        How the stylizer wants its input.
    device : device
        Where to compute.
    settings : InferenceSettings or None
        Statistics, precision and memory. None is the default of each.

    Returns
    -------
    ndarray of the shape of ``image``, float32
        The frame in the other domain's style, in [0, 1].
    """
    stylized = stylize(stylizer, preprocessing.image_batch(image), device, settings)
    return _to_frame(stylized, image.shape)


def adapt_frame(
    model: AdaptedSegmenter,
    image: NDArray,
    preprocessing: Preprocessing,
    device: torch.device,
    settings: InferenceSettings | None = None,
) -> tuple[NDArray, NDArray]:
    """Translate one frame and segment what came out, in one go.

    Parameters
    ----------
    model : AdaptedSegmenter
        On ``device`` and in evaluation mode.
    image : ndarray of shape (H, W) or (H, W, 3)
        Raw frame of any dtype.
    preprocessing : Preprocessing
        How the stylizer wants its input.
    device : device
        Where to compute.
    settings : InferenceSettings or None
        Statistics, precision and memory. None is the default of each.

    Returns
    -------
    stylized : ndarray of the shape of ``image``, float32
        What :func:`stylize_frame` gives.
    mask : ndarray of shape (H, W), uint8
        What :func:`segment_frame` gives.
    """
    settings = settings or InferenceSettings()
    stylized = stylize(model.stylizer_ba, preprocessing.image_batch(image), device, settings)
    mask = _segment_stylized(model, stylized, image.shape, device, settings)
    return _to_frame(stylized, image.shape), mask


def _segment_stylized(
    model: AdaptedSegmenter,
    stylized: torch.Tensor,
    shape: tuple[int, ...],
    device: torch.device,
    settings: InferenceSettings,
) -> NDArray:
    """Segment a translated frame, and keep one object where the model says so."""
    mask = _segment(model.segmenter_a, stylized, shape, device, settings)
    if model.single_object is not None:
        mask *= model.single_object.keep(torch.from_numpy(mask > 0)[None])[0].numpy()
    return mask


@torch.inference_mode()
def _segment(
    segmenter: nn.Module,
    images: torch.Tensor,
    shape: tuple[int, ...],
    device: torch.device,
    settings: InferenceSettings,
) -> NDArray:
    """Segment a frame at its working size and bring the logits to its own, strip by strip where that is possible."""
    height, width = shape[:2]
    if not isinstance(segmenter, UNet):
        return _mask(resize(segmenter(images.to(device)), (height, width)))
    predict = predict_rows(segmenter, images, settings)
    size = images.shape[2], images.shape[3]
    mask = np.empty((height, width), np.uint8)
    for start, stop in strips(height, tile_px(segmenter, settings)):
        first, last = needed_rows(size[0], height, start, stop)
        logits = resize_rows(predict(first, last), first, size, (height, width), start, stop)
        mask[start:stop] = _mask(logits)
    return mask


def _mask(logits: torch.Tensor) -> NDArray:
    """Take the class with the highest score."""
    return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def _to_frame(stylized: torch.Tensor, shape: tuple[int, ...]) -> NDArray:
    """Bring a translated frame back to the frame's own grid."""
    frame = resize(stylized, (shape[0], shape[1]))[0].clamp_(0, 1)
    return frame[0].numpy() if len(frame) == 1 else frame.movedim(0, -1).numpy()
