"""Stage: S_A and candidate stylizers → which of them to use, without labels of B, and the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from biostyle.adaptation import AdaptedSegmenter
from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.checkpoints import load_model
from biostyle.data.prepared import load_prepared, spread
from biostyle.data.preprocessing import Preprocessing
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.selection import IDENTITY, RULE, choose
from biostyle.stages.match import score_on
from biostyle.stages.predict import load_stylizer


def select(
    prepared_b: Path,
    segmenter: Path,
    stylizers: dict[str, Path],
    out: Path,
    *,
    n_frames: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Score the unchanged frames and every candidate on training frames of B, and choose.

    Parameters
    ----------
    prepared_b : Path
        Prepared domain B; its masks are not looked at.
    segmenter : Path
        Model directory of S_A.
    stylizers : dict of str to Path
        What :func:`biostyle.stages.match.match` and
        :func:`biostyle.stages.train_stylizer.train_stylizer` made, by candidate, the simplest first.
    out : Path
        Directory to make: ``choice.json``.
    n_frames : int
        Training frames of B to judge on, evenly spaced.
    device : str
        Where to compute; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    ConfigError
        If a candidate's name is taken.
    """
    taken = {IDENTITY, "prepared_b", "segmenter"} & stylizers.keys()
    if taken:
        raise ConfigError(
            f"candidate must have a name of its own, got {min(taken)!r} ({stylizers[min(taken)]}). "
            "Call it something else."
        )

    def work(partial: Path) -> None:
        domain = load_prepared(prepared_b)
        rows = spread(domain.frames("train"), n_frames)
        where = resolve_device(device)
        model, card = load_model(segmenter)
        base = Preprocessing.model_validate(card["preprocessing"])
        scores = {IDENTITY: score_on(model.to(where), domain, rows, base, where)}
        for name, directory in stylizers.items():
            stylizer, preprocessing, _ = load_stylizer(directory)
            adapted = AdaptedSegmenter(model, stylizer).to(where)
            scores[name] = score_on(adapted, domain, rows, preprocessing, where)
        choice = choose(scores)
        candidates = {name: {**vars(score), "label_free": score.value} for name, score in scores.items()}
        write_json(partial / "choice.json", {**vars(choice), "n_frames": len(rows), "candidates": candidates})

    inputs = {"prepared_b": prepared_b, "segmenter": segmenter, **stylizers}
    settings = {"n_frames": n_frames, "candidates": list(stylizers), "rule": RULE}
    build(out, "select", settings, inputs, work, options)
    return out


def read_choice(directory: Path) -> dict[str, Any]:
    """Read what :func:`select` decided.

    Parameters
    ----------
    directory : Path
        Its directory.

    Returns
    -------
    dict
        ``chosen``, ``verdict``, ``reason``, ``n_frames`` and ``candidates`` with their label-free scores.
    """
    return json.loads((directory / "choice.json").read_text())


def chosen_candidate(directory: Path) -> str:
    """Name the candidate that :func:`select` chose.

    Parameters
    ----------
    directory : Path
        Its directory; it may be missing in a dry run.

    Returns
    -------
    str
        The candidate; ``"before"`` as long as nothing is chosen.
    """
    return read_choice(directory)["chosen"] if directory.is_dir() else IDENTITY
