"""Every random choice comes from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the initialisation of networks inside the block and leave the caller's random state as it was.

    Parameters
    ----------
    seed : int
        The seed.

    Yields
    ------
    None
        Nothing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class RandomStream:
    """One reproducible stream of random numbers whose position can be saved.

    Parameters
    ----------
    seed : int
        The seed.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream.

        Returns
        -------
        dict
            Fit for :func:`biostyle.checkpoints.save_state`.
        """
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position.

        Parameters
        ----------
        state : dict
            What :meth:`state_dict` returned.
        """
        self.generator.set_state(state["generator"])
