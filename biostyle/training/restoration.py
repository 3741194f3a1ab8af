"""Learn to undo what a degradation model does, from pairs that it makes of good images."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ConfigDict, Field
from torch import nn
from torch.nn import functional as F

from biostyle.adaptation import foreground
from biostyle.devices import Precision, autocast
from biostyle.errors import SplitError
from biostyle.losses import gradient_loss
from biostyle.models.residual_unet import ResidualUNet
from biostyle.training.schedules import constant_then_linear, set_learning_rate
from biostyle.training.seeding import RandomStream, seeded
from biostyle.training.session import OnProgress, SessionSettings, Stateful, TrainingSession


class RestorationSettings(SessionSettings):
    """Size of the network, how it is trained, and with how many pairs.

    Attributes
    ----------
    n_filters : int
        Filters of the U-Net's first level.
    depth : int
        Number of times it halves the resolution.
    n_rounds : int
        How often the degradation model goes through all good photographs, each time with other random numbers.
    batch_size : int
        Pairs a step.
    learning_rate : float
        Of AdamW, at first.
    decay_fraction : float
        Share of the steps over which the learning rate falls to zero.
    weight_decay : float
        Of AdamW.
    lambda_gradient : float
        Weight of the loss on the differences between neighbouring pixels, which keeps edges sharp.
    lambda_structure : float
        Weight of the loss on what the frozen segmenter sees; 0 leaves it out.
    precision : {"auto", "bfloat16", "float32"}
        In which training computes.
    """

    model_config = ConfigDict(extra="forbid")

    n_steps: int = Field(2000, ge=1)
    n_filters: int = Field(16, ge=1)
    depth: int = Field(4, ge=1, le=6)
    n_rounds: int = Field(2, ge=1)
    batch_size: int = Field(4, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    decay_fraction: float = Field(0.7, ge=0, le=1)
    weight_decay: float = Field(1e-4, ge=0)
    lambda_gradient: float = Field(10.0, ge=0)
    lambda_structure: float = Field(0.5, ge=0)
    precision: Precision = "auto"


def train_on_pairs(
    poor: torch.Tensor,
    good: torch.Tensor,
    originals: torch.Tensor,
    settings: RestorationSettings,
    *,
    seed: int,
    device: torch.device,
    out: Path,
    segmenter: nn.Module,
    on_progress: OnProgress | None = None,
) -> ResidualUNet:
    """Train a U-Net on pairs; continue where an interrupted run in ``out`` stopped.

    Parameters
    ----------
    poor : Tensor of uint8, shape (N, C, H, W)
        Degraded images in [0, 255]: a quarter of the memory that [0, 1] would take.
    good : Tensor of uint8, shape (M, C, H, W)
        Good images in [0, 255].
    originals : Tensor of int64, shape (N,)
        Which good image each degraded one was made from.
    settings : RestorationSettings
        Size and training.
    seed : int
        Source of every random choice.
    device : device
        Where to train.
    out : Path
        Directory for history, samples and the state to resume from.
    segmenter : Module
        Frozen, on ``device``; it must see the same in the restored image as in the good one.
    on_progress : callable or None
        Called with step, number of steps and losses.

    Returns
    -------
    ResidualUNet
        The trained network on ``device``, in evaluation mode.

    Raises
    ------
    SplitError
        If there are no pairs.
    InterruptedRunError
        If it was stopped on request.
    TrainingError
        If a loss is not finite.

    Notes
    -----
    With y the good image, x what the network makes of the poor one, d the difference of neighbouring pixels and S the
    foreground probability: (x - y)² + λ_g (dx - dy)² + λ_s (S(x) - S(y))², as means. They are squares because most pixels of
    most pairs are alike: absolute differences are smallest where nothing is changed at all, and training stays there.
    Pairs as training data are those of Shen et al. [1]_, who let a segmenter of vessels take part as well.

    References
    ----------
    .. [1] Shen, Fu, Shen and Shao, "Modeling and Enhancing Low-Quality Retinal Fundus Images", IEEE Transactions on
       Medical Imaging 40, 2021. :doi:`10.1109/TMI.2020.3043495`
    """
    if not len(poor):
        raise SplitError("training set must hold at least one pair, got 0. Check the split.")
    with seeded(seed):
        network = ResidualUNet(good.shape[1], settings.n_filters, settings.depth).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    random = RandomStream(seed)
    latest: dict[str, torch.Tensor] = {}

    def sample() -> list[list[torch.Tensor]]:
        return [[images[0] for images in latest.values()]]

    parts: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "random": random}
    session = TrainingSession(out, settings, parts, sample, on_progress)
    network.train()
    for step in session.steps():
        factor = constant_then_linear(step, settings.n_steps, settings.decay_fraction)
        set_learning_rate(optimiser, settings.learning_rate * factor)
        drawn = torch.randint(len(poor), (settings.batch_size,), generator=random.generator)
        n_turns, mirrored = divmod(int(torch.randint(8, (), generator=random.generator)), 2)
        shown, wanted = (
            torch.rot90(images.flip(-1) if mirrored else images, n_turns, (-2, -1)).to(device).float() / 255
            for images in (poor[drawn], good[originals[drawn]])
        )
        with autocast(device, settings.precision):
            restored = network(shown)
            losses = {"pixels": F.mse_loss(restored, wanted)}
            if settings.lambda_gradient:
                losses["gradient"] = settings.lambda_gradient * gradient_loss(restored, wanted)
            if settings.lambda_structure:
                with torch.no_grad():
                    there = foreground(segmenter, wanted)
                seen = foreground(segmenter, restored)
                losses["structure"] = settings.lambda_structure * F.mse_loss(seen, there)
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros((), device=device)).backward()
        optimiser.step()
        session.record(losses)
        latest = {"poor": shown, "restored": restored.detach(), "good": wanted}
    return network.eval()
