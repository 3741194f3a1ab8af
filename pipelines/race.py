"""Candidates for one domain B, made one after the other, and the choice among them without labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biostyle.adapted_model import is_usable
from biostyle.artifacts import BuildOptions
from biostyle.config import RaceSettings
from biostyle.stages.match import match
from biostyle.stages.retrain import retrain
from biostyle.stages.select import select
from biostyle.stages.train_stylizer import train_stylizer, train_stylizer_in_the_loop


@dataclass(frozen=True)
class RaceDirectories:
    """What a race leaves behind.

    Attributes
    ----------
    candidates : dict of str to Path
        Candidate directories by name, from the simplest to the most elaborate; the frames as they are need none.
    choice : Path
        Which of them to use.
    """

    candidates: dict[str, Path]
    choice: Path


def race(
    config: RaceSettings,
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    out: Path,
    options: BuildOptions,
) -> RaceDirectories:
    """Make every candidate for a domain B and choose among them.

    Parameters
    ----------
    config : RaceSettings
        Which candidates, and how they are made.
    prepared_a, prepared_b : Path
        Prepared domains; the masks of B are not looked at.
    segmenter : Path
        Model directory of S_A.
    out : Path
        Directory that will hold one directory a candidate, and ``choice``.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    RaceDirectories
        The candidates and the choice.
    """
    common: dict[str, Any] = {"device": config.device, "options": options}
    seeded: dict[str, Any] = {"seed": config.seed, **common}
    matching = out / "matching"
    makers: dict[str, Callable[[Path], Path]] = {
        "matching": lambda to: match(
            prepared_b, segmenter, to, config.matching, prepared_a=prepared_a, **common
        ),
        "cyclegan": lambda to: train_stylizer(
            prepared_a, prepared_b, to, config.cyclegan, config.preprocessing, **seeded
        ),
        "cyclegan_sa": lambda to: train_stylizer_in_the_loop(
            prepared_a, prepared_b, segmenter, matching, to, config.cyclegan_sa, **seeded
        ),
        "retrain": lambda to: retrain(
            prepared_a,
            prepared_b,
            segmenter,
            matching,
            to,
            config.retrain,
            renderer=_renderer(config, out / "cyclegan_sa", options),
            **seeded,
        ),
    }
    candidates: dict[str, Path] = {
        name: make(out / name) for name, make in makers.items() if name in config.candidates
    }
    choice = select(
        prepared_a,
        prepared_b,
        segmenter,
        candidates,
        out / "choice",
        n_frames=config.matching.n_frames,
        **common,
    )
    return RaceDirectories(candidates, choice)


def _renderer(config: RaceSettings, candidate: Path, options: BuildOptions) -> Path | None:
    """The learned translation from A to B, unless it is not wanted or its training gave up."""
    wanted = config.retrain.rendered and "cyclegan_sa" in config.candidates
    return candidate if wanted and can_be_used(candidate, options) else None


def can_be_used(candidate: Path, options: BuildOptions) -> bool:
    """Say whether a candidate holds a model, or would after a run.

    Parameters
    ----------
    candidate : Path
        A candidate directory.
    options : BuildOptions
        Knows what a dry run would make.

    Returns
    -------
    bool
        False only where a training gave up.
    """
    return candidate in options.pending or is_usable(candidate)
