"""Stage: prepared fundus photographs and a stylizer → translated photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from biostyle.adapted_model import GENERATOR
from biostyle.artifacts import BuildOptions, build
from biostyle.checkpoints import load_model
from biostyle.data.enhancement import EnhancementSettings, enhance
from biostyle.data.fundus_facts import read_fundus_facts
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.inference import stylize_frame
from biostyle.io.photographs import write_photograph
from biostyle.types import NDArray

# candidate directories with a generator `gen_ba`, and enhancements without one, in the order in which they are applied
Steps: TypeAlias = tuple[Path | EnhancementSettings, ...]
_Step: TypeAlias = Callable[[NDArray, NDArray], NDArray]  # square and field of view to an image in [0, 1]


def unseen(domain: PreparedDomain) -> list[PreparedFrame]:
    """Return the photographs that no stylizer was trained on.

    Parameters
    ----------
    domain : PreparedDomain
        A domain.

    Returns
    -------
    list of PreparedFrame
        The validation part, which the choice is made on, and the test part.
    """
    return domain.frames("validation") + domain.frames("test")


def translated_path(directory: Path, frame_id: str) -> Path:
    """Say where a translated photograph is.

    Parameters
    ----------
    directory : Path
        What :func:`stylize_photographs` made.
    frame_id : str
        The photograph.

    Returns
    -------
    Path
        An RGB TIFF.
    """
    return directory / "images" / f"{frame_id}.tif"


def stylize_photographs(
    prepared: Path,
    steps: Steps,
    out: Path,
    *,
    device: str,
    options: BuildOptions,
) -> Path:
    """Translate the photographs of a domain that no stylizer was trained on.

    Parameters
    ----------
    prepared : Path
        Prepared fundus photographs.
    steps : tuple of Path or EnhancementSettings
        Candidate directories with a generator ``gen_ba``, and how to enhance without one, in order; none changes nothing.
    out : Path
        Directory to make, with ``images/FRAME.tif``.
    device : str
        Where to compute; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.
    """
    generators = {f"step_{place}": step for place, step in enumerate(steps) if isinstance(step, Path)}
    request = [None if isinstance(step, Path) else step.model_dump(mode="json") for step in steps]

    def work(partial: Path) -> None:
        domain, facts = load_prepared(prepared), read_fundus_facts(prepared)
        translate = Stylizer(steps, resolve_device(device))
        frames = unseen(domain)
        for number, frame in enumerate(frames, start=1):
            square = domain.read_image(frame)
            translated = translate(square, facts[frame.frame_id].inside(len(square)))
            write_photograph(translated_path(partial, frame.frame_id), translated)
            options.progress.update(number, len(frames), {})

    build(out, "stylize-photographs", {"steps": request}, {"prepared": prepared, **generators}, work, options)
    return out


class Stylizer:
    """A candidate, called with squares.

    Parameters
    ----------
    steps : tuple of Path or EnhancementSettings
        Candidate directories with a generator ``gen_ba``, and how to enhance without one, in order; none changes nothing.
    device : device
        Where to compute.

    Raises
    ------
    CheckpointError
        If a directory holds no generator.
    """

    def __init__(self, steps: Steps, device: torch.device) -> None:
        self.steps = [
            _enhancement(step) if isinstance(step, EnhancementSettings) else _generator(step, device)
            for step in steps
        ]

    def __call__(self, square: NDArray, inside: NDArray) -> NDArray:
        """Translate one square.

        Parameters
        ----------
        square : ndarray of uint8, shape (S, S, 3)
            A prepared photograph.
        inside : ndarray of bool, shape (S, S)
            Its field of view; nothing else changes.

        Returns
        -------
        ndarray of uint8, shape (S, S, 3)
            The translated photograph.
        """
        for step in self.steps:
            unit = step(square, inside)
            square = np.where(inside[..., None], np.rint(unit * 255).astype(np.uint8), square)
        return square


def _enhancement(settings: EnhancementSettings) -> _Step:
    """A step that learned nothing."""
    return lambda square, inside: enhance(square.astype(np.float32) / 255, inside, settings)


def _generator(candidate: Path, device: torch.device) -> _Step:
    """A step that a generator takes."""
    model, card = load_model(candidate / GENERATOR)
    model.to(device)
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    return lambda square, inside: stylize_frame(model, square, preprocessing, device)
