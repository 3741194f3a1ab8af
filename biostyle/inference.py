"""From a raw frame to a mask on the frame's own grid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.types import NDArray


@torch.inference_mode()
def segment_frame(
    segmenter: nn.Module, image: NDArray, preprocessing: Preprocessing, device: torch.device
) -> NDArray:
    """Segment one frame as a whole.

    Parameters
    ----------
    segmenter : Module
        A Segmenter, adapted or not, on ``device`` and in evaluation mode.
    image : ndarray of shape (H, W)
        Raw frame of any dtype.
    preprocessing : Preprocessing
        How the segmenter wants its input.
    device : device
        Where to compute.

    Returns
    -------
    ndarray of shape (H, W), uint8
        Class indices; 0 is background. Logits, not masks, are brought back to the frame's size.
    """
    logits = segmenter(preprocessing.image_batch(image).to(device))
    height, width = image.shape
    return resize(logits, (height, width)).argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def stylize_frame(
    stylizer: nn.Module, image: NDArray, preprocessing: Preprocessing, device: torch.device
) -> NDArray:
    """Translate one frame as a whole.

    Parameters
    ----------
    stylizer : Module
        A Stylizer on ``device`` and in evaluation mode.
    image : ndarray of shape (H, W)
        Raw frame of any dtype.
    preprocessing : Preprocessing
        How the stylizer wants its input.
    device : device
        Where to compute.

    Returns
    -------
    ndarray of shape (H, W), float32
        The frame in the other domain's style, in [0, 1].
    """
    stylized = stylizer(preprocessing.image_batch(image).to(device))
    height, width = image.shape
    return resize(stylized, (height, width))[0, 0].clamp(0, 1).cpu().numpy().astype(np.float32)
