"""Which candidate to use, decided without any label of B.

In: what :mod:`biostyle.evidence` knows of each. Out: the choice. Truth never comes here.
A frozen segmenter is taken at its word, as far as edges of the image bear it out. What was *trained* on B is sure of itself
whatever it learned, so a learned candidate must also see the objects that the frozen segmenter sees behind the best
deterministic chain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from biostyle.evidence import LARGEST_FRACTION, SMALLEST_FRACTION, Evidence, LabelFreeScore, likeness
from biostyle.metrics.agreement import dice
from biostyle.metrics.edge_support import NEAR_PX, SIGMA_PX

Verdict = Literal["adopt", "adopt with care", "don't adapt"]
Key = TypeVar("Key")
IDENTITY = "before"
# Below the first score nobody is believed, below the second only with care.
TRUSTED, SURE = 0.92, 0.95
# Where S_A is unsure at home, both are lower: a candidate may lack this much more than S_A lacks there. But noise and empty
# frames reach almost the last of these.
UNSURE, LEAST_TRUSTED = 1.6, 0.8
# Candidates whose scores are this close cannot be told apart on three frames; the one that changes least is taken. What
# cannot be told apart becomes less with the root of their number, as the error of a mean does.
MARGIN, N_OF_MARGIN = 0.005, 3
# Contours must be on edges at least this share as steep as those of any other that is about as sure: whose score lacks so
# little of the best.
AS_STEEP, AS_SURE = 0.9, 0.05
# Taught by doubtful labels, a learned candidate may be this much less sure of itself than the best that was not.
LEARNED_MARGIN = 0.01
# Four of five others of the best few chains must see what the chosen one sees this well, as Cohen's kappa.
CONCORD = 0.45
# Those whose contours lie on edges less than this share as steep as the chosen one's are not asked.
STEEP_ENOUGH_TO_ASK = 0.6
# So much concord where the area of what is found differs from that of objects of A by more than this factor: chains that
# suit S_A bring objects to the size it knows, unless they touch one another.
CONCORD_OF_STRANGE, SAME_SIZE = 0.55, 3.0
# A learned candidate must agree this well, as a Dice coefficient, with the best one that was not learned.
KEPT = 0.6
# The support of contours that lie anywhere: who has less sees no objects, and only what is above counts for a candidate.
NO_SUPPORT = 1.0
# Frames on which S_A is as sure of itself as on A, but for this much, and finds as much, leave nothing to gain.
AT_HOME = 0.01
# All of the above, part of every request that depends on it: on the scores alone, or on the whole rule.
SCORING: dict[str, Any] = {
    "fractions": [SMALLEST_FRACTION, LARGEST_FRACTION],
    "margin": MARGIN,
    "concord": ["kappa with four of five others, background left out", STEEP_ENOUGH_TO_ASK],
    "edges_px": [SIGMA_PX, NEAR_PX],
    "as_steep": [AS_STEEP, AS_SURE, "at the working scale, beside the unchanged frames"],
}
RULE: dict[str, Any] = {
    **SCORING,
    "trusted": TRUSTED,
    "sure": SURE,
    "unsure": UNSURE,
    "least_trusted": LEAST_TRUSTED,
    "learned": "excess support times fraction, or support of single objects, above the surest frozen one",
    "least_concord": CONCORD,
    "least_concord_of_strange": [CONCORD_OF_STRANGE, SAME_SIZE],
    "least_support": NO_SUPPORT,
    "kept": KEPT,
    "learned_margin": LEARNED_MARGIN,
    "at_home": AT_HOME,
}


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
        Measures of each, ``label_free`` among them; ``kept`` is a learned one's agreement with the best that was not learned,
        ``relative_area`` the area of what it finds, divided by that of S_A's objects in A.
    """

    chosen: str
    verdict: Verdict
    reason: str
    candidates: dict[str, dict[str, float]]


def best_candidate(evidence: Mapping[Key, Evidence], beside: Sequence[Evidence] = ()) -> Key:
    """Return the first candidate whose score cannot be told from the best.

    Parameters
    ----------
    evidence : mapping of key to Evidence
        Candidates on the same frames, from the one that changes least to the one that changes most. Those whose contours lie
        on edges more than a tenth less steep than another's that is about as sure are passed over.
    beside : sequence of Evidence
        Others, who cannot win, but whose edges count as well unless nobody would be left.

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
    among = _on_edges(evidence, beside)
    best = max(found.score.value for found in among.values())
    n_frames = max(len(found.masks) for found in among.values())
    margin = MARGIN * math.sqrt(N_OF_MARGIN / max(n_frames, N_OF_MARGIN))
    return next(name for name, found in among.items() if found.score.value >= best - margin)


def best_teacher(evidence: Mapping[Key, Evidence], chain: Key) -> Key:
    """Return whose masks of B are to be learned from.

    Parameters
    ----------
    evidence : mapping of key to Evidence
        S_A behind the best chain, and learned candidates behind the same, on the same frames.
    chain : key
        S_A behind the chain alone.

    Returns
    -------
    key
        Of the chain and those learned ones who keep its objects and are about as sure, the one that finds most on the steepest
        edges, as :func:`choose` does among candidates.

    Examples
    --------
    >>> import torch
    >>> mask = torch.ones(2, 2, dtype=torch.bool)
    >>> chain, learned = (Evidence(LabelFreeScore(0.96, 0.96, share), (mask,), share > 0.1, 2.0) for share in (0.1, 0.2))
    >>> best_teacher({"chain": chain, "learned": learned}, "chain")
    'learned'
    """
    return _most_on_edges(evidence, _kept(evidence, chain), chain, chain)


def choose(evidence: Mapping[str, Evidence], at_home: Evidence, found_concord: float = 1.0) -> Choice:
    """Choose a candidate without labels.

    Parameters
    ----------
    evidence : mapping of str to Evidence
        Candidates, from the simplest to the most elaborate; ``"before"``, which changes nothing, must be one.
    at_home : Evidence
        Of S_A on frames of A; its masks do not matter.
    found_concord : float
        What :func:`biostyle.evidence.concord` says of the best chain.

    Returns
    -------
    Choice
        Of those learned ones whose score is lower by ``LEARNED_MARGIN`` at most than that of the best frozen one that edges
        do not rule out, and who keep its objects, and of the frozen one with the best score of all, the one that finds most
        on the steepest edges; where that was not learned, :func:`best_candidate` of its like. The unchanged frames where
        nobody reaches ``TRUSTED``, which is lower where S_A is unsure at home, where chains are not in concord, which has to
        be more where objects are not as large as A's, where contours are not on edges, and where S_A is at home.

    Examples
    --------
    >>> import torch
    >>> mask = torch.ones(2, 2, dtype=torch.bool)
    >>> sure, unsure = (Evidence(LabelFreeScore(p, p, 0.1), (mask,)) for p in (0.96, 0.8))
    >>> at_home = Evidence(LabelFreeScore(0.98, 0.98, 0.1), ())
    >>> choose({"before": unsure, "matching": sure}, at_home).chosen
    'matching'
    >>> choose({"before": sure, "matching": unsure}, at_home).verdict
    "don't adapt"
    """
    scores = {name: found.score for name, found in evidence.items()}
    edges = {name: found.edge_support for name, found in evidence.items()}
    identity = scores[IDENTITY]
    frozen = {name: found for name, found in evidence.items() if not found.learned}
    strongest = max(_on_edges(frozen), key=lambda name: scores[name].value)
    kept = _kept(evidence, strongest)
    home = at_home.score
    # NaN where nothing was found.
    sizes = {name: found.object_area / at_home.object_area for name, found in evidence.items()}
    measures = {
        name: {**score.measures, "edge_support": edges[name], "label_free": score.value}
        | ({"relative_area": sizes[name]} if not math.isnan(sizes[name]) else {})
        | ({"kept": kept[name]} if name in kept else {})
        for name, score in scores.items()
    }

    def stay(reason: str) -> Choice:
        return Choice(IDENTITY, "don't adapt", reason, measures)

    best = scores[strongest]
    trusted, sure = _limits(home)
    if best.value < trusted:
        return stay(
            f"The best label-free score of the frozen segmenter, {best.value:.3f} by {strongest}, is below {trusted:.3f}: it "
            "may not know this kind of image at all."
        )
    if found_concord < CONCORD:
        return stay(
            f"Other good chains do not see what the best one sees (Cohen's kappa {found_concord:.2f}, below {CONCORD}): what "
            "the segmenter finds depends on how the frames are shown to it."
        )
    strange = best.singleness is None and max(sizes[strongest], 1 / sizes[strongest]) > SAME_SIZE
    if strange and found_concord < CONCORD_OF_STRANGE:
        return stay(
            f"What the segmenter finds by {strongest} is {sizes[strongest]:.2g} times as large as in its own domain, and "
            f"other good chains do not see it (Cohen's kappa {found_concord:.2f}, below {CONCORD_OF_STRANGE}): these may not "
            "be its objects."
        )
    if edges[strongest] < NO_SUPPORT:
        return stay(
            f"The contours that the segmenter draws by {strongest} lie on edges {edges[strongest]:.2f} times as steep as what "
            "is around them, less than contours that lie anywhere: these may not be objects."
        )
    if identity.value >= home.value - AT_HOME and _as_much(identity, home):
        return stay(
            f"The segmenter is as sure of the unchanged frames ({identity.value:.3f}) as of its own domain "
            f"({home.value:.3f}): there is nothing to gain."
        )
    # Also where edges rule it out, the surest frozen one is what learned ones must surpass: who finds more draws on fainter
    # edges, too.
    surest = max(frozen, key=lambda name: scores[name].value)
    chosen = _most_on_edges(evidence, kept, strongest, surest)
    if chosen == surest:
        chosen = best_candidate(frozen)
    if chosen == IDENTITY:
        return stay(
            "No candidate that keeps the objects, on edges about as steep, is better than the unchanged frames: by its "
            f"label-free score ({identity.value:.3f} as they are) or, of the learned ones, by what it finds on edges "
            f"({surest}: {scores[surest].foreground_fraction:.1%} of the pixels, {edges[surest]:.2f} times as steep as what "
            "is around)."
        )
    winner = scores[chosen]
    goes = "rises" if winner.value >= identity.value else "falls, as little as it may for a learned one,"
    reason = (
        f"The label-free score {goes} from {identity.value:.3f} to {winner.value:.3f} with {chosen} "
        f"(confidence {winner.confidence:.3f}, agreement under rotation {winner.agreement:.3f}"
        + (f", in one object {winner.singleness:.3f}" if winner.singleness is not None else "")
        + (
            f", agreement with {strongest} {kept[chosen]:.2f}; it finds {winner.foreground_fraction:.1%} of the pixels, on "
            f"edges {edges[chosen]:.2f} times as steep as what is around, {surest} "
            f"{scores[surest].foreground_fraction:.1%} on {edges[surest]:.2f})."
            if chosen in kept
            else ")."
        )
    )
    careful = best.value < sure or winner.value - identity.value < 2 * MARGIN
    return Choice(chosen, "adopt with care" if careful else "adopt", reason, measures)


def _kept(evidence: Mapping[Key, Evidence], strongest: Key) -> dict[Key, float]:
    """How well learned candidates agree with the best that was not learned."""
    return {
        key: likeness(found, evidence[strongest], dice) for key, found in evidence.items() if found.learned
    }


def _most_on_edges(
    evidence: Mapping[Key, Evidence], kept: Mapping[Key, float], strongest: Key, surest: Key
) -> Key:
    """Of the surest frozen one and who keeps the objects of the strongest, the one that finds most on the steepest edges."""
    least = evidence[strongest].score.value - LEARNED_MARGIN
    faithful = [key for key, share in kept.items() if share >= KEPT and evidence[key].score.value >= least]
    return max([surest, *faithful], key=lambda key: _found_on_edges(evidence[key]))


def _limits(at_home: LabelFreeScore) -> tuple[float, float]:
    """Scores below which nobody is believed, and below which only with care."""
    share = max(1.0, UNSURE * (1 - at_home.value) / (1 - TRUSTED))
    trusted = max(1 - share * (1 - TRUSTED), LEAST_TRUSTED)
    return trusted, max(1 - share * (1 - SURE), trusted + SURE - TRUSTED)


def _as_much(one: LabelFreeScore, other: LabelFreeScore) -> bool:
    """Whether two foreground fractions differ by less than a factor of two."""
    return 0.5 * other.foreground_fraction <= one.foreground_fraction <= 2 * other.foreground_fraction


def _on_edges(evidence: Mapping[Key, Evidence], beside: Sequence[Evidence] = ()) -> dict[Key, Evidence]:
    """Those whose contours lie on about as steep edges as those of anybody who is about as sure; never nobody."""
    everybody = [*evidence.values(), *beside]
    least = max(found.score.value for found in everybody) - AS_SURE
    steepest = max(found.edge_support for found in everybody if found.score.value >= least)
    kept = {
        name: found
        for name, found in evidence.items()
        # So written, NaN, where nobody looked, passes over nobody.
        if found.score.value >= least and not found.edge_support < AS_STEEP * steepest
    }
    return kept or _on_edges(evidence)


def _found_on_edges(found: Evidence) -> float:
    """Support above 1, times the foreground where there may be several objects: of these more are missed than invented."""
    excess = found.edge_support - NO_SUPPORT
    return excess * found.score.foreground_fraction if found.score.singleness is None else excess
