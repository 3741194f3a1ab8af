"""Adapted models on disk: a segmenter, what stands before it, and how frames become its input.

A *candidate* directory holds any of the model directories ``chain`` (deterministic matching), ``gen_ba`` (a generator from
B to A) and ``segmenter`` (S_B, in place of S_A), and beside them perhaps ``single_object`` (what keeps one object of each
mask). An *adapted model* is the same with a segmenter always in it and ``adapted.json``, which lists the SHA-256 of each
file of its parts, so that it works wherever it is copied to.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.checkpoints import load_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, OutputError
from biostyle.io.integrity import sha256
from biostyle.models.deeplab import DeepLab
from biostyle.models.unet import UNet

CHAIN, GENERATOR, SEGMENTER, DESCRIPTION = "chain", "gen_ba", "segmenter", "adapted.json"
STATISTICS = "statistics.safetensors"  # of the training frames, beside a generator's weights
SINGLE_OBJECT = "single_object"
_STYLIZERS = (CHAIN, GENERATOR)  # in the order in which they are applied
PARTS = (*_STYLIZERS, SEGMENTER, SINGLE_OBJECT)


@dataclass(frozen=True)
class AdaptedModel:
    """A segmenter of B, ready to be used.

    Attributes
    ----------
    segmenter : Module
        A Segmenter on the CPU and in evaluation mode; it takes frames of B after ``preprocessing``.
    stylizer : Module or None
        The Stylizer inside it; None where nothing stands before the segmenter.
    preprocessing : Preprocessing
        How raw frames of B become its input.
    frames : tuple of str
        Every frame that some part of it was made from.
    """

    segmenter: nn.Module
    stylizer: nn.Module | None
    preprocessing: Preprocessing
    frames: tuple[str, ...]

    @property
    def colour(self) -> bool:
        """Whether it takes colour photographs; a segmenter that is not ours is taken for one of gray images."""
        whole = self.segmenter
        segmenter = whole.segmenter_a if isinstance(whole, AdaptedSegmenter) else whole
        return isinstance(segmenter, DeepLab) or (
            isinstance(segmenter, UNet) and segmenter.arguments["in_channels"] == 3
        )


def load_adapted(directory: Path | None, segmenter: Path | None = None) -> AdaptedModel:
    """Put together a candidate with its segmenter, or an adapted model.

    Parameters
    ----------
    directory : Path or None
        A candidate or an adapted model; None for the segmenter alone, on frames as they are.
    segmenter : Path or None
        Model directory of S_A, for candidates without a segmenter of their own.

    Returns
    -------
    AdaptedModel
        Its parts, composed. The working scale is that of the part that stands first; all else must be alike.

    Raises
    ------
    CheckpointError
        If there is no segmenter, a part cannot be read, or the parts want different preprocessing; if a file of an
        adapted model is missing, new or altered.
    """
    if directory is not None and (directory / DESCRIPTION).is_file():
        _check_files(directory)
    own = directory / SEGMENTER if directory else None
    if own is not None and own.is_dir():
        segmenter = own
    if segmenter is None:
        raise CheckpointError(
            f"adapted model must hold a directory {SEGMENTER}, got none ({directory}). "
            "Point at what adapt wrote, or name the segmenter."
        )
    model, card = load_model(segmenter)
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    frames: list[str] = list(card["training_data"]["frames"])
    stylizers: list[nn.Module] = []
    for name in _STYLIZERS:
        if directory is None or not (directory / name).is_dir():
            continue
        stylizer, card = load_model(directory / name)
        wanted = Preprocessing.model_validate(card["preprocessing"])
        free = {} if stylizers else {"working_scale": preprocessing.working_scale}
        if wanted.model_copy(update=free) != preprocessing:
            raise CheckpointError(
                f"{name} must have the preprocessing {preprocessing!r} of what it stands before, "
                f"got {wanted!r} ({directory}). Train it again with the same."
            )
        preprocessing = wanted
        stylizers.append(stylizer)
        frames += card["training_data"]["frames"]
    if directory is not None and not stylizers and segmenter != own:
        raise CheckpointError(
            f"candidate must hold {CHAIN}, {GENERATOR} or {SEGMENTER}, got none of them ({directory}). "
            "Point at what match, train-stylizer or retrain made."
        )
    if not stylizers:
        return AdaptedModel(model, None, preprocessing, tuple(dict.fromkeys(frames)))
    whole = stylizers[0] if len(stylizers) == 1 else nn.Sequential(*stylizers)
    single_object = None
    if directory is not None and (directory / SINGLE_OBJECT).is_dir():
        single_object, card = load_model(directory / SINGLE_OBJECT)
        frames += card["training_data"]["frames"]
    adapted = AdaptedSegmenter(model, whole.eval(), single_object).eval()  # type: ignore[arg-type]
    return AdaptedModel(adapted, whole, preprocessing, tuple(dict.fromkeys(frames)))


def is_usable(candidate: Path) -> bool:
    """Say whether a candidate directory holds something to put before, or in place of, S_A.

    Parameters
    ----------
    candidate : Path
        The directory. A training that gave up leaves one without a model.

    Returns
    -------
    bool
        Whether it holds a chain, a generator or a segmenter.
    """
    return any((candidate / name).is_dir() for name in (*_STYLIZERS, SEGMENTER))


def stand_behind_chain(matching: Path, candidate: Path) -> None:
    """Put the chain of one candidate before another, with what keeps one object where there is such a thing.

    Parameters
    ----------
    matching : Path
        Candidate directory to copy them from.
    candidate : Path
        Candidate directory that is being made.
    """
    for part in (CHAIN, SINGLE_OBJECT):
        if (matching / part).is_dir():
            shutil.copytree(matching / part, candidate / part)


def save_adapted(candidate: Path | None, segmenter: Path, out: Path, description: dict[str, Any]) -> None:
    """Copy a candidate and its segmenter into one directory that needs nothing else.

    Parameters
    ----------
    candidate : Path or None
        The candidate; None for the segmenter on frames as they are.
    segmenter : Path
        Model directory of S_A, copied unless the candidate has its own.
    out : Path
        Directory to make.
    description : dict
        What ``adapted.json`` says of how it came about; must fit into JSON.

    Raises
    ------
    CheckpointError
        If the parts do not fit together.
    OutputError
        If the directory cannot be written.
    """
    load_adapted(candidate, segmenter)
    own = candidate / SEGMENTER if candidate else segmenter
    parts = {SEGMENTER: own if own.is_dir() else segmenter}
    beside = (*_STYLIZERS, SINGLE_OBJECT)
    parts |= {name: candidate / name for name in beside if candidate and (candidate / name).is_dir()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            shutil.copytree(
                part, out / name, ignore=shutil.ignore_patterns("resume", "samples", "artifact.json")
            )
        card = {
            "format": "biostyle-adapted-model", "version": 2, "files": _files(out), **description
        }  # fmt: skip
        (out / DESCRIPTION).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise OutputError(
            f"adapted model must be writable, got {error.strerror or error} ({out}). Choose another folder or free some space."
        ) from error


def _files(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of the parts, by relative path."""
    paths = [path for name in PARTS for path in (directory / name).rglob("*")]
    return {path.relative_to(directory).as_posix(): sha256(path) for path in sorted(paths) if path.is_file()}


def _check_files(directory: Path) -> None:
    """Refuse an adapted model of which a file is not the one that was saved."""
    try:
        expected = dict(json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{DESCRIPTION} must list the files of the adapted model, got {error!r} ({directory}). "
            "Copy the model again, or adapt again."
        ) from error
    actual = _files(directory)
    for name in sorted({*actual, *expected}):
        if actual.get(name) != expected.get(name):
            raise CheckpointError(
                f"{name} must have SHA-256 {expected.get(name, 'in ' + DESCRIPTION)}, "
                f"got {actual.get(name, 'no such file')} ({directory}). Copy the model again."
            )
