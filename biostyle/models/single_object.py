"""Keep the one object of a mask that annotated masks make most likely."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F

from biostyle.errors import MaskError

_NEIGHBOURS = np.ones((3, 3), int)  # a pixel touches all eight around it
_SURE = 20.0  # difference of scores that leaves no doubt


class SingleObject(nn.Module):
    """Keep one connected object of each mask and call the others background.

    Where every annotated mask holds one object, such as one lesion, a segmenter that finds several is wrong about all but
    one of them. The one is kept whose pixels are most often foreground in annotated masks, as a sum over its pixels: large
    objects in the middle, rather than shadows along the border.

    Parameters
    ----------
    grid : int
        Rows and columns of the map of how often a place is foreground.

    Notes
    -----
    Keeping the largest component, where training masks have but one, is a post-processing step of nnU-Net [1]_; the place
    is added here because what is invented away from home is large, too.

    References
    ----------
    .. [1] Isensee et al., "nnU-Net", Nature Methods 2021. :doi:`10.1038/s41592-020-01008-z`

    Examples
    --------
    >>> mask = torch.tensor([[[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]], dtype=torch.bool)
    >>> middle = torch.zeros(4, 4, dtype=torch.uint8)
    >>> middle[1:3, 1:3] = 1
    >>> SingleObject.of([middle]).keep(mask)[0].nonzero().tolist()
    [[1, 2]]
    """

    often: torch.Tensor

    def __init__(self, grid: int = 32) -> None:
        super().__init__()
        self.arguments = {"grid": grid}
        self.register_buffer("often", torch.full((grid, grid), 0.5))

    @classmethod
    def of(cls, masks: Iterable[torch.Tensor], grid: int = 32) -> SingleObject:
        """Learn from annotated masks where objects are.

        Parameters
        ----------
        masks : iterable of Tensor of shape (H, W)
            Class indices, uint8; they may differ in size.
        grid : int
            Rows and columns of the map.

        Returns
        -------
        SingleObject
            With a map that is the same in all eight orientations of the square.

        Raises
        ------
        MaskError
            If there is no mask.
        """
        maps = [F.adaptive_avg_pool2d((mask == 1).float()[None, None], grid)[0, 0] for mask in masks]
        if not maps:
            raise MaskError(
                "masks to learn from must be at least one, got 0. Annotate images of A, or switch off single_object."
            )
        mean = torch.stack(maps).mean(dim=0)
        turned = [torch.rot90(mean, turns) for turns in range(4)]
        made = cls(grid)
        made.often.copy_(torch.stack([*turned, *(one.flip(-1) for one in turned)]).mean(dim=0))
        return made

    def keep(self, foreground: torch.Tensor) -> torch.Tensor:
        """Keep one object of each mask.

        Parameters
        ----------
        foreground : Tensor of bool, shape (N, H, W)
            Masks.

        Returns
        -------
        Tensor of bool, shape (N, H, W)
            The same with at most one object each.
        """
        often = F.interpolate(
            self.often[None, None].float(), foreground.shape[-2:], mode="bilinear", align_corners=False
        )
        weights = often[0, 0].cpu().numpy()
        kept = []
        for mask in foreground.cpu().numpy():
            numbered, n = ndimage.label(mask, _NEIGHBOURS)
            sums = ndimage.sum_labels(weights, numbered, range(1, n + 1))
            kept.append(numbered == 1 + int(np.argmax(sums)) if n else mask)
        return torch.from_numpy(np.stack(kept)).to(foreground.device)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Make background of every object but one.

        Parameters
        ----------
        logits : Tensor of shape (N, K, H, W)
            Unnormalised class scores.

        Returns
        -------
        Tensor of shape (N, K, H, W)
            The same, with scores that leave no doubt where foreground was taken away.
        """
        foreground = logits.argmax(dim=1) > 0
        removed = (foreground & ~self.keep(foreground)).unsqueeze(1)
        surely_background = torch.zeros_like(logits)
        surely_background[:, 0] = _SURE
        return torch.where(removed, surely_background, logits)
