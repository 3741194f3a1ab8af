"""Stage: prepared fundus photographs and a stylizer → translated photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from biostyle.adapted_model import GENERATOR
from biostyle.artifacts import BuildOptions, build
from biostyle.checkpoints import load_model
from biostyle.data.enhancement import EnhancementSettings, enhance
from biostyle.data.prepare_fundus import FundusFacts, read_fundus_facts
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
        domain, facts, where = load_prepared(prepared), read_fundus_facts(prepared), resolve_device(device)
        generator = _Generator(stylizer, where) if isinstance(stylizer, Path) else None
        frames = unseen(domain)
        for number, frame in enumerate(frames, start=1):
            square, known = domain.read_image(frame), facts[frame.frame_id]
            translated = square
            if generator is not None:
                translated = _within(known, square, generator(square))
            elif isinstance(stylizer, EnhancementSettings):
                unit = square.astype(np.float32) / 255
                translated = _within(known, square, enhance(unit, known.inside(len(square)), stylizer))
            write_photograph(translated_path(partial, frame.frame_id), translated)
            options.progress.update(number, len(frames), {})

    build(out, "stylize-photographs", {"enhancement": settings}, inputs, work, options)
    return out


class _Generator:
    """A trained generator, called with squares."""

    def __init__(self, candidate: Path, device: torch.device) -> None:
        self.model, card = load_model(candidate / GENERATOR)
        self.model.to(device)
        self.preprocessing, self.device = Preprocessing.model_validate(card["preprocessing"]), device

    def __call__(self, square: NDArray) -> NDArray:
        """Translate one square; float32 in [0, 1]."""
        return stylize_frame(self.model, square, self.preprocessing, self.device)


def _within(known: FundusFacts, square: NDArray, translated: NDArray) -> NDArray:
    """Take the translation within the field of view and the photograph outside of it, as uint8."""
    pixels = np.rint(translated * 255).astype(np.uint8)
    return np.where(known.inside(len(square))[..., None], pixels, square)
