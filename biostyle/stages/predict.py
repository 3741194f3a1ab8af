"""Stage: a prepared domain, a segmenter and perhaps a stylizer → masks in the challenge's result layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.artifacts import BuildOptions, build
from biostyle.checkpoints import load_model
from biostyle.data.prepared import PreparedFrame, load_prepared
from biostyle.data.preprocessing import Preprocessing
from biostyle.data.splits import check_no_leak
from biostyle.devices import resolve_device
from biostyle.errors import CheckpointError
from biostyle.inference import segment_frame, stylize_frame
from biostyle.io.frames import write_frame
from biostyle.io.labels import mask_to_labels, write_labels


def predict(
    prepared: Path,
    out: Path,
    *,
    segmenter: Path,
    stylizer: Path | None = None,
    device: str,
    options: BuildOptions,
) -> Path:
    """Segment the test frames of a domain, with or without translating them first.

    Parameters
    ----------
    prepared : Path
        Prepared domain.
    out : Path
        Directory to make: labels ``<sequence>_RES/maskNNN.tif`` and, with a stylizer, the frames it made,
        ``stylized/<frame_id>.tif``, as uint16 over [0, 1].
    segmenter : Path
        Model directory of S_A.
    stylizer : Path or None
        What :func:`biostyle.stages.train_stylizer.train_stylizer` or :func:`biostyle.stages.match.match` made; its
        generator from B to A, or its chain, is composed with S_A.
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
    CheckpointError
        If the stylizer was trained with other preprocessing than the segmenter.
    SplitError
        If a model was trained on one of the test frames.
    """
    inputs = {"prepared": prepared, "segmenter": segmenter}
    if stylizer is not None:
        inputs["stylizer"] = stylizer

    def work(partial: Path) -> None:
        domain = load_prepared(prepared)
        rows = domain.frames("test")
        model, card = load_model(segmenter)
        check_no_leak(card["training_data"]["frames"], domain.global_ids(rows))
        preprocessing = Preprocessing.model_validate(card["preprocessing"])
        stylizer_ba = None
        if stylizer is not None:
            stylizer_ba, own, frames = load_stylizer(stylizer)
            check_no_leak(frames, domain.global_ids(rows))
            if own.model_copy(update={"working_scale": preprocessing.working_scale}) != preprocessing:
                raise CheckpointError(
                    f"stylizer must have the segmenter's preprocessing {preprocessing!r}, but for its scale, "
                    f"got {own!r} ({stylizer}). Train it again with the segmenter's."
                )
            model, preprocessing = AdaptedSegmenter(model, stylizer_ba), own
        where = resolve_device(device)
        model.to(where).eval()
        for position, row in enumerate(rows):
            image = domain.read_image(row)
            mask = segment_frame(model, image, preprocessing, where)
            write_labels(result_path(partial, row), mask_to_labels(mask))
            if stylizer_ba is not None:
                stylized = stylize_frame(stylizer_ba, image, preprocessing, where)
                write_frame(
                    partial / "stylized" / f"{row.frame_id}.tif", np.rint(stylized * 65535).astype(np.uint16)
                )
            options.progress.update(position + 1, len(rows), {})

    build(out, "predict", {}, inputs, work, options)
    return out


def load_stylizer(directory: Path) -> tuple[nn.Module, Preprocessing, list[str]]:
    """Load the stylizer from B to A that a stage left behind.

    Parameters
    ----------
    directory : Path
        A directory holding a model directory ``gen_ba`` (a generator) or ``chain`` (deterministic matching).

    Returns
    -------
    stylizer : Module
        On the CPU, in evaluation mode.
    preprocessing : Preprocessing
        How frames of B become its input; the working scale may differ from the segmenter's.
    frames : list of str
        The frames it was made from.

    Raises
    ------
    CheckpointError
        If there is neither, or it cannot be read.
    """
    name = "chain" if (directory / "chain").is_dir() else "gen_ba"
    model, card = load_model(directory / name)
    return model, Preprocessing.model_validate(card["preprocessing"]), card["training_data"]["frames"]


def result_path(predictions: Path, row: PreparedFrame) -> Path:
    """Return where a frame's predicted labels lie.

    Parameters
    ----------
    predictions : Path
        What :func:`predict` made.
    row : PreparedFrame
        The frame.

    Returns
    -------
    Path
        ``<sequence>_RES/maskNNN.tif``, as the challenge asks for.
    """
    return predictions / f"{row.sequence}_RES" / f"mask{row.number:03d}.tif"
