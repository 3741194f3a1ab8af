"""Adapt a segmenter itself: train it on annotated images of A and on what its teacher sees in B."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch
from pydantic import ConfigDict, Field, model_validator
from torch import nn

from biostyle.adaptation import foreground_when_turned
from biostyle.data.datasets import AnnotatedCropSampler
from biostyle.devices import Precision, autocast
from biostyle.losses import dice_cross_entropy
from biostyle.training.augmentation import AugmentationSettings, augment
from biostyle.training.samples import segmentation_rows
from biostyle.training.schedules import constant_then_linear, set_learning_rate
from biostyle.training.seeding import RandomStream
from biostyle.training.session import OnProgress, SessionSettings, Stateful, TrainingSession
from biostyle.types import NOT_ANNOTATED


class RetrainSettings(SessionSettings):
    """How S_B is trained, starting from S_A.

    Attributes
    ----------
    n_frames : int
        Training frames of B, evenly spaced, that the teacher labels; their masks are not looked at.
    n_rounds : int
        How often the labels are made: by the teacher first, then by the network itself.
    sure_common, sure_rare : float
        In full doubt, probabilities of the rarer of foreground and background up to which a pixel counts as the commoner
        one, and from which on as the rarer one; between them it is not annotated. Both are below a half, because away
        from home a segmenter misses what is rare more often than it invents it.
    largest_weight : float
        In full doubt, how much more a pixel of the rarer one may weigh.
    full_doubt : float
        One minus the concord with the best chain at which doubt is full. With less doubt both probabilities are nearer to
        a half, and the weight is nearer to 1.
    share_a : float
        Share of a batch that comes from A.
    rendered : bool
        Whether A's frames are also trained on as the candidate ``cyclegan_sa`` renders them in B's look, where it runs.
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

    n_steps: int = Field(300, ge=1)
    n_frames: int = Field(8, ge=1)
    n_rounds: int = Field(1, ge=1)
    sure_common: float = Field(0.15, ge=0, le=1)
    sure_rare: float = Field(0.35, ge=0, le=1)
    largest_weight: float = Field(10.0, ge=1)
    full_doubt: float = Field(0.25, gt=0, le=1)
    share_a: float = Field(0.5, ge=0, lt=1)
    rendered: bool = False
    crop_size_px: int = Field(192, ge=16)
    batch_size: int = Field(4, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    decay_fraction: float = Field(0.7, ge=0, le=1)
    weight_decay: float = Field(1e-4, ge=0)
    precision: Precision = "auto"
    augmentation: AugmentationSettings = AugmentationSettings()

    @model_validator(mode="after")
    def _has_a_step_for_each_round(self) -> RetrainSettings:
        """Refuse more rounds than steps, and probabilities that are both."""
        if self.sure_common >= self.sure_rare:
            raise ValueError(
                f"sure_common must be below sure_rare = {self.sure_rare}, got {self.sure_common}. Lower it."
            )
        if self.n_rounds > self.n_steps:
            raise ValueError(
                f"n_rounds must be at most n_steps = {self.n_steps}, got {self.n_rounds}. Lower it or train longer."
            )
        return self

    def share_of(self, doubt: float) -> float:
        """Return how much of full doubt there is.

        Parameters
        ----------
        doubt : float
            One minus the concord with the best chain, 0 or more.

        Returns
        -------
        float
            In [0, 1].

        Examples
        --------
        >>> RetrainSettings(full_doubt=0.2).share_of(0.1)
        0.5
        """
        return min(1.0, doubt / self.full_doubt)

    def in_doubt(self, doubt: float) -> RetrainSettings:
        """Return the settings for a teacher who is not fully in doubt.

        Parameters
        ----------
        doubt : float
            One minus the concord with the best chain, in [0, 1]; 0 for true masks.

        Returns
        -------
        RetrainSettings
            A copy with probabilities and weight in between: linearly for the probabilities, geometrically for the weight.

        Examples
        --------
        >>> RetrainSettings(sure_rare=0.3, largest_weight=9, full_doubt=0.2).in_doubt(0.1).largest_weight
        3.0
        >>> RetrainSettings(sure_rare=0.3, largest_weight=9, full_doubt=0.2).in_doubt(0.1).sure_rare
        0.4
        """
        share = self.share_of(doubt)
        return self.model_copy(
            update={
                "sure_common": 0.5 + share * (self.sure_common - 0.5),
                "sure_rare": 0.5 + share * (self.sure_rare - 0.5),
                "largest_weight": self.largest_weight**share,
            }
        )


class PseudoLabels:
    """What a teacher is sure of, as masks to train on.

    Parameters
    ----------
    images : list of Tensor of shape (C, H, W)
        Frames of B as the network will see them, in [0, 1].
    probs : list of Tensor of shape (H, W)
        The teacher's foreground probabilities; NaN where it is not asked, which is not annotated then.
    settings : RetrainSettings
        Gives the probabilities from which on a pixel is labelled.
    """

    def __init__(
        self, images: list[torch.Tensor], probs: list[torch.Tensor], settings: RetrainSettings
    ) -> None:
        self.images, self.settings = images, settings
        n_foreground = sum(int((frame > 0.5).sum()) for frame in probs)
        self.foreground_is_rare = 2 * n_foreground <= sum(frame.numel() for frame in probs)
        self.masks = [self._label(frame) for frame in probs]

    def renew(self, segmenter: nn.Module) -> None:
        """Let another segmenter label the frames.

        Parameters
        ----------
        segmenter : Module
            A Segmenter; in evaluation mode while it labels.
        """
        was_training = segmenter.training
        segmenter.eval()
        self.masks = [self._label(foreground_probs(segmenter, image[None])[0, 0]) for image in self.images]
        segmenter.train(was_training)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the masks.

        Returns
        -------
        dict of str to Tensor
            By position.
        """
        return {str(position): mask for position, mask in enumerate(self.masks)}

    def load_state_dict(self, state: dict[str, torch.Tensor], /) -> None:
        """Restore the masks.

        Parameters
        ----------
        state : dict of str to Tensor
            What :meth:`state_dict` returned.
        """
        self.masks = [state[str(position)].to(image.device) for position, image in enumerate(self.images)]

    def _label(self, probs: torch.Tensor) -> torch.Tensor:
        """Background, foreground, or not annotated."""
        mask = torch.full_like(probs, NOT_ANNOTATED, dtype=torch.uint8)
        rare = 1 if self.foreground_is_rare else 0
        of_rare = probs if rare else 1 - probs
        mask[of_rare <= self.settings.sure_common] = 1 - rare
        mask[of_rare >= self.settings.sure_rare] = rare
        return mask


def true_probs(mask: torch.Tensor) -> torch.Tensor:
    """Turn a true mask into what a teacher who knows it would say.

    Parameters
    ----------
    mask : Tensor of shape (H, W)
        Class indices, uint8; 255 is not annotated.

    Returns
    -------
    Tensor of shape (H, W)
        Foreground probabilities, float32; NaN where the mask is not annotated.

    Examples
    --------
    >>> true_probs(torch.tensor([0, 1, 255], dtype=torch.uint8))
    tensor([0., 1., nan])
    """
    return mask.float().masked_fill(mask == NOT_ANNOTATED, math.nan)


@torch.no_grad()
def foreground_probs(segmenter: nn.Module, images: torch.Tensor, share: float = 0.0) -> torch.Tensor:
    """Return the foreground probability of images over the eight orientations of the square.

    Parameters
    ----------
    segmenter : Module
        A Segmenter in evaluation mode.
    images : Tensor of shape (N, C, H, W)
        In [0, 1], on the segmenter's device.
    share : float
        How much of full doubt there is: 0 takes the mean of the eight, 1 the largest, and what is between lies between.

    Returns
    -------
    Tensor of shape (N, 1, H, W)
        In [0, 1], float32.

    Notes
    -----
    Away from home a segmenter misses more than it invents, and what it misses depends on the orientation.
    """
    views = torch.stack(
        [
            foreground_when_turned(segmenter, images, n_turns, mirrored)
            for n_turns in range(4)
            for mirrored in (False, True)
        ]
    )
    return views.mean(dim=0).lerp(views.amax(dim=0), share)


def retrain(
    segmenter: nn.Module,
    annotated_a: tuple[list[torch.Tensor], list[torch.Tensor]],
    taught_b: tuple[list[torch.Tensor], list[torch.Tensor]],
    settings: RetrainSettings,
    *,
    seed: int,
    device: torch.device,
    out: Path,
    on_progress: OnProgress | None = None,
) -> nn.Module:
    """Train S_B, starting from S_A; continue where an interrupted run in ``out`` stopped.

    Parameters
    ----------
    segmenter : Module
        S_A, a Segmenter with trainable weights; it is copied.
    annotated_a : (list of Tensor of shape (C, H, W), list of Tensor of shape (H, W))
        Frames of A, as they are or rendered like B, in [0, 1], and their masks, uint8.
    taught_b : (list of Tensor of shape (C, H, W), list of Tensor of shape (H, W))
        Frames of B in [0, 1], and the teacher's foreground probabilities for them.
    settings : RetrainSettings
        How to train.
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
    Module
        S_B on ``device``, in evaluation mode.

    Raises
    ------
    SplitError
        If a domain has no frames.
    InterruptedRunError
        If it was stopped on request.
    TrainingError
        If a loss is not finite.

    References
    ----------
    .. [1] Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks",
       ICML workshop 2013.
    .. [2] Zou, Yu, Kumar and Wang, "Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced
       Self-Training", ECCV 2018. :doi:`10.1007/978-3-030-01219-9_18`
    """
    network = copy.deepcopy(segmenter).to(device).requires_grad_(True)
    taught = PseudoLabels(
        [image.to(device) for image in taught_b[0]], [p.to(device) for p in taught_b[1]], settings
    )
    crops_b = AnnotatedCropSampler(taught.images, taught.masks, settings.crop_size_px, device)
    crops_a = AnnotatedCropSampler(*annotated_a, crops_b.crop_size_px, device)
    crops_b.crop_size_px = crops_a.crop_size_px
    n_a = min(round(settings.batch_size * settings.share_a), settings.batch_size - 1)
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    random = RandomStream(seed)
    latest: dict[str, torch.Tensor] = {}

    def sample() -> list[list[torch.Tensor]]:
        return segmentation_rows(**latest)

    parts: dict[str, Stateful] = {
        "network": network,
        "optimiser": optimiser,
        "random": random,
        "taught": taught,
    }
    session = TrainingSession(out, settings, parts, sample, on_progress)
    renewals = {settings.n_steps * turn // settings.n_rounds for turn in range(1, settings.n_rounds)}
    network.train()
    for step in session.steps():
        if step in renewals:
            taught.renew(network)
        crops_b.masks = taught.masks
        set_learning_rate(
            optimiser,
            settings.learning_rate * constant_then_linear(step, settings.n_steps, settings.decay_fraction),
        )
        drawn = [crops_b.draw_annotated(settings.batch_size - n_a, random.generator)]
        if n_a:
            drawn.append(crops_a.draw_annotated(n_a, random.generator))
        images, target = (torch.cat(part) for part in zip(*drawn, strict=True))
        images, target = augment(images, target, settings.augmentation, random.generator)
        with autocast(device, settings.precision):
            logits = network(images)
        loss = dice_cross_entropy(logits, target.long(), settings.largest_weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        session.record({"loss": loss})
        latest = {"images": images, "logits": logits.detach(), "target": target}
    return network.eval()


@torch.no_grad()
def average_weights(network: nn.Module, other: nn.Module) -> None:
    """Take a network halfway to another one that began with the same weights.

    Parameters
    ----------
    network : Module
        Changed in place.
    other : Module
        Of the same architecture, on any device.

    Notes
    -----
    Fine-tuned from one beginning, two networks lie in one basin of the loss, and what lies between them generalises at least
    as well as either [1]_.

    References
    ----------
    .. [1] Wortsman et al., "Model Soups: Averaging Weights of Multiple Fine-Tuned Models Improves Accuracy without Increasing
       Inference Time", ICML 2022. :doi:`10.48550/arXiv.2203.05482`
    """
    weights = other.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(weights[name].to(value), 0.5)
