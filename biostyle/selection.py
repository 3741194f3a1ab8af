"""Which candidate to use, judged without any label of B.

In: a Segmenter and unlabelled images. Out: a label-free score, and the choice among candidates. Truth never comes here.

A segmenter that meets images it understands is sure of itself and gives the same answer when the image is turned. Both
can be measured without annotations. A full mask is perfect in both and an empty one in the second, so these are ruled
out first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import nn

Verdict = Literal["adopt", "adopt with care", "don't adapt"]
Key = TypeVar("Key")
IDENTITY = "before"
# A mask below or above these foreground fractions says nothing about a frame that holds some cells.
SMALLEST_FRACTION, LARGEST_FRACTION = 0.005, 0.75
# Below the first score nobody is believed, below the second only with care: unrelated images reach 0.90.
TRUSTED, SURE = 0.92, 0.95
# Candidates whose scores are this close cannot be told apart; the one that changes least is taken.
MARGIN = 0.005
# All of the above, part of every request that depends on it.
RULE = {
    "fractions": [SMALLEST_FRACTION, LARGEST_FRACTION],
    "trusted": TRUSTED,
    "sure": SURE,
    "margin": MARGIN,
}


@dataclass(frozen=True)
class LabelFreeScore:
    """What can be said of a candidate's masks without truth.

    Attributes
    ----------
    confidence : float
        Soft Dice coefficient of the foreground probabilities with their own thresholded mask, in [0, 1]; 0 where the
        mask is degenerate.
    agreement : float
        Dice coefficient of the mask with the mask of the frame turned by 90°, turned back, in [0, 1]; 0 where the mask
        is degenerate.
    foreground_fraction : float
        Share of the pixels called foreground.
    """

    confidence: float
    agreement: float
    foreground_fraction: float

    @property
    def value(self) -> float:
        """Mean of confidence and agreement."""
        return (self.confidence + self.agreement) / 2


@dataclass(frozen=True)
class Choice:
    """The outcome of a race.

    Attributes
    ----------
    chosen : str
        Name of the candidate.
    verdict : {"adopt", "adopt with care", "don't adapt"}
        What to do with it.
    reason : str
        Why, in one sentence.
    """

    chosen: str
    verdict: Verdict
    reason: str


@torch.inference_mode()
def label_free_score(segmenter: nn.Module, batches: Iterable[torch.Tensor]) -> LabelFreeScore:
    """Score a segmenter on images without truth.

    Parameters
    ----------
    segmenter : Module
        A Segmenter in evaluation mode.
    batches : iterable of Tensor of shape (N, C, H, W)
        Images in [0, 1], on the segmenter's device.

    Returns
    -------
    LabelFreeScore
        Means over the batches.

    Notes
    -----
    With foreground probabilities p and mask m = [p > 1/2], the confidence is 2 Σ p m / (Σ p + Σ m), and the agreement
    2 Σ m m' / (Σ m + Σ m') with m' the mask under a turn by 90°. A frame whose mask is all but empty or all but full
    (foreground outside [0.005, 0.75]) counts 0 in both.
    """
    confidences, agreements, fractions = [], [], []
    for images in batches:
        probs = _foreground(segmenter, images)
        mask = (probs > 0.5).float()
        turned = torch.rot90(_foreground(segmenter, torch.rot90(images, 1, (-2, -1))), -1, (-2, -1))
        fractions.append(float(mask.mean()))
        telling = SMALLEST_FRACTION <= fractions[-1] <= LARGEST_FRACTION
        confidences.append(_dice(probs, mask) if telling else 0.0)
        agreements.append(_dice((turned > 0.5).float(), mask) if telling else 0.0)
    n = len(fractions)
    return LabelFreeScore(sum(confidences) / n, sum(agreements) / n, sum(fractions) / n)


def best_candidate(scores: Mapping[Key, LabelFreeScore]) -> Key:
    """Return the first candidate whose score is within ``MARGIN`` of the best.

    Parameters
    ----------
    scores : mapping of key to LabelFreeScore
        Candidates, from the one that changes least to the one that changes most.

    Returns
    -------
    key
        Of the winner.

    Raises
    ------
    ValueError
        If there are no candidates.

    Examples
    --------
    >>> best_candidate({"simple": LabelFreeScore(0.9, 0.9, 0.1), "elaborate": LabelFreeScore(0.902, 0.9, 0.1)})
    'simple'
    """
    best = max(score.value for score in scores.values())
    return next(name for name, score in scores.items() if score.value >= best - MARGIN)


def choose(scores: Mapping[str, LabelFreeScore]) -> Choice:
    """Choose a candidate by its label-free score alone.

    Parameters
    ----------
    scores : mapping of str to LabelFreeScore
        Candidates, from the simplest to the most elaborate; ``"before"``, which changes nothing, must be one.

    Returns
    -------
    Choice
        The first of the candidates whose score is within ``MARGIN`` of the best; so the unchanged images, unless
        some candidate beats them by more than ``MARGIN`` and reaches ``TRUSTED``.

    Examples
    --------
    >>> sure, unsure = LabelFreeScore(0.98, 0.96, 0.1), LabelFreeScore(0.8, 0.6, 0.1)
    >>> choose({"before": unsure, "matching": sure}).chosen
    'matching'
    >>> choose({"before": sure, "matching": unsure}).verdict
    "don't adapt"
    """
    identity, chosen = scores[IDENTITY], best_candidate(scores)
    winner = scores[chosen]
    if winner.value < TRUSTED:
        reason = (
            f"The best label-free score, {winner.value:.3f} by {chosen}, is below {TRUSTED}: the segmenter may not "
            "know this kind of image at all."
        )
        return Choice(IDENTITY, "don't adapt", reason)
    if chosen == IDENTITY:
        others = max((score.value for name, score in scores.items() if name != IDENTITY), default=0.0)
        reason = f"No candidate's label-free score ({others:.3f} at most) beats the unchanged frames' ({identity.value:.3f})."
        return Choice(IDENTITY, "don't adapt", reason)
    reason = (
        f"The label-free score rises from {identity.value:.3f} to {winner.value:.3f} with {chosen} "
        f"(confidence {winner.confidence:.3f}, agreement under rotation {winner.agreement:.3f})."
    )
    careful = winner.value < SURE or winner.value - identity.value < 2 * MARGIN
    return Choice(chosen, "adopt with care" if careful else "adopt", reason)


def _foreground(segmenter: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Probability of not being background, shape (N, 1, H, W)."""
    return 1 - segmenter(images).softmax(dim=1)[:, :1]


def _dice(probs: torch.Tensor, mask: torch.Tensor) -> float:
    """Soft Dice coefficient; 1 where both are empty."""
    total = float(probs.sum() + mask.sum())
    return 2 * float((probs * mask).sum()) / total if total else 1.0
