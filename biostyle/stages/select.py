"""Stage: S_A and the candidates → which of them to use, without labels of B, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from biostyle.adapted_model import GENERATOR, SEGMENTER, SINGLE_OBJECT, is_usable, load_adapted
from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.checkpoints import load_model
from biostyle.data.prepared import load_prepared, spread
from biostyle.devices import resolve_device
from biostyle.errors import ConfigError
from biostyle.evidence import Evidence, judge, with_edges
from biostyle.models.single_object import SingleObject
from biostyle.selection import IDENTITY, RULE, Key, choose
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
        single_object = single_object_of(candidates.values())
        left_out = {name: left_out_reason(path) for name, path in candidates.items() if not is_usable(path)}
        usable = {name: path for name, path in candidates.items() if name not in left_out}
        evidence = look_at(
            {IDENTITY: None, **usable}, segmenter, list(frames_of(prepared_b)), where, single_object
        )
        found_concord = min((read_concord(path) for path in candidates.values()), default=1.0)
        at_home = _judged(None, segmenter, frames_of(prepared_a), where, single_object)
        choice = choose(evidence, at_home, found_concord)
        write_json(partial / "choice.json", {**vars(choice), "n_frames": n_frames, "left_out": left_out})

    inputs = {"prepared_a": prepared_a, "prepared_b": prepared_b, "segmenter": segmenter, **candidates}
    settings = {"n_frames": n_frames, "candidates": list(candidates), "rule": RULE}
    build(out, "select", settings, inputs, work, options)
    return out


def look_at(
    candidates: Mapping[Key, Path | None],
    segmenter: Path,
    images: Sequence[NDArray],
    device: torch.device,
    single_object: SingleObject | None = None,
) -> dict[Key, Evidence]:
    """Look at what candidates see in the same frames.

    Parameters
    ----------
    candidates : mapping of key to Path or None
        Usable candidate directories; None for the frames as they are.
    segmenter : Path
        Model directory of S_A.
    images : sequence of ndarray of shape (H, W) or (H, W, 3)
        Raw frames of B.
    device : device
        Where to compute.
    single_object : SingleObject or None
        Finds the main object, where each image shows one.

    Returns
    -------
    dict of key to Evidence
        In the same order, with the support by edges.
    """
    # Supports are comparable at one resolution only: that at which the segmenter knows its own domain.
    working = load_adapted(None, segmenter).preprocessing
    shown = [working.image_batch(image)[0] for image in images]
    return {
        key: with_edges(_judged(path, segmenter, images, device, single_object), shown)
        for key, path in candidates.items()
    }


def single_object_of(candidates: Iterable[Path]) -> SingleObject | None:
    """Load what finds the main object.

    Parameters
    ----------
    candidates : iterable of Path
        Candidate directories for one domain.

    Returns
    -------
    SingleObject or None
        That of the first that has one; None where images may show several objects.
    """
    found = next((path / SINGLE_OBJECT for path in candidates if (path / SINGLE_OBJECT).is_dir()), None)
    return cast("SingleObject", load_model(found)[0]) if found else None


def _judged(
    candidate: Path | None,
    segmenter: Path,
    images: Iterable[NDArray],
    device: torch.device,
    single_object: SingleObject | None,
) -> Evidence:
    """One candidate on some frames, without the support by edges."""
    adapted = load_adapted(candidate, segmenter)
    learned = candidate is not None and any((candidate / part).is_dir() for part in (GENERATOR, SEGMENTER))
    return judge(
        adapted.segmenter.to(device), images, adapted.preprocessing, device, learned=learned, single_object=single_object
    )  # fmt: skip


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
