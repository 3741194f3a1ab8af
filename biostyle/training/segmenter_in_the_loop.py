"""What ties an unpaired translation to the segmentation it is made for: a frozen S_A, A's masks, and an alarm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from biostyle.adaptation import foreground
from biostyle.data.datasets import AnnotatedCropSampler, CropSampler
from biostyle.errors import TranslationAlarmError
from biostyle.losses import dice_cross_entropy

_SHARE_OF_A_STEP = 0.05  # in the running average: about the last 20 steps
_CHECK_EVERY = 20  # steps, because to look waits for the device


@dataclass(frozen=True)
class SegmenterInTheLoop:
    """A frozen segmenter beside a CycleGAN.

    Attributes
    ----------
    segmenter : Module
        S_A, frozen, on the training device; gradients flow through it.
    masks_a : list of Tensor of shape (H, W)
        A's masks, uint8, one for each frame of A.
    masks_b : list of Tensor of shape (H, W)
        What S_A sees in each frame of B before translation, uint8. It balances the crops and is what the alarm
        compares with; no truth.
    """

    segmenter: nn.Module
    masks_a: list[torch.Tensor]
    masks_b: list[torch.Tensor]

    def show(self, images: torch.Tensor) -> torch.Tensor:
        """Put S_A's probability map behind an image.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            Images of A, real or translated, in [0, 1].

        Returns
        -------
        Tensor of shape (N, C + 1, H, W)
            What the discriminator of A is shown.
        """
        return torch.cat([images, foreground(self.segmenter, images).to(images.dtype)], dim=1)

    def loss(self, rec_a: torch.Tensor, masks_a: torch.Tensor) -> torch.Tensor:
        """Return S_A's loss on images of A that went to B and back.

        Parameters
        ----------
        rec_a : Tensor of shape (N, C, H, W)
            Reconstructions in [0, 1].
        masks_a : Tensor of shape (N, H, W)
            Class indices, uint8.

        Returns
        -------
        Tensor
            A scalar.
        """
        return dice_cross_entropy(self.segmenter(rec_a), masks_a.long())

    @torch.no_grad()
    def agreement(self, real_b: torch.Tensor, fake_a: torch.Tensor) -> torch.Tensor:
        """Compare what S_A sees in images of B before and after translation.

        Parameters
        ----------
        real_b, fake_a : Tensor of shape (N, C, H, W)
            Images in [0, 1].

        Returns
        -------
        Tensor
            Dice coefficient of the two foregrounds, pooled over the batch; 1 where both are empty.
        """
        before, after = (self.segmenter(images).argmax(1) > 0 for images in (real_b, fake_a))
        total = before.sum() + after.sum()
        return torch.where(total > 0, 2 * (before & after).sum() / total.clamp_min(1), 1.0)


class Batch(NamedTuple):
    """Crops of both domains, of one size."""

    real_a: torch.Tensor
    real_b: torch.Tensor
    masks_a: torch.Tensor | None


class BatchSource:
    """Draw crops of both domains; with S_A in the loop, crops of A with about as much foreground as those of B.

    Where one domain holds more foreground than the other, the discriminators would otherwise pay the generators for
    erasing or inventing objects.

    Parameters
    ----------
    images_a, images_b : list of Tensor of shape (C, H, W)
        Unpaired frames in [0, 1].
    crop_size_px : int
        Side of the crops; smaller where a frame is smaller.
    device : device
        Where the frames are kept.
    loop : SegmenterInTheLoop or None
        Gives the masks.

    Raises
    ------
    SplitError
        If a domain has no frames.
    """

    def __init__(
        self,
        images_a: list[torch.Tensor],
        images_b: list[torch.Tensor],
        crop_size_px: int,
        device: torch.device,
        loop: SegmenterInTheLoop | None,
    ) -> None:
        sides = [side for image in (*images_a, *images_b) for side in image.shape[-2:]]
        self.crop_size_px = size = min(crop_size_px, *sides)
        self.crops_a: CropSampler
        self.crops_b: CropSampler
        if loop is None:
            self.crops_a, self.crops_b = (
                CropSampler(images, size, device) for images in (images_a, images_b)
            )
        else:
            self.crops_a = AnnotatedCropSampler(images_a, loop.masks_a, size, device)
            self.crops_b = AnnotatedCropSampler(images_b, loop.masks_b, size, device)

    def draw(self, n_crops: int, generator: torch.Generator) -> Batch:
        """Draw crops.

        Parameters
        ----------
        n_crops : int
            Number of crops N of each domain.
        generator : Generator
            Source of the random choices.

        Returns
        -------
        Batch
            Images of shape (N, C, S, S) in [0, 1] and, with S_A in the loop, A's masks of shape (N, S, S).
        """
        crops_a, crops_b = self.crops_a, self.crops_b
        if not (isinstance(crops_a, AnnotatedCropSampler) and isinstance(crops_b, AnnotatedCropSampler)):
            return Batch(crops_a.draw(n_crops, generator), crops_b.draw(n_crops, generator), None)
        real_b, masks_b = crops_b.draw_annotated(n_crops, generator)
        wanted = (masks_b == 1).float().mean(dim=(1, 2))
        real_a, masks_a = crops_a.draw_with_fractions(wanted, generator)
        return Batch(real_a, real_b, masks_a)


class AgreementAlarm:
    """Ring when, over some dozens of steps, translation makes away with what S_A saw.

    Parameters
    ----------
    least : float
        Smallest average agreement that is let pass, in [0, 1].
    """

    def __init__(self, least: float) -> None:
        self.least = least
        self.average = torch.ones(())

    def note(self, agreement: torch.Tensor) -> None:
        """Take one step's agreement into the running average.

        Parameters
        ----------
        agreement : Tensor
            What :meth:`SegmenterInTheLoop.agreement` returned.
        """
        self.average = torch.lerp(self.average.to(agreement), agreement, _SHARE_OF_A_STEP)

    def check(self, step: int, out: Path) -> None:
        """Ring if the average is too small; looked at in every twentieth step.

        Parameters
        ----------
        step : int
            Number of the step.
        out : Path
            Directory of the training, for the message.

        Raises
        ------
        TranslationAlarmError
            If it is.
        """
        if step % _CHECK_EVERY == 0 and (average := float(self.average)) < self.least:
            raise TranslationAlarmError(
                f"agreement of the masks before and after translation must be at least {self.least:g}, got "
                f"{average:.3f} at step {step} ({out}). Bright and dark were exchanged, or objects erased or invented."
            )

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the average.

        Returns
        -------
        dict of str to Tensor
            A scalar.
        """
        return {"average": self.average}

    def load_state_dict(self, state: dict[str, torch.Tensor], /) -> None:
        """Restore the average.

        Parameters
        ----------
        state : dict of str to Tensor
            What :meth:`state_dict` returned.
        """
        self.average = state["average"]
