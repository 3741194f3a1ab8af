"""Stage: prepared fundus photographs and a stylizer → translated photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from biostyle.adapted_model import GENERATOR
from biostyle.artifacts import BuildOptions, build
from biostyle.checkpoints import load_model
from biostyle.data.enhancement import EnhancementSettings, enhance
from biostyle.data.prepare_fundus import read_fundus_facts
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.inference import stylize_frame
from biostyle.io.photographs import write_photograph
from biostyle.types import NDArray


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
    stylizer: Path | EnhancementSettings | None,
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
    stylizer : Path, EnhancementSettings or None
        Candidate directory with a generator ``gen_ba``, or how to enhance without one; None changes nothing.
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
    inputs = {"prepared": prepared} | ({"stylizer": stylizer} if isinstance(stylizer, Path) else {})
    settings = stylizer.model_dump(mode="json") if isinstance(stylizer, EnhancementSettings) else None

    def work(partial: Path) -> None:
        domain, facts = load_prepared(prepared), read_fundus_facts(prepared)
        translate = Stylizer(stylizer, resolve_device(device))
        frames = unseen(domain)
        for number, frame in enumerate(frames, start=1):
            square = domain.read_image(frame)
            translated = translate(square, facts[frame.frame_id].inside(len(square)))
            write_photograph(translated_path(partial, frame.frame_id), translated)
            options.progress.update(number, len(frames), {})

    build(out, "stylize-photographs", {"enhancement": settings}, inputs, work, options)
    return out


class Stylizer:
    """A candidate, called with squares.

    Parameters
    ----------
    candidate : Path, EnhancementSettings or None
        Candidate directory with a generator ``gen_ba``, or how to enhance without one; None changes nothing.
    device : device
        Where to compute.

    Raises
    ------
    CheckpointError
        If the directory holds no generator.
    """

    def __init__(self, candidate: Path | EnhancementSettings | None, device: torch.device) -> None:
        self.settings = candidate if isinstance(candidate, EnhancementSettings) else None
        self.generator, self.device = None, device
        if isinstance(candidate, Path):
            model, card = load_model(candidate / GENERATOR)
            self.generator = model.to(device)
            self.preprocessing = Preprocessing.model_validate(card["preprocessing"])

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
        if self.generator is not None:
            unit = stylize_frame(self.generator, square, self.preprocessing, self.device)
        elif self.settings is not None:
            unit = enhance(square.astype(np.float32) / 255, inside, self.settings)
        else:
            return square
        return np.where(inside[..., None], np.rint(unit * 255).astype(np.uint8), square)
