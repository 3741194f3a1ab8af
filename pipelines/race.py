"""Candidates for one domain B, made one after the other, and the choice among them without labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biostyle.adapted_model import is_usable
from biostyle.artifacts import BuildOptions
from biostyle.config import DomainsConfig, RaceSettings
from biostyle.stages.adapt_statistics import adapt_statistics
from biostyle.stages.augment import augment
from biostyle.stages.match import match
from biostyle.stages.predict import predict
from biostyle.stages.report import DomainDirectories
from biostyle.stages.retrain import retrain
from biostyle.stages.score import score
from biostyle.stages.select import chosen_candidate, select
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

    def retrained(to: Path, plain: Path | None = None) -> Path:
        # those that take part and left something usable
        rivals = {
            name: out / name
            for name in ("adabn", "cyclegan_sa")
            if name in config.candidates and can_be_used(out / name, options)
        }
        return retrain(
            prepared_a,
            prepared_b,
            segmenter,
            matching,
            to,
            config.retrain,
            rivals=tuple(rivals.values()),
            renderer=rivals.get("cyclegan_sa") if config.retrain.rendered else None,
            plain=plain,
            **seeded,
        )

    makers: dict[str, Callable[[Path], Path]] = {
        "matching": lambda to: match(
            prepared_b, segmenter, to, config.matching, prepared_a=prepared_a, **common
        ),
        "adabn": lambda to: adapt_statistics(
            prepared_a, prepared_b, segmenter, matching, to, config.adabn, **common
        ),
        "cyclegan": lambda to: train_stylizer(
            prepared_a, prepared_b, to, config.cyclegan, config.preprocessing, **seeded
        ),
        "augmented": lambda to: augment(
            prepared_a, segmenter, out / "cyclegan", to, config.retrain, **seeded
        ),
        "cyclegan_sa": lambda to: train_stylizer_in_the_loop(
            prepared_a, prepared_b, segmenter, matching, to, config.cyclegan_sa, **seeded
        ),
        "retrain": retrained,
        "retrain_rare": lambda to: retrained(to, plain=out / "retrain"),
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


def score_race(
    config: DomainsConfig,
    name: str,
    prepared_b: Path,
    segmenter: Path,
    candidates: Mapping[str, Path],
    choice: Path | None,
    out: Path,
    options: BuildOptions,
) -> DomainDirectories:
    """Predict the test frames of a domain with S_A and with every candidate, and score.

    Parameters
    ----------
    config : DomainsConfig
        Where to compute and what to score against.
    name : str
        Name of the domain.
    prepared_b : Path
        The prepared domain.
    segmenter : Path
        Model directory of S_A.
    candidates : mapping of str to Path
        Candidate directories by row of the tables; those that saw labels of B may be among them.
    choice : Path or None
        What was chosen; None for domain A.
    out : Path
        The run's directory.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    DomainDirectories
        For the report.
    """
    predictions = {
        row: predict(
            prepared_b,
            out / "predictions" / name / row,
            segmenter=segmenter,
            candidate=candidates.get(row),
            device=config.device,
            options=options,
        )
        for row in ("before", *candidates)
        if row == "before" or can_be_used(candidates[row], options)
    }
    if choice is not None:
        predictions["after"] = predictions[chosen_candidate(choice)]
    scores = score(
        prepared_b, predictions, out / "scores" / name, reference=config.score.reference, options=options
    )
    return DomainDirectories(
        prepared=prepared_b,
        scores=scores,
        before=predictions["before"],
        after=predictions.get("after"),
        deterministic=predictions.get("matching"),
        training=candidates.get("cyclegan", segmenter),
        choice=choice,
    )


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
