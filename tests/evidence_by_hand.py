"""Evidence of candidates that nobody had to look at."""

from __future__ import annotations

import torch

from biostyle.evidence import Evidence, LabelFreeScore


def spots(n: int, shift: int = 0) -> tuple[torch.Tensor, ...]:
    """The masks of one frame of 100 pixels, of which n are foreground, from ``shift`` on."""
    mask = torch.zeros(100, dtype=torch.bool)
    mask[shift : shift + n] = True
    return (mask.view(10, 10),)


def found(
    confidence: float,
    agreement: float | None = None,
    *,
    fraction: float = 0.1,
    masks: tuple[torch.Tensor, ...] | None = None,
    learned: bool = False,
    edges: float | None = None,
) -> Evidence:
    """Evidence of a candidate that sees the same ten pixels as all others, unless told otherwise.

    Contours of a learned one lie on edges as steep as it is sure, and on steeper ones than those of any other.
    """
    score = LabelFreeScore(confidence, confidence if agreement is None else agreement, fraction)
    edges = (1 + score.value if learned else 1.0) if edges is None else edges
    return Evidence(score, spots(10) if masks is None else masks, learned, edges)
