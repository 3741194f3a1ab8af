"""The heart: ``S_B = S_A ∘ T_B→A``, a frozen segmenter behind a stylizer."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from biostyle.models.single_object import SingleObject


def freeze(model: nn.Module) -> nn.Module:
    """Put a network into evaluation mode and stop its parameters from changing.

    Parameters
    ----------
    model : Module
        Any network; changed in place. Gradients still flow *through* it.

    Returns
    -------
    Module
        The same network.
    """
    return model.eval().requires_grad_(False)


def foreground(segmenter: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the probability of not being background.

    Parameters
    ----------
    segmenter : Module
        A Segmenter.
    images : Tensor of shape (N, C, H, W)
        In [0, 1].

    Returns
    -------
    Tensor of shape (N, 1, H, W)
        In [0, 1], float32.
    """
    return 1 - segmenter(images).float().softmax(dim=1)[:, :1]


def foreground_when_turned(
    segmenter: nn.Module, images: torch.Tensor, n_turns: int = 1, mirrored: bool = False
) -> torch.Tensor:
    """Return the same for images that are turned and mirrored on the way in and back on the way out.

    Parameters
    ----------
    segmenter : Module
        A Segmenter.
    images : Tensor of shape (N, C, H, W)
        In [0, 1].
    n_turns : int
        Number of turns by 90°.
    mirrored : bool
        Whether left and right are exchanged before they are turned.

    Returns
    -------
    Tensor of shape (N, 1, H, W)
        In [0, 1], float32, on the grid of ``images``.
    """
    shown = torch.rot90(images.flip(-1) if mirrored else images, n_turns, (-2, -1))
    found = torch.rot90(foreground(segmenter, shown), -n_turns, (-2, -1))
    return found.flip(-1) if mirrored else found


class AdaptedSegmenter(nn.Module):
    """A segmenter of domain B made of a frozen segmenter of A and a stylizer from B to A.

    It is itself a Segmenter, so nothing downstream can tell before from after.

    Parameters
    ----------
    segmenter_a : Module
        Works on images of A. It is frozen here.
    stylizer_ba : Module
        Brings images of B to the look of A. It may change their size.
    single_object : SingleObject or None
        Keeps one object of each mask; None keeps all.
    """

    def __init__(
        self, segmenter_a: nn.Module, stylizer_ba: nn.Module, single_object: SingleObject | None = None
    ) -> None:
        super().__init__()
        self.single_object = single_object
        self.segmenter_a = freeze(segmenter_a)
        self.stylizer_ba = stylizer_ba

    def train(self, mode: bool = True) -> AdaptedSegmenter:
        """Set the stylizer's mode; the segmenter stays in evaluation mode.

        Parameters
        ----------
        mode : bool
            Whether the stylizer is to be trained.

        Returns
        -------
        AdaptedSegmenter
            Itself.
        """
        super().train(mode)
        self.segmenter_a.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Segment images of B.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images of B in [0, 1].

        Returns
        -------
        Tensor of shape (N, K, H, W)
            Unnormalised class scores on the grid of ``images``.
        """
        logits = self.segmenter_a(self.stylizer_ba(images))
        if logits.shape[-2:] != images.shape[-2:]:
            logits = F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return logits if self.single_object is None else self.single_object(logits)
