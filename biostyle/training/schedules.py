"""Learning rates as functions of the step."""

from __future__ import annotations

import torch


def constant_then_linear(step: int, n_steps: int, decay_fraction: float) -> float:
    """Factor that stays at one and then falls linearly towards zero.

    Parameters
    ----------
    step : int
        Step about to be taken, from 0.
    n_steps : int
        Number of steps in all.
    decay_fraction : float
        Share of the steps, in [0, 1], over which the factor falls: 0.5 in CycleGAN.

    Returns
    -------
    float
        In (0, 1].

    Examples
    --------
    >>> [constant_then_linear(step, 4, 0.5) for step in range(4)]
    [1.0, 1.0, 1.0, 0.5]
    """
    n_decay = round(n_steps * decay_fraction)
    return min(1.0, (n_steps - step) / n_decay) if n_decay else 1.0


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of every parameter group.

    Parameters
    ----------
    optimiser : Optimizer
        Changed in place.
    learning_rate : float
        The new value.
    """
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
