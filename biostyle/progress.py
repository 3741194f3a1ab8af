"""How long-running work tells whoever started it where it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What stages report to; the command line draws it, tests record it."""

    def stage(self, name: str, status: str) -> None:
        """Say that a stage begins, is skipped or is resumed."""
        ...

    def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
        """Say how far the stage under way is."""
        ...

    def note(self, text: str) -> None:
        """Say something worth a line."""
        ...


class SilentProgress:
    """Report nothing."""

    def stage(self, name: str, status: str) -> None:
        """Ignore a stage.

        Parameters
        ----------
        name : str
            Stage and directory.
        status : str
            What happens to it.
        """

    def update(self, step: int, n_steps: int, losses: dict[str, float]) -> None:
        """Ignore a step.

        Parameters
        ----------
        step : int
            Steps done.
        n_steps : int
            Steps in all.
        losses : dict of str to float
            Latest mean losses.
        """

    def note(self, text: str) -> None:
        """Ignore a remark.

        Parameters
        ----------
        text : str
            The remark.
        """
