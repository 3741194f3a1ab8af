"""Stage: a prepared domain, a segmenter and perhaps a candidate → masks in the challenge's result layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from biostyle.adaptation import AdaptedSegmenter
from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions, build
from biostyle.data.prepared import PreparedFrame, load_prepared
from biostyle.data.splits import check_no_leak
from biostyle.devices import resolve_device
from biostyle.inference import adapt_frame, segment_frame
from biostyle.io.frames import write_frame
from biostyle.io.labels import mask_to_labels, write_labels
from biostyle.io.photographs import write_photograph
from biostyle.types import NDArray


def predict(
    prepared: Path,
    out: Path,
    *,
    segmenter: Path,
    candidate: Path | None = None,
    device: str,
    options: BuildOptions,
) -> Path:
    """Segment the test frames of a domain, as they are or with a candidate.

    Parameters
    ----------
    prepared : Path
        Prepared domain.
    out : Path
        Directory to make: labels ``<sequence>_RES/maskNNN.tif`` and, where the frames are stylized, what they
        became, ``stylized/<frame_id>.tif``, as uint16 over [0, 1], photographs as uint8.
    segmenter : Path
        Model directory of S_A.
    candidate : Path or None
        Candidate directory, such as :func:`biostyle.stages.match.match` makes; None for S_A on frames as they are.
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
        If the candidate cannot be read or does not fit the segmenter.
    SplitError
        If a model was trained on one of the test frames.
    """
    inputs = {"prepared": prepared, "segmenter": segmenter}
    if candidate is not None:
        inputs["candidate"] = candidate

    def work(partial: Path) -> None:
        domain = load_prepared(prepared)
        rows = domain.frames("test")
        adapted = load_adapted(candidate, segmenter)
        check_no_leak(list(adapted.frames), domain.global_ids(rows))
        where = resolve_device(device)
        model = adapted.segmenter.to(where)
        for position, row in enumerate(rows):
            image = domain.read_image(row)
            if isinstance(model, AdaptedSegmenter):
                stylized, mask = adapt_frame(model, image, adapted.preprocessing, where)
                _write_stylized(partial / "stylized" / f"{row.frame_id}.tif", stylized)
            else:
                mask = segment_frame(model, image, adapted.preprocessing, where)
            write_labels(result_path(partial, row), mask_to_labels(mask))
            options.progress.update(position + 1, len(rows), {})

    build(out, "predict", {}, inputs, work, options)
    return out


def _write_stylized(path: Path, stylized: NDArray) -> None:
    """Write a frame in [0, 1], gray or colour."""
    if stylized.ndim == 3:
        write_photograph(path, np.rint(stylized * 255).astype(np.uint8))
    else:
        write_frame(path, np.rint(stylized * 65535).astype(np.uint16))


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
