"""How much two masks of one frame say the same, whichever of them is right."""

from __future__ import annotations

from biostyle.types import NDArray


def dice(probs: NDArray, mask: NDArray) -> float:
    """Return the soft Dice coefficient.

    Parameters
    ----------
    probs : ndarray of float or bool
        Probabilities, or a mask, in [0, 1].
    mask : ndarray of bool
        Of the same shape.

    Returns
    -------
    float
        2 Σ p m / (Σ p + Σ m), in [0, 1]; 1 where both are empty.

    Examples
    --------
    >>> import numpy as np
    >>> dice(np.array([0.5, 0.5]), np.array([True, False]))
    0.5
    """
    total = float(probs.sum()) + float(mask.sum())
    return 2 * float(probs[mask].sum()) / total if total else 1.0


def kappa(mask: NDArray, other: NDArray) -> float:
    """Return Cohen's kappa.

    Parameters
    ----------
    mask, other : ndarray of bool
        Of the same shape.

    Returns
    -------
    float
        In [-1, 1]; 1 where both are empty or both are full.

    Notes
    -----
    Two masks that call the shares a and b of the pixels foreground agree by chance on c = ab + (1 - a)(1 - b) of them; if
    they agree on the share o, kappa is (o - c) / (1 - c). A Dice coefficient would praise two masks for being large.

    References
    ----------
    .. [1] J. Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20, 1960,
       https://doi.org/10.1177/001316446002000104

    Examples
    --------
    >>> import numpy as np
    >>> kappa(np.array([True, True, False, False]), np.array([True, False, False, False]))
    0.5
    """
    one, two = float(mask.mean()), float(other.mean())
    observed, by_chance = float((mask == other).mean()), one * two + (1 - one) * (1 - two)
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0
