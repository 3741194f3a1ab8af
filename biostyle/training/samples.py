"""Sample images written while training goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def segmentation_rows(
    images: torch.Tensor, logits: torch.Tensor, target: torch.Tensor
) -> list[list[torch.Tensor]]:
    """Put each image beside what was found in it and what should have been.

    Parameters
    ----------
    images : Tensor of shape (N, C, H, W)
        In [0, 1], gray or colour.
    logits : Tensor of shape (N, 2, H, W)
        Class scores.
    target : Tensor of shape (N, H, W)
        Class indices.

    Returns
    -------
    list of list of Tensor of shape (C, H, W)
        For :func:`write_samples`: a row an image, with its foreground probability and its mask.
    """
    probs, truth = (
        shown.expand_as(images) for shown in (logits.softmax(1)[:, 1:], (target[:, None] == 1).float())
    )
    return [list(row) for row in zip(images, probs, truth, strict=True)]


def write_samples(path: Path, rows: list[list[torch.Tensor]]) -> None:
    """Write images as one PNG, a row of images beneath the other.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    rows : list of list of Tensor of shape (C, H, W)
        Images in [0, 1], of one size within a row, with one channel or three; every row as long as the first.
    """
    grid = torch.cat([torch.cat(row, dim=-1) for row in rows], dim=-2)
    pixels = (grid.detach().float().cpu().clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(path)
