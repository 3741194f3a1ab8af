"""Strips of rows, and the rows of a layer computed from strips of the layers before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional as F


class Strip(NamedTuple):
    """Some rows of a layer.

    Attributes
    ----------
    values : Tensor of shape (1, C, rows, W)
        Over the frame's full width.
    start : int
        The first of these rows.
    height : int
        Number of rows of the whole layer.
    """

    values: torch.Tensor
    start: int
    height: int

    def padded(self, padding: int, mode: str) -> torch.Tensor:
        """Pad on the left and right, and above and below only where the frame ends.

        Parameters
        ----------
        padding : int
            How far, in pixels.
        mode : {"constant", "reflect", "replicate"}
            With zeros, mirrored, or repeated.

        Returns
        -------
        Tensor of shape (1, C, rows', W + 2 padding)
            The padded rows.
        """
        above = padding if self.start == 0 else 0
        below = padding if self.reaches_bottom else 0
        return F.pad(self.values, (padding, padding, above, below), mode=mode)

    @property
    def reaches_bottom(self) -> bool:
        """Whether the last row is the frame's last."""
        return self.start + self.values.shape[2] == self.height


@dataclass(frozen=True)
class Step:
    """What a layer does to a strip, and which rows it needs for that.

    Attributes
    ----------
    apply : callable
        Turns a strip into all rows of the output that can be known from it.
    needed : callable
        Returns the first and the last row, exclusive and perhaps beyond the border, of the input that rows ``start``
        to ``stop`` of the output depend on.
    height : callable
        Returns the number of rows that a whole frame of so many rows becomes.
    """

    apply: Callable[[Strip], Strip]
    needed: Callable[[int, int], tuple[int, int]]
    height: Callable[[int], int]


@dataclass(frozen=True)
class Rows:
    """The rows of a layer, computed when they are asked for.

    Attributes
    ----------
    read : callable
        Returns rows ``start`` to ``stop`` of the first input, shape (1, C, rows, W).
    heights : tuple of int
        Number of rows of the first input and after each step.
    steps : tuple of Step
        What is done to it.
    """

    read: Callable[[int, int], torch.Tensor]
    heights: tuple[int, ...]
    steps: tuple[Step, ...] = ()

    @property
    def height(self) -> int:
        """Number of rows that come out."""
        return self.heights[-1]

    def then(self, step: Step) -> Rows:
        """Append a step.

        Parameters
        ----------
        step : Step
            What else is done.

        Returns
        -------
        Rows
            The rows after it.
        """
        return Rows(self.read, (*self.heights, step.height(self.height)), (*self.steps, step))

    def __call__(self, start: int, stop: int) -> torch.Tensor:
        """Compute some rows.

        Parameters
        ----------
        start, stop : int
            The rows.

        Returns
        -------
        Tensor of shape (1, C, stop - start, W)
            Their values; not to be changed.
        """
        spans = [(start, stop)]
        for step, height in zip(reversed(self.steps), reversed(self.heights[:-1]), strict=True):
            first, last = step.needed(*spans[0])
            spans.insert(0, (max(first, 0), min(last, height)))
        strip = Strip(self.read(*spans[0]), spans[0][0], self.heights[0])
        for step, (first, last) in zip(self.steps, spans[1:], strict=True):
            out = step.apply(strip)
            strip = Strip(out.values[:, :, first - out.start : last - out.start], first, out.height)
        return strip.values
