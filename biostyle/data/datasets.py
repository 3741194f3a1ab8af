"""Frames cached in memory, and random crops of them."""

from __future__ import annotations

import torch

from biostyle.data.prepare import PreparedDomain, PreparedFrame
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import SplitError


class CropSampler:
    """Draw batches of random crops from frames that were read once.

    Parameters
    ----------
    images : list of Tensor of shape (C, H, W)
        Frames in [0, 1]; they may differ in size.
    masks : list of Tensor of shape (H, W) or None
        Class indices, uint8, one for each frame.
    crop_size_px : int
        Side of the square crops; smaller where a frame is smaller.
    device : device
        Where the frames are kept.

    Raises
    ------
    SplitError
        If there are no frames.
    """

    def __init__(
        self,
        images: list[torch.Tensor],
        masks: list[torch.Tensor] | None,
        crop_size_px: int,
        device: torch.device,
    ) -> None:
        if not images:
            raise SplitError("training set must hold at least one frame, got 0. Check the split.")
        self.images = [image.to(device) for image in images]
        self.masks = None if masks is None else [mask.to(device) for mask in masks]
        sides = [side for image in images for side in image.shape[-2:]]
        self.crop_size_px = min(crop_size_px, *sides)

    def draw(self, n_crops: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Draw crops, each in one of the eight orientations of the square.

        Parameters
        ----------
        n_crops : int
            Number of crops N.
        generator : Generator
            Source of the random choices.

        Returns
        -------
        images : Tensor of shape (N, C, S, S)
            Crops in [0, 1].
        masks : Tensor of shape (N, S, S) or None
            Their class indices, uint8.
        """
        size = self.crop_size_px
        images, masks = [], []
        for _ in range(n_crops):
            index = int(torch.randint(len(self.images), (), generator=generator))
            height, width = self.images[index].shape[-2:]
            top = int(torch.randint(height - size + 1, (), generator=generator))
            left = int(torch.randint(width - size + 1, (), generator=generator))
            n_turns, flipped = divmod(int(torch.randint(8, (), generator=generator)), 2)
            window = (..., slice(top, top + size), slice(left, left + size))
            images.append(_orient(self.images[index][window], n_turns, bool(flipped)))
            if self.masks is not None:
                masks.append(_orient(self.masks[index][window], n_turns, bool(flipped)))
        return torch.stack(images), torch.stack(masks) if masks else None


def _orient(crop: torch.Tensor, n_turns: int, flipped: bool) -> torch.Tensor:
    """Turn by multiples of 90° and mirror."""
    crop = torch.rot90(crop, n_turns, (-2, -1))
    return crop.flip(-1) if flipped else crop


def read_images(
    domain: PreparedDomain, rows: list[PreparedFrame], preprocessing: Preprocessing
) -> list[torch.Tensor]:
    """Read frames once, ready for training.

    Parameters
    ----------
    domain : PreparedDomain
        The domain.
    rows : list of PreparedFrame
        Its frames to read.
    preprocessing : Preprocessing
        From raw frame to network input.

    Returns
    -------
    list of Tensor of shape (1, H, W)
        In [0, 1], at the working resolution.
    """
    return [preprocessing.image_batch(domain.read_image(row))[0] for row in rows]


def read_masks(
    domain: PreparedDomain, rows: list[PreparedFrame], preprocessing: Preprocessing
) -> list[torch.Tensor]:
    """Read the masks of annotated training frames once.

    Parameters
    ----------
    domain : PreparedDomain
        The domain.
    rows : list of PreparedFrame
        Frames that have a mask.
    preprocessing : Preprocessing
        Gives the working resolution.

    Returns
    -------
    list of Tensor of shape (H, W)
        Class indices, uint8.
    """
    return [preprocessing.mask_at_working_size(domain.read_truth(row)[0]) for row in rows]
