"""Stage: S_A and the candidates → which of them to use, without labels of B, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from biostyle.adapted_model import GENERATOR, SEGMENTER, SINGLE_OBJECT, is_usable, load_adapted
from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.checkpoints import load_model
from biostyle.data.prepared import load_prepared, spread
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.evidence import Evidence, judge, with_edges
from biostyle.selection import IDENTITY, RULE, choose
from biostyle.stages.match import read_concord
from biostyle.stages.train_stylizer import ALARM
from biostyle.types import NDArray


def select(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    candidates: dict[str, Path],
    out: Path,
    *,
    n_frames: int,
    device: str,
    options: BuildOptions,
) -> Path:
    """Judge the frames as they are and every candidate on training frames of B, and choose.

    Parameters
    ----------
    prepared_a : Path
        Prepared domain A; S_A on its training frames is what a sure segmenter looks like.
    prepared_b : Path
        Prepared domain B; its masks are not looked at.
    segmenter : Path
        Model directory of S_A.
    candidates : dict of str to Path
        Candidate directories by name, the simplest first.
    out : Path
        Directory to make: ``choice.json``.
    n_frames : int
        Training frames of each domain to judge on, evenly spaced.
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
    taken = {IDENTITY, "prepared_a", "prepared_b", "segmenter"} & candidates.keys()
    if taken:
        raise ConfigError(
            f"candidate must have a name of its own, got {min(taken)!r} ({candidates[min(taken)]}). "
            "Call it something else."
        )

    def frames_of(prepared: Path) -> Iterator[NDArray]:
        domain = load_prepared(prepared)
        return (domain.read_image(row) for row in spread(domain.frames("train"), n_frames))

    def work(partial: Path) -> None:
        where = resolve_device(device)
        keepers = [path / SINGLE_OBJECT for path in candidates.values() if (path / SINGLE_OBJECT).is_dir()]
        single_object: Any = load_model(keepers[0])[0] if keepers else None

        left_out = {name: left_out_reason(path) for name, path in candidates.items() if not is_usable(path)}
        usable = {name: path for name, path in candidates.items() if name not in left_out}
        # Supports are comparable at one resolution only: that at which the segmenter knows its own domain.
        working = load_adapted(None, segmenter).preprocessing
        shown = [working.image_batch(image)[0] for image in frames_of(prepared_b)]

        def judged(prepared: Path, candidate: Path | None) -> Evidence:
            adapted = load_adapted(candidate, segmenter)
            learned = candidate is not None and any(
                (candidate / part).is_dir() for part in (GENERATOR, SEGMENTER)
            )
            return judge(
                adapted.segmenter.to(where), frames_of(prepared), adapted.preprocessing, where,
                learned=learned, single_object=single_object,
            )  # fmt: skip

        evidence = {
            name: with_edges(judged(prepared_b, path), shown)
            for name, path in {IDENTITY: None, **usable}.items()
        }
        found_concord = min((read_concord(path) for path in candidates.values()), default=1.0)
        choice = choose(evidence, judged(prepared_a, None), found_concord)
        write_json(partial / "choice.json", {**vars(choice), "n_frames": n_frames, "left_out": left_out})

    inputs = {"prepared_a": prepared_a, "prepared_b": prepared_b, "segmenter": segmenter, **candidates}
    settings = {"n_frames": n_frames, "candidates": list(candidates), "rule": RULE}
    build(out, "select", settings, inputs, work, options)
    return out


def left_out_reason(candidate: Path) -> str:
    """Say why a candidate cannot be used.

    Parameters
    ----------
    candidate : Path
        A candidate directory without a usable model.

    Returns
    -------
    str
        What its training left behind.
    """
    path = candidate / ALARM
    return json.loads(path.read_text())["reason"] if path.is_file() else "nothing usable was made"


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
