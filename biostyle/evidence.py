"""What can be said of a candidate's masks without any label of B.

In: segmenters and unlabelled images. Out: label-free scores and what they were made of. Truth never comes here.
A segmenter that meets images it understands is sure of itself and gives the same answer when the image is turned. Both
can be measured without annotations. A full mask is perfect in both and an empty one in the second, so these are ruled
out first. Whether contours lie on edges can be asked of the image alone.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from biostyle.adaptation import foreground, foreground_when_turned
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.devices import autocast
from biostyle.metrics.agreement import dice, kappa
from biostyle.metrics.edge_support import edge_support
from biostyle.models.single_object import SingleObject
from biostyle.types import NDArray

# A mask below or above these foreground fractions says nothing about a frame that holds some cells.
SMALLEST_FRACTION, LARGEST_FRACTION = 0.005, 0.75
N_IN_CONCORD = 5  # chains that are asked whether they see what the best one sees


@dataclass(frozen=True)
class LabelFreeScore:
    """What can be said of a candidate's masks without truth.

    Attributes
    ----------
    confidence : float
        Soft Dice coefficient of the foreground probabilities with their own mask, in [0, 1]; 0 where it is degenerate.
    agreement : float
        Dice coefficient of the mask with that of the frame turned by 90°, turned back, in [0, 1]; 0 where it is degenerate.
    foreground_fraction : float
        Share of the pixels called foreground.
    singleness : float or None
        Share of the foreground that is in its main object, in [0, 1]; 0 where the mask is degenerate. None where images
        may show several objects.
    """

    confidence: float
    agreement: float
    foreground_fraction: float
    singleness: float | None = None

    @property
    def value(self) -> float:
        """Mean of confidence, agreement and, where it is known, singleness."""
        return statistics.fmean(
            part for part in (self.confidence, self.agreement, self.singleness) if part is not None
        )

    @property
    def measures(self) -> dict[str, float]:
        """What is known, by name."""
        return {name: part for name, part in vars(self).items() if part is not None}


@dataclass(frozen=True)
class Evidence:
    """What a race knows of one candidate.

    Attributes
    ----------
    score : LabelFreeScore
        Means over the frames.
    masks : tuple of Tensor of shape (H, W)
        Its foreground in each frame, bool, on the frame's own grid.
    learned : bool
        Whether some part of it was trained on B.
    edge_support : float
        How much steeper the frames are along the contours of its masks than around them, as a mean over frames with
        contours; 0 where there are none, NaN where nobody looked.
    object_area : float
        Area of the object that the median pixel of the foreground belongs to, in pixels as the segmenter sees them; NaN
        where nothing was found.
    """

    score: LabelFreeScore
    masks: tuple[torch.Tensor, ...]
    learned: bool = False
    edge_support: float = math.nan
    object_area: float = math.nan


@torch.inference_mode()
def judge(
    segmenter: nn.Module,
    images: Iterable[NDArray],
    preprocessing: Preprocessing,
    device: torch.device,
    *,
    learned: bool = False,
    single_object: SingleObject | None = None,
) -> Evidence:
    """Look at a segmenter's masks of some frames, without truth.

    Parameters
    ----------
    segmenter : Module
        A Segmenter on ``device`` and in evaluation mode.
    images : iterable of ndarray of shape (H, W) or (H, W, 3)
        Raw frames of any dtype.
    preprocessing : Preprocessing
        How the segmenter wants its input.
    device : device
        Where to compute.
    learned : bool
        Whether some part of the segmenter was trained on B.
    single_object : SingleObject or None
        Finds the main object, where each image shows one.

    Returns
    -------
    Evidence
        Score, masks and size of the objects; :func:`with_edges` adds the support by edges.

    Notes
    -----
    With foreground probabilities p and mask m = [p > 1/2], the confidence is 2 Σ p m / (Σ p + Σ m), and the agreement
    2 Σ m m' / (Σ m + Σ m') with m' the mask under a turn by 90°. A frame whose mask is all but empty or all but full
    (foreground outside [0.005, 0.75]) counts 0 in both.
    """
    confidences, agreements, fractions, shares, masks, areas = [], [], [], [], [], []
    for image in images:
        batch = preprocessing.image_batch(image).to(device)
        with autocast(device):
            probs = foreground(segmenter, batch)
            turned = foreground_when_turned(segmenter, batch)
        mask = probs > 0.5
        fractions.append(float(mask.float().mean()))
        telling = SMALLEST_FRACTION <= fractions[-1] <= LARGEST_FRACTION
        found = mask.cpu().numpy()
        confidences.append(dice(probs.cpu().numpy(), found) if telling else 0.0)
        agreements.append(dice((turned > 0.5).cpu().numpy(), found) if telling else 0.0)
        if single_object is not None:
            kept = single_object.keep(mask[:, 0]).sum()
            shares.append(float(kept / mask.sum()) if telling else 0.0)
        masks.append((resize(probs, image.shape[:2])[0, 0] > 0.5).cpu())
        areas.append(np.bincount(ndimage.label(found[0, 0])[0].ravel())[1:])
    n = len(fractions)
    singleness = sum(shares) / n if shares else None
    score = LabelFreeScore(sum(confidences) / n, sum(agreements) / n, sum(fractions) / n, singleness)
    return Evidence(score, tuple(masks), learned, object_area=_area_of_median_pixel(np.concatenate(areas)))


def with_edges(evidence: Evidence, shown: Sequence[torch.Tensor]) -> Evidence:
    """Add how much the frames' edges support the contours of a candidate's masks.

    Parameters
    ----------
    evidence : Evidence
        What is known of the candidate.
    shown : sequence of Tensor of shape (C, H, W)
        The same frames in [0, 1], at a resolution that is the same for all candidates that are to be compared.

    Returns
    -------
    Evidence
        A copy with the mean of :func:`biostyle.metrics.edge_support.edge_support` over frames with contours.
    """
    supports = []
    for frame, mask in zip(shown, evidence.masks, strict=True):
        drawn = resize(mask[None, None].float(), (frame.shape[1], frame.shape[2]))[0, 0] > 0.5
        if drawn.any() and not drawn.all():
            supports.append(edge_support(frame.numpy(), drawn.numpy()))
    return replace(evidence, edge_support=sum(supports) / max(len(supports), 1))


def concord(best: Evidence, others: Sequence[Evidence]) -> float:
    """Say how much other chains see what the best one sees: what is imagined in noise depends on the look.

    Parameters
    ----------
    best : Evidence
        A deterministic chain.
    others : sequence of Evidence
        Others on the same frames, by score; those after the fifth are not looked at.

    Returns
    -------
    float
        Cohen's kappa of the best one with each, as a mean over frames and the lower quartile of the others, in [-1, 1]: of
        five, four agree at least so well. 1 where there are no others.
    """
    found = [likeness(best, other, kappa) for other in others[:N_IN_CONCORD]]
    return float(np.quantile(found, 0.25)) if found else 1.0


def likeness(one: Evidence, other: Evidence, measure: Callable[[NDArray, NDArray], float]) -> float:
    """Compare the masks of two candidates.

    Parameters
    ----------
    one, other : Evidence
        Of the same frames.
    measure : callable
        How much two masks agree.

    Returns
    -------
    float
        Mean over frames.
    """
    pairs = zip(one.masks, other.masks, strict=True)
    return statistics.fmean(measure(mask.numpy(), twin.numpy()) for mask, twin in pairs)


def _area_of_median_pixel(areas: NDArray) -> float:
    """The median of the objects' areas, each counted as often as it has pixels: specks hardly count."""
    areas = np.sort(areas)
    return float(areas[np.searchsorted(areas.cumsum(), areas.sum() / 2)]) if len(areas) else math.nan
