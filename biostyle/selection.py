"""Which candidate to use, judged without any label of B.

In: segmenters and unlabelled images. Out: label-free scores, and the choice. Truth never comes here.
A segmenter that meets images it understands is sure of itself and gives the same answer when the image is turned. Both
can be measured without annotations. A full mask is perfect in both and an empty one in the second, so these are ruled
out first. What was *trained* on B is sure of itself whatever it learned, so a learned candidate must also see the objects
that the frozen segmenter sees behind the best deterministic chain, and draw them where the image has edges.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from biostyle.adaptation import foreground, foreground_when_turned
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.devices import autocast
from biostyle.metrics.agreement import dice, kappa
from biostyle.metrics.edge_support import NEAR_PX, SIGMA_PX, edge_support
from biostyle.models.single_object import SingleObject
from biostyle.types import NDArray

Verdict = Literal["adopt", "adopt with care", "don't adapt"]
Key = TypeVar("Key")
IDENTITY = "before"
# A mask below or above these foreground fractions says nothing about a frame that holds some cells.
SMALLEST_FRACTION, LARGEST_FRACTION = 0.005, 0.75
# Below the first score nobody is believed, below the second only with care.
TRUSTED, SURE = 0.935, 0.95
# Where S_A is unsure at home, both are lower: a candidate may lack this much more than S_A lacks there. But noise and empty
# frames reach almost the last of these.
UNSURE, LEAST_TRUSTED = 1.6, 0.8
# Candidates whose scores are this close cannot be told apart on three frames; the one that changes least is taken. What
# cannot be told apart becomes less with the root of their number, as the error of a mean does.
MARGIN, N_OF_MARGIN = 0.005, 3
# Taught by doubtful labels, a learned candidate may be this much less sure of itself than the best that was not.
LEARNED_MARGIN = 0.01
# The five best chains must agree this well with one another, as a median Cohen's kappa.
CONCORD, N_IN_CONCORD = 0.5, 5
# A learned candidate must agree this well, as a Dice coefficient, with the best one that was not learned.
KEPT = 0.6
# Contours on flatter ground than what is around them are on no edges; only what is above counts for a candidate.
LEAST_SUPPORT = 1.0
# Frames on which S_A is as sure of itself as on A, but for this much, and finds as much, leave nothing to gain.
AT_HOME = 0.01
# All of the above, part of every request that depends on it: on the scores alone, or on the whole rule.
SCORING: dict[str, Any] = {
    "fractions": [SMALLEST_FRACTION, LARGEST_FRACTION],
    "margin": MARGIN,
    "concord": "median kappa, background left out",
    "least_support": LEAST_SUPPORT,
    "edges_px": [SIGMA_PX, NEAR_PX],
}
RULE: dict[str, Any] = {
    **SCORING,
    "trusted": TRUSTED,
    "sure": SURE,
    "unsure": UNSURE,
    "least_trusted": LEAST_TRUSTED,
    "learned": "excess support times fraction, or support of single objects, above the best frozen one",
    "least_concord": CONCORD,
    "kept": KEPT,
    "learned_margin": LEARNED_MARGIN,
    "at_home": AT_HOME,
}


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
    """

    score: LabelFreeScore
    masks: tuple[torch.Tensor, ...]
    learned: bool = False
    edge_support: float = math.nan


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
    candidates : dict of str to dict
        Measures of each, ``label_free`` among them; ``kept`` is a learned one's agreement with the best that was not learned.
    """

    chosen: str
    verdict: Verdict
    reason: str
    candidates: dict[str, dict[str, float]]


@torch.inference_mode()
def judge(
    segmenter: nn.Module,
    images: Iterable[NDArray],
    preprocessing: Preprocessing,
    device: torch.device,
    *,
    learned: bool = False,
    single_object: SingleObject | None = None,
    edges_at: Preprocessing | None = None,
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
    edges_at : Preprocessing or None
        How frames are shown to look for edges along the contours, the same for all that are to be compared; None does not
        look.

    Returns
    -------
    Evidence
        Score, masks and, where it is wanted, the support by edges.

    Notes
    -----
    With foreground probabilities p and mask m = [p > 1/2], the confidence is 2 Σ p m / (Σ p + Σ m), and the agreement
    2 Σ m m' / (Σ m + Σ m') with m' the mask under a turn by 90°. A frame whose mask is all but empty or all but full
    (foreground outside [0.005, 0.75]) counts 0 in both.
    """
    confidences, agreements, fractions, shares, masks, supports = [], [], [], [], [], []
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
        if edges_at is not None:
            shown = edges_at.image_batch(image)[0]
            drawn = resize(masks[-1][None, None].float(), (shown.shape[1], shown.shape[2]))[0, 0] > 0.5
            if drawn.any() and not drawn.all():
                supports.append(edge_support(shown.numpy(), drawn.numpy()))
    n = len(fractions)
    singleness = sum(shares) / n if shares else None
    score = LabelFreeScore(sum(confidences) / n, sum(agreements) / n, sum(fractions) / n, singleness)
    support = sum(supports) / max(len(supports), 1) if edges_at is not None else math.nan
    return Evidence(score, tuple(masks), learned, support)


def best_candidate(evidence: Mapping[Key, Evidence]) -> Key:
    """Return the first candidate whose score cannot be told from the best.

    Parameters
    ----------
    evidence : mapping of key to Evidence
        Candidates on the same frames, from the one that changes least to the one that changes most. Those whose contours lie
        on no edges are passed over, unless there are no others.

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
    >>> simple, elaborate = (Evidence(LabelFreeScore(score, 0.9, 0.1), ()) for score in (0.9, 0.902))
    >>> best_candidate({"simple": simple, "elaborate": elaborate})
    'simple'
    """
    among = _on_edges(evidence)
    best = max(found.score.value for found in among.values())
    n_frames = max(len(found.masks) for found in among.values())
    margin = MARGIN * math.sqrt(N_OF_MARGIN / max(n_frames, N_OF_MARGIN))
    return next(name for name, found in among.items() if found.score.value >= best - margin)


def concord(ranking: Sequence[Evidence]) -> float:
    """Say how much the best few of many different chains see the same: what is imagined in noise depends on the look.

    Parameters
    ----------
    ranking : sequence of Evidence
        Deterministic chains on the same frames, best first; those after the fifth are not looked at.

    Returns
    -------
    float
        Cohen's kappa, as a mean over frames and the median over all pairs, in [-1, 1]; 1 for a single chain.
    """
    found = [
        statistics.fmean(
            kappa(mask.numpy(), twin.numpy()) for mask, twin in zip(one.masks, other.masks, strict=True)
        )
        for one, other in itertools.combinations(ranking[:N_IN_CONCORD], 2)
    ]
    return statistics.median(found) if found else 1.0


def choose(evidence: Mapping[str, Evidence], at_home: LabelFreeScore, found_concord: float = 1.0) -> Choice:
    """Choose a candidate without labels.

    Parameters
    ----------
    evidence : mapping of str to Evidence
        Candidates, from the simplest to the most elaborate; ``"before"``, which changes nothing, must be one.
    at_home : LabelFreeScore
        Of S_A on frames of A.
    found_concord : float
        What :func:`concord` says of the best chains.

    Returns
    -------
    Choice
        Of the best that was not learned and of those learned ones whose score is lower by ``LEARNED_MARGIN`` at most and who
        keep its objects, the one that finds most on the steepest edges; where that was not learned, :func:`best_candidate`
        of its like. The unchanged frames where nobody reaches ``TRUSTED``, which is lower where S_A
        is unsure at home, or the chains are not in concord, and where S_A is at home.

    Examples
    --------
    >>> mask = torch.ones(2, 2, dtype=torch.bool)
    >>> sure, unsure = (Evidence(LabelFreeScore(p, p, 0.1), (mask,)) for p in (0.96, 0.8))
    >>> choose({"before": unsure, "matching": sure}, LabelFreeScore(0.98, 0.98, 0.1)).chosen
    'matching'
    >>> choose({"before": sure, "matching": unsure}, LabelFreeScore(0.98, 0.98, 0.1)).verdict
    "don't adapt"
    """
    scores = {name: found.score for name, found in evidence.items()}
    edges = {name: found.edge_support for name, found in evidence.items()}
    identity = scores[IDENTITY]
    frozen = {name: found for name, found in evidence.items() if not found.learned}
    strongest = max(_on_edges(frozen), key=lambda name: scores[name].value)
    kept = {name: _same(found, evidence[strongest]) for name, found in evidence.items() if found.learned}
    measures = {
        name: {**score.measures, "edge_support": edges[name], "label_free": score.value}
        | ({"kept": kept[name]} if name in kept else {})
        for name, score in scores.items()
    }

    def stay(reason: str) -> Choice:
        return Choice(IDENTITY, "don't adapt", reason, measures)

    best = scores[strongest]
    trusted, sure = _limits(at_home)
    if best.value < trusted:
        return stay(
            f"The best label-free score of the frozen segmenter, {best.value:.3f} by {strongest}, is below {trusted:.3f}: it "
            "may not know this kind of image at all."
        )
    if found_concord < CONCORD:
        return stay(
            f"The best chains see different things (Cohen's kappa {found_concord:.2f}, below {CONCORD}): what the "
            "segmenter finds depends on how the frames are shown to it."
        )
    if identity.value >= at_home.value - AT_HOME and _as_much(identity, at_home):
        return stay(
            f"The segmenter is as sure of the unchanged frames ({identity.value:.3f}) as of its own domain "
            f"({at_home.value:.3f}): there is nothing to gain."
        )
    faithful = [
        name
        for name, share in kept.items()
        if share >= KEPT and scores[name].value >= best.value - LEARNED_MARGIN
    ]
    chosen = max([strongest, *faithful], key=lambda name: _found_on_edges(evidence[name]))
    if chosen == strongest:
        chosen = best_candidate(frozen)
    if chosen == IDENTITY:
        return stay(
            "No candidate that keeps the objects is better than the unchanged frames: by its label-free score "
            f"({identity.value:.3f} as they are) or, of the learned ones, by the edges under its contours "
            f"({edges[IDENTITY]:.2f} times as steep as what is around them)."
        )
    winner = scores[chosen]
    goes = "rises" if winner.value >= identity.value else "falls, as little as it may for a learned one,"
    reason = (
        f"The label-free score {goes} from {identity.value:.3f} to {winner.value:.3f} with {chosen} "
        f"(confidence {winner.confidence:.3f}, agreement under rotation {winner.agreement:.3f}"
        + (f", in one object {winner.singleness:.3f}" if winner.singleness is not None else "")
        + (
            f", agreement with {strongest} {kept[chosen]:.2f}; it finds {winner.foreground_fraction:.1%} of the pixels, on "
            f"edges {edges[chosen]:.2f} times as steep as what is around, {strongest} {best.foreground_fraction:.1%} on "
            f"{edges[strongest]:.2f})."
            if chosen in kept
            else ")."
        )
    )
    careful = best.value < sure or winner.value - identity.value < 2 * MARGIN
    return Choice(chosen, "adopt with care" if careful else "adopt", reason, measures)


def _limits(at_home: LabelFreeScore) -> tuple[float, float]:
    """Scores below which nobody is believed, and below which only with care."""
    share = max(1.0, UNSURE * (1 - at_home.value) / (1 - TRUSTED))
    trusted = max(1 - share * (1 - TRUSTED), LEAST_TRUSTED)
    return trusted, max(1 - share * (1 - SURE), trusted + SURE - TRUSTED)


def _as_much(one: LabelFreeScore, other: LabelFreeScore) -> bool:
    """Whether two foreground fractions differ by less than a factor of two."""
    return 0.5 * other.foreground_fraction <= one.foreground_fraction <= 2 * other.foreground_fraction


def _on_edges(evidence: Mapping[Key, Evidence]) -> Mapping[Key, Evidence]:
    """Those whose contours lie on edges, or all if nobody's do."""
    return {
        name: found for name, found in evidence.items() if found.edge_support >= LEAST_SUPPORT
    } or evidence


def _found_on_edges(found: Evidence) -> float:
    """Support above 1, times the foreground where there may be several objects: of these more are missed than invented."""
    excess = found.edge_support - LEAST_SUPPORT
    return excess * found.score.foreground_fraction if found.score.singleness is None else excess


def _same(one: Evidence, other: Evidence) -> float:
    """Mean Dice coefficient over frames."""
    pairs = zip(one.masks, other.masks, strict=True)
    return statistics.fmean(dice(mask.numpy(), twin.numpy()) for mask, twin in pairs)
