"""Train the networks that judge a whole image."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import ConfigDict, Field
from torch.nn import functional as F

from biostyle.devices import Precision, autocast
from biostyle.errors import ConfigError, SplitError
from biostyle.models.classifier import EfficientNetClassifier, ImageClassifier, SmallClassifier, load_backbone
from biostyle.training.schedules import constant_then_linear, set_learning_rate
from biostyle.training.seeding import RandomStream, seeded
from biostyle.training.session import OnProgress, SessionSettings, Stateful, TrainingSession


class ClassifierSettings(SessionSettings):
    """Which network, and how it is trained.

    Attributes
    ----------
    architecture : {"small", "efficientnet_b0"}
        ``small`` is for images of 128 to 192 px on a CPU.
    batch_size : int
        Images a step.
    learning_rate : float
        Of AdamW, at first.
    decay_fraction : float
        Share of the steps over which the learning rate falls to zero.
    weight_decay : float
        Of AdamW.
    dropout : float
        Share of features dropped while training.
    colour : float
        Largest change of each channel's brightness either way, as a factor: 0.1 draws from [1/1.1, 1.1].
    precision : {"auto", "bfloat16", "float32"}
        In which training computes.
    """

    model_config = ConfigDict(extra="forbid")

    n_steps: int = Field(1500, ge=1)
    sample_every: int = Field(0, ge=0)
    architecture: Literal["small", "efficientnet_b0"] = "small"
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    decay_fraction: float = Field(0.7, ge=0, le=1)
    weight_decay: float = Field(1e-3, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    colour: float = Field(0.1, ge=0)
    precision: Precision = "auto"


def train_classifier(
    images: torch.Tensor,
    labels: torch.Tensor,
    n_classes: int,
    settings: ClassifierSettings,
    *,
    seed: int,
    device: torch.device,
    out: Path,
    weights: Path | None = None,
    on_progress: OnProgress | None = None,
) -> ImageClassifier:
    """Train a classifier; continue where an interrupted run in ``out`` stopped.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, 3, H, W)
        Training images in [0, 255]: a quarter of the memory that [0, 1] would take.
    labels : Tensor of int64, shape (N,)
        Their classes.
    n_classes : int
        Number of classes. Rare ones count as much as frequent ones.
    settings : ClassifierSettings
        Network and training.
    seed : int
        Source of every random choice.
    device : device
        Where to train.
    out : Path
        Directory for history and the state to resume from.
    weights : Path or None
        Weights to begin with, for :func:`~biostyle.models.classifier.load_backbone`; random ones where there are none.
    on_progress : callable or None
        Called with step, number of steps and losses.

    Returns
    -------
    ImageClassifier
        The trained network, in evaluation mode, on ``device``; not yet calibrated.

    Raises
    ------
    SplitError
        If there are images of one class alone, or of none.
    CheckpointError
        If the given weights are not those of the network.
    ConfigError
        If weights are given for the small network.
    InterruptedRunError
        If it was stopped on request.
    TrainingError
        If the loss is not finite.
    """
    counts = torch.bincount(labels, minlength=n_classes)
    n_shown = int(counts.count_nonzero())
    if len(counts) != n_classes or n_shown < 2:
        raise SplitError(
            f"training images must show at least 2 of {n_classes} classes, got {counts.tolist()} images of them. "
            "Add images of the missing classes, or choose another split."
        )
    with seeded(seed):
        classifier = _build(settings, n_classes).to(device)
    if weights is not None:
        if not isinstance(classifier, EfficientNetClassifier):
            raise ConfigError(
                f"weights must be left out for the architecture {settings.architecture!r}, got {weights}. "
                "Set architecture to 'efficientnet_b0'."
            )
        load_backbone(classifier, weights)
    optimiser = torch.optim.AdamW(
        classifier.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    images, labels = images.to(device), labels.to(device)
    # a class without images is never drawn, whatever its weight
    balance = (len(labels) / (n_shown * counts.clamp(min=1))).to(device)
    random = RandomStream(seed)
    parts: dict[str, Stateful] = {"classifier": classifier, "optimiser": optimiser, "random": random}
    session = TrainingSession(out, settings, parts, on_progress=on_progress)
    classifier.train()
    for step in session.steps():
        factor = constant_then_linear(step, settings.n_steps, settings.decay_fraction)
        set_learning_rate(optimiser, settings.learning_rate * factor)
        drawn = torch.randint(len(labels), (settings.batch_size,), generator=random.generator).to(device)
        batch = vary(images[drawn].float() / 255, settings.colour, random.generator)
        with (
            seeded(seed + step),
            autocast(device, settings.precision),
        ):  # dropout draws from torch's own stream
            logits = classifier(batch)
        loss = F.cross_entropy(logits, labels[drawn], weight=balance)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        session.record({"loss": loss})
    return classifier.eval()


def vary(images: torch.Tensor, colour: float, generator: torch.Generator) -> torch.Tensor:
    """Mirror images, turn square ones, and change their colour a little.

    None of it changes how good an image is: nothing is interpolated, which would blur, no noise is added, and
    brightness changes by the same factor everywhere.

    Parameters
    ----------
    images : Tensor of shape (N, 3, H, W)
        In [0, 1].
    colour : float
        Largest change of each channel's brightness either way, as a factor.
    generator : Generator
        Source of the random choices, on the CPU.

    Returns
    -------
    Tensor of shape (N, 3, H, W)
        In [0, 1].
    """
    upside_down, mirrored, turned = (
        torch.rand(3, len(images), 1, 1, 1, generator=generator).to(images.device) < 0.5
    )
    images = torch.where(upside_down, images.flip(-2), images)
    images = torch.where(mirrored, images.flip(-1), images)
    if images.shape[-2] == images.shape[-1]:
        images = torch.where(turned, images.transpose(-2, -1), images)
    exponent = torch.rand(len(images), 3, 1, 1, generator=generator) * 2 - 1
    return (images * ((1 + colour) ** exponent).to(images.device)).clamp(0, 1)


def _build(settings: ClassifierSettings, n_classes: int) -> ImageClassifier:
    """Build the network that the settings name."""
    if settings.architecture == "small":
        return SmallClassifier(n_classes, dropout=settings.dropout)
    return EfficientNetClassifier(n_classes, settings.dropout)
