"""Train S_A on annotated images of A."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ConfigDict, Field

from biostyle.data.datasets import AnnotatedCropSampler
from biostyle.devices import Precision, autocast
from biostyle.losses import dice_cross_entropy
from biostyle.models.unet import UNet
from biostyle.training.augmentation import AugmentationSettings, augment
from biostyle.training.samples import segmentation_rows
from biostyle.training.schedules import constant_then_linear, set_learning_rate
from biostyle.training.seeding import RandomStream, seeded
from biostyle.training.session import OnProgress, SessionSettings, Stateful, TrainingSession


class SegmenterSettings(SessionSettings):
    """Size of the U-Net and how it is trained.

    Attributes
    ----------
    n_filters : int
        Filters of the first level.
    depth : int
        Number of times the resolution is halved.
    crop_size_px : int
        Side of the training crops, at the working resolution.
    batch_size : int
        Crops a step.
    learning_rate : float
        Of AdamW, at first.
    decay_fraction : float
        Share of the steps over which the learning rate falls to zero.
    weight_decay : float
        Of AdamW.
    precision : {"auto", "bfloat16", "float32"}
        In which training computes.
    augmentation : AugmentationSettings
        Random changes of the crops.
    """

    model_config = ConfigDict(extra="forbid")

    n_steps: int = Field(1200, ge=1)
    n_filters: int = Field(16, ge=1)
    depth: int = Field(4, ge=1, le=6)
    crop_size_px: int = Field(192, ge=16)
    batch_size: int = Field(4, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    decay_fraction: float = Field(0.7, ge=0, le=1)
    weight_decay: float = Field(1e-4, ge=0)
    precision: Precision = "auto"
    augmentation: AugmentationSettings = AugmentationSettings()


def train_segmenter(
    images: list[torch.Tensor],
    masks: list[torch.Tensor],
    settings: SegmenterSettings,
    *,
    seed: int,
    device: torch.device,
    out: Path,
    on_progress: OnProgress | None = None,
) -> UNet:
    """Train a U-Net; continue where an interrupted run in ``out`` stopped.

    Parameters
    ----------
    images : list of Tensor of shape (C, H, W)
        Annotated frames in [0, 1].
    masks : list of Tensor of shape (H, W)
        Their class indices, uint8; 255 is not annotated.
    settings : SegmenterSettings
        Size and training.
    seed : int
        Source of every random choice.
    device : device
        Where to train.
    out : Path
        Directory for history, samples and the state to resume from.
    on_progress : callable or None
        Called with step, number of steps and losses.

    Returns
    -------
    UNet
        The trained network, in evaluation mode, on ``device``.

    Raises
    ------
    SplitError
        If there are no frames.
    InterruptedRunError
        If it was stopped on request.
    TrainingError
        If the loss is not finite.
    """
    with seeded(seed):
        unet = UNet(images[0].shape[0] if images else 1, 2, settings.n_filters, settings.depth).to(device)
    optimiser = torch.optim.AdamW(
        unet.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    crops = AnnotatedCropSampler(images, masks, settings.crop_size_px, device)
    random = RandomStream(seed)
    latest: dict[str, torch.Tensor] = {}

    def sample() -> list[list[torch.Tensor]]:
        return segmentation_rows(**latest)

    parts: dict[str, Stateful] = {"unet": unet, "optimiser": optimiser, "random": random}
    session = TrainingSession(out, settings, parts, sample, on_progress)
    unet.train()
    for step in session.steps():
        factor = constant_then_linear(step, settings.n_steps, settings.decay_fraction)
        set_learning_rate(optimiser, settings.learning_rate * factor)
        batch, target = crops.draw_annotated(settings.batch_size, random.generator)
        batch, target = augment(batch, target, settings.augmentation, random.generator)
        with autocast(device, settings.precision):
            logits = unet(batch)
        loss = dice_cross_entropy(logits, target.long())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        session.record({"loss": loss})
        latest = {"images": batch, "logits": logits.detach(), "target": target}
    return unet.eval()
