"""One training run's bookkeeping: history, samples, checkpoints, and stopping without loss.

A loop reads::

    session = TrainingSession(out, settings, parts={"unet": unet, "optimiser": optimiser})
    for step in session.steps():
        ...
        session.record({"loss": loss})
"""

from __future__ import annotations

import csv
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field

from biostyle.checkpoints import load_state, save_state
from biostyle.errors import InterruptedRunError, TrainingError
from biostyle.training.samples import write_samples

OnProgress = Callable[[int, int, dict[str, float]], None]


class Stateful(Protocol):
    """Anything whose state can be saved and restored: a network, an optimiser, a pool, a random stream."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Restore the state."""
        ...


class SessionSettings(BaseModel):
    """How long to train and how often to write something down.

    Attributes
    ----------
    n_steps : int
        Number of optimiser steps.
    log_every : int
        Steps between two rows of ``history.csv``; a row holds means over those steps.
    sample_every : int
        Steps between two sample images; 0 for none.
    checkpoint_every : int
        Steps between two checkpoints: what a kill can cost at most.
    """

    model_config = ConfigDict(extra="forbid")

    n_steps: int = Field(ge=1)
    log_every: int = Field(20, ge=1)
    sample_every: int = Field(200, ge=0)
    checkpoint_every: int = Field(100, ge=1)

    def request(self) -> dict[str, Any]:
        """Return what the trained weights depend on, for a stage's request.

        Returns
        -------
        dict
            Every setting but the intervals at which something is written down, as JSON holds it.

        Examples
        --------
        >>> SessionSettings(n_steps=5, log_every=1).request()
        {'n_steps': 5}
        """
        return self.model_dump(mode="json", exclude={"log_every", "sample_every", "checkpoint_every"})


class TrainingSession:
    """Count steps, write history, samples and checkpoints, and stop at a step boundary when asked to.

    Parameters
    ----------
    out : Path
        Directory of the run; ``history.csv``, ``samples/`` and ``resume/`` are written into it.
    settings : SessionSettings
        Lengths and intervals.
    parts : dict of str to Stateful
        Everything that must be restored for a resumed run to equal an uninterrupted one.
    sample : callable or None
        Returns rows of images in [0, 1] to be drawn as one sample image.
    on_progress : callable or None
        Called with step, number of steps and the latest mean losses.

    Raises
    ------
    CheckpointError
        If ``resume/`` holds a state that cannot be read.
    """

    def __init__(
        self,
        out: Path,
        settings: SessionSettings,
        parts: dict[str, Stateful],
        sample: Callable[[], list[list[torch.Tensor]]] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.out, self.settings, self.parts = out, settings, parts
        self.sample, self.on_progress = sample, on_progress
        self.step = 0
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, torch.Tensor] = {}
        self._n_summed = 0
        self._checkpoint = out / "resume" / "state.safetensors"
        if self._checkpoint.is_file():
            self._restore()

    def steps(self) -> Iterator[int]:
        """Yield the number of each step still to be taken, from 0.

        Yields
        ------
        int
            The step about to be taken.

        Raises
        ------
        InterruptedRunError
            After SIGINT or SIGTERM, once the step under way is finished and saved.
        TrainingError
            If a loss is not finite.
        """
        settings = self.settings
        with _stop_signals() as stop:
            while self.step < settings.n_steps:
                yield self.step
                self.step += 1
                last = self.step == settings.n_steps
                if self.step % settings.log_every == 0 or last:
                    self._log()
                if self.sample and settings.sample_every and (self.step % settings.sample_every == 0 or last):
                    write_samples(self.out / "samples" / f"step_{self.step:06d}.png", self.sample())
                if stop.is_set() and not last:
                    self._save()
                    raise InterruptedRunError(
                        f"training was stopped at step {self.step} of {settings.n_steps} ({self.out}). "
                        "Run the same command with --resume to go on."
                    )
                if self.step % settings.checkpoint_every == 0 and not last:
                    self._save()

    def record(self, losses: dict[str, torch.Tensor]) -> None:
        """Take note of one step's losses without waiting for the device.

        Parameters
        ----------
        losses : dict of str to Tensor
            Scalars.
        """
        for name, loss in losses.items():
            loss = loss.detach().float()
            self._sums[name] = self._sums[name] + loss if name in self._sums else loss
        self._n_summed += 1

    def _log(self) -> None:
        """Write the mean losses since the last row."""
        row = self._mean_losses()
        self._sums, self._n_summed = {}, 0
        self.rows.append({"step": self.step, **row})
        with (self.out / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        if self.on_progress:
            self.on_progress(self.step, self.settings.n_steps, row)

    def _mean_losses(self) -> dict[str, float]:
        """Mean losses since the last row; refuse to go on when one is not finite."""
        means = {name: float(total) / self._n_summed for name, total in self._sums.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} must be finite, got {value} at step {self.step} ({self.out}). "
                    "Lower the learning rate or set precision to float32."
                )
        return means

    def _save(self) -> None:
        """Write the state of every part, and of the bookkeeping itself; never one that went astray."""
        self._mean_losses()
        state = {name: part.state_dict() for name, part in self.parts.items()}
        session = {"step": self.step, "rows": self.rows, "sums": self._sums, "n_summed": self._n_summed}
        save_state(self._checkpoint, {"session": session, "parts": state})

    def _restore(self) -> None:
        """Go back to the saved step."""
        state = load_state(self._checkpoint)
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        session = state["session"]
        self.step, self.rows = session["step"], session["rows"]
        self._sums, self._n_summed = session["sums"], session["n_summed"]


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a flag; the second one acts as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(signal_number: int, frame: FrameType | None) -> None:
        stop.set()
        for number, handler in previous.items():
            signal.signal(number, handler)

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
