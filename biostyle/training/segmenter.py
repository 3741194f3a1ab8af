"""Train S_A on annotated images of A."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import ConfigDict, Field, model_validator

from biostyle.data.datasets import AnnotatedCropSampler
from biostyle.devices import Precision, autocast
from biostyle.losses import dice_cross_entropy
from biostyle.models.deeplab import DeepLab
from biostyle.models.unet import UNet
from biostyle.training.augmentation import AugmentationSettings, augment
from biostyle.training.samples import segmentation_rows
from biostyle.training.schedules import constant_then_linear, set_learning_rate
from biostyle.training.seeding import RandomStream, seeded
from biostyle.training.session import OnProgress, SessionSettings, Stateful, TrainingSession


class SegmenterSettings(SessionSettings):
    """Architecture and size of the network, and how it is trained.

    Attributes
    ----------
    architecture : {"unet", "deeplab"}
        A U-Net, or DeepLabV3 with a MobileNet encoder.
    weights : Path or None
        Safetensors file with the encoder that DeepLab starts from; None starts at random.
    n_filters : int
        Filters of the U-Net's first level.
    depth : int
        Number of times the U-Net halves the resolution.
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

    architecture: Literal["unet", "deeplab"] = Field("unet", exclude_if=lambda name: name == "unet")
    weights: Path | None = Field(None, exclude_if=lambda path: path is None)
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

    @model_validator(mode="after")
    def _fits_the_architecture(self) -> SegmenterSettings:
        """Refuse weights that nothing would use, and batches that DeepLab cannot normalise."""
        if self.weights is not None and self.architecture != "deeplab":
            raise ValueError(
                f"weights must be left out for architecture {self.architecture!r}, got {self.weights}. "
                "Set architecture to 'deeplab'."
            )
        if self.architecture == "deeplab" and self.batch_size < 2:
            raise ValueError(
                f"batch_size must be at least 2 for architecture 'deeplab', got {self.batch_size}. Raise it."
            )
        return self


def build_segmenter(n_channels: int, settings: SegmenterSettings) -> UNet | DeepLab:
    """Build a freshly initialised segmenter with two classes.

    Parameters
    ----------
    n_channels : int
        Number of image channels C.
    settings : SegmenterSettings
        Architecture, size, and weights to start from.

    Returns
    -------
    UNet or DeepLab
        The network on the CPU.

    Raises
    ------
    CheckpointError
        If the weights to start from are not those of the encoder.
    """
    if settings.architecture == "unet":
        return UNet(n_channels, 2, settings.n_filters, settings.depth)
    network = DeepLab(n_classes=2)
    if settings.weights is not None:
        network.load_encoder(settings.weights)
    return network


def train_segmenter(
    images: list[torch.Tensor],
    masks: list[torch.Tensor],
    settings: SegmenterSettings,
    *,
    seed: int,
    device: torch.device,
    out: Path,
    on_progress: OnProgress | None = None,
) -> UNet | DeepLab:
    """Train a segmenter; continue where an interrupted run in ``out`` stopped.

    Parameters
    ----------
    images : list of Tensor of shape (C, H, W)
        Annotated frames in [0, 1].
    masks : list of Tensor of shape (H, W)
        Their class indices, uint8; 255 is not annotated.
    settings : SegmenterSettings
        Architecture and training.
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
    UNet or DeepLab
        The trained network, in evaluation mode, on ``device``.

    Raises
    ------
    CheckpointError
        If the weights to start from are not those of the encoder.
    SplitError
        If there are no frames.
    InterruptedRunError
        If it was stopped on request.
    TrainingError
        If the loss is not finite.
    """
    with seeded(seed):
        network = build_segmenter(images[0].shape[0] if images else 1, settings).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    crops = AnnotatedCropSampler(images, masks, settings.crop_size_px, device)
    random = RandomStream(seed)
    latest: dict[str, torch.Tensor] = {}

    def sample() -> list[list[torch.Tensor]]:
        return segmentation_rows(**latest)

    parts: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "random": random}
    session = TrainingSession(out, settings, parts, sample, on_progress)
    network.train()
    for step in session.steps():
        factor = constant_then_linear(step, settings.n_steps, settings.decay_fraction)
        set_learning_rate(optimiser, settings.learning_rate * factor)
        batch, target = crops.draw_annotated(settings.batch_size, random.generator)
        batch, target = augment(batch, target, settings.augmentation, random.generator)
        with autocast(device, settings.precision):
            logits = network(batch)
        loss = dice_cross_entropy(logits, target.long())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        session.record({"loss": loss})
        latest = {"images": batch, "logits": logits.detach(), "target": target}
    return network.eval()
