"""Frames cached in memory, and random crops of them."""

from __future__ import annotations

from typing import NamedTuple

import torch

from biostyle.data.prepared import PreparedDomain, PreparedFrame
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import SplitError


class CropSampler:
    """Draw batches of random crops from frames that were read once.

    Parameters
    ----------
    images : list of Tensor of shape (C, H, W)
        Frames in [0, 1]; they may differ in size.
    crop_size_px : int
        Side of the square crops; smaller where a frame is smaller.
    device : device
        Where the frames are kept.

    Raises
    ------
    SplitError
        If there are no frames.
    """

    def __init__(self, images: list[torch.Tensor], crop_size_px: int, device: torch.device) -> None:
        if not images:
            raise SplitError("training set must hold at least one frame, got 0. Check the split.")
        self.images = [image.to(device) for image in images]
        sides = [side for image in images for side in image.shape[-2:]]
        self.crop_size_px = min(crop_size_px, *sides)

    def draw(self, n_crops: int, generator: torch.Generator) -> torch.Tensor:
        """Draw crops, each in one of the eight orientations of the square.

        Parameters
        ----------
        n_crops : int
            Number of crops N.
        generator : Generator
            Source of the random choices.

        Returns
        -------
        Tensor of shape (N, C, S, S)
            Crops in [0, 1].
        """
        return torch.stack([_cut(self.images, place) for place in self._places(n_crops, generator)])

    def _places(self, n_crops: int, generator: torch.Generator) -> list[_Place]:
        """Choose frames, positions and orientations."""
        size, places = self.crop_size_px, []
        for _ in range(n_crops):
            frame = int(torch.randint(len(self.images), (), generator=generator))
            height, width = self.images[frame].shape[-2:]
            top = int(torch.randint(height - size + 1, (), generator=generator))
            left = int(torch.randint(width - size + 1, (), generator=generator))
            n_turns, flipped = divmod(int(torch.randint(8, (), generator=generator)), 2)
            places.append(_Place(frame, top, left, size, n_turns, bool(flipped)))
        return places


class AnnotatedCropSampler(CropSampler):
    """Draw random crops of frames together with the same crops of their masks.

    Parameters
    ----------
    images : list of Tensor of shape (C, H, W)
        Frames in [0, 1]; they may differ in size.
    masks : list of Tensor of shape (H, W)
        Class indices, uint8, one mask for each frame.
    crop_size_px : int
        Side of the square crops; smaller where a frame is smaller.
    device : device
        Where frames and masks are kept.

    Raises
    ------
    SplitError
        If there are no frames.
    """

    def __init__(
        self, images: list[torch.Tensor], masks: list[torch.Tensor], crop_size_px: int, device: torch.device
    ) -> None:
        super().__init__(images, crop_size_px, device)
        self.masks = [mask.to(device) for mask in masks]

    def draw_annotated(self, n_crops: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw crops and their masks, each pair in one of the eight orientations of the square.

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
        masks : Tensor of shape (N, S, S)
            Their class indices, uint8.
        """
        places = self._places(n_crops, generator)
        images = torch.stack([_cut(self.images, place) for place in places])
        return images, torch.stack([_cut(self.masks, place) for place in places])

    def draw_with_fractions(
        self, fractions: torch.Tensor, generator: torch.Generator, n_tries: int = 6
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw crops whose foreground fractions are near given ones.

        Parameters
        ----------
        fractions : Tensor of shape (N,)
            Wanted share of foreground in each crop, in [0, 1].
        generator : Generator
            Source of the random choices.
        n_tries : int
            Crops to draw for each wanted one; the nearest is kept.

        Returns
        -------
        images : Tensor of shape (N, C, S, S)
            Crops in [0, 1].
        masks : Tensor of shape (N, S, S)
            Their class indices, uint8.
        """
        images, masks = self.draw_annotated(len(fractions) * n_tries, generator)
        found = (masks == 1).float().mean(dim=(1, 2)).view(len(fractions), n_tries)
        nearest = (found - fractions.to(found.device)[:, None]).abs().argmin(dim=1)
        kept = torch.arange(len(fractions), device=found.device) * n_tries + nearest
        return images[kept], masks[kept]


class _Place(NamedTuple):
    """Where a crop is taken from, and how it is turned."""

    frame: int
    top: int
    left: int
    size: int
    n_turns: int
    flipped: bool


def _cut(frames: list[torch.Tensor], place: _Place) -> torch.Tensor:
    """Cut out one crop, turn it by multiples of 90° and mirror it."""
    rows, columns = (slice(start, start + place.size) for start in (place.top, place.left))
    crop = torch.rot90(frames[place.frame][..., rows, columns], place.n_turns, (-2, -1))
    return crop.flip(-1) if place.flipped else crop


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
    list of Tensor of shape (C, H, W)
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
