"""Stage: photographs, translated or not → what the classifiers and the vessel segmenter see in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from skimage.metrics import structural_similarity

from biostyle.adaptation import foreground
from biostyle.artifacts import BuildOptions, build
from biostyle.checkpoints import load_model
from biostyle.data.degradation import QUALITIES
from biostyle.data.fundus_facts import FundusFacts, read_fundus_facts
from biostyle.data.prepared import PreparedDomain, PreparedFrame, load_prepared
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.devices import resolve_device
from biostyle.inference.classification import classify, input_batch, probabilities
from biostyle.io.labels import write_labels
from biostyle.io.photographs import read_photograph
from biostyle.metrics.grading import expected_grades
from biostyle.metrics.overlap import pixel_counts
from biostyle.stages.stylize_photographs import translated_path, unseen
from biostyle.types import NDArray

JUDGED, FEATURES, VESSELS = "judged.csv", "features.npy", "vessels"


def judge_photographs(
    prepared: Path,
    clean: Path,
    out: Path,
    *,
    translated: Path | None,
    quality: Path,
    grader: Path,
    segmenter: Path,
    device: str,
    options: BuildOptions,
) -> Path:
    """Judge the photographs of a domain that no stylizer was trained on.

    Parameters
    ----------
    prepared : Path
        Prepared fundus photographs.
    clean : Path
        The good photographs they were made from.
    out : Path
        Directory to make: ``judged.csv``, one row a photograph; ``features.npy``, what the quality classifier describes
        them by, in the same order; ``vessels/FRAME.tif``, 1 where the segmenter sees a vessel.
    translated : Path or None
        The same photographs translated; None judges them as they are.
    quality, grader, segmenter : Path
        Model directories: classifiers of quality and grade, and the segmenter of vessels.
    device : str
        Where to compute; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Notes
    -----
    Columns: ``frame_id, original, patient, split``; ``true_quality`` and ``true_grade`` where they are known;
    ``p_good, p_usable, p_reject`` and ``quality``, their largest, as an index; ``grade``; ``vessels_kept``, how much of
    the vessels that the segmenter sees before translation it still sees: sum of min(p, p') / sum of p within the field
    of view; ``tp, fp, fn`` of vessels, in px, where they were traced; ``psnr_db`` and ``ssim`` to the good
    original, where there is one.
    """
    inputs = {
        "prepared": prepared,
        "clean": clean,
        "quality": quality,
        "grader": grader,
        "segmenter": segmenter,
    } | ({} if translated is None else {"translated": translated})

    def work(partial: Path) -> None:
        domain, facts, originals = (
            load_prepared(prepared),
            read_fundus_facts(prepared),
            {row.frame_id: row for row in load_prepared(clean).rows},
        )
        frames, where = unseen(domain), resolve_device(device)
        before = [domain.read_image(frame) for frame in frames]
        after = before
        if translated is not None:
            after = [read_photograph(translated_path(translated, frame.frame_id)) for frame in frames]
        logits, features = _classified(quality, after, where)
        grades = expected_grades(probabilities(_classified(grader, after, where)[0]))
        vessels = _VesselSegmenter(segmenter, where)
        rows = []
        for position, frame in enumerate(frames):
            known = facts[frame.frame_id]
            pair = before[position], after[position]
            made = known.original != frame.frame_id or prepared == clean  # not so: a real photograph
            original = originals[known.original] if made else None
            row = _facts(frame, known, original) | _quality(probabilities(logits[position : position + 1])[0])
            row |= {"grade": int(grades[position])}
            row |= _compare(None if original is None else domain.read_image(original), pair[1], known)
            probs = [vessels(square) for square in pair]
            rows.append(row | _vessels(domain, frame, known, probs))
            write_labels(partial / VESSELS / f"{frame.frame_id}.tif", probs[1] > 0.5)
            options.progress.update(position + 1, len(frames), {})
        pd.DataFrame(rows).to_csv(partial / JUDGED, index=False, lineterminator="\n")
        np.save(partial / FEATURES, features.astype(np.float32))

    build(out, "judge-photographs", {}, inputs, work, options)
    return out


def read_judged(directory: Path) -> tuple[pd.DataFrame, NDArray]:
    """Read what was judged.

    Parameters
    ----------
    directory : Path
        What :func:`judge_photographs` made.

    Returns
    -------
    table : DataFrame
        One row a photograph.
    features : ndarray of float32, shape (N, D)
        In the same order.
    """
    return pd.read_csv(directory / JUDGED), np.load(directory / FEATURES)


class _VesselSegmenter:
    """A trained segmenter, called with squares."""

    def __init__(self, directory: Path, device: torch.device) -> None:
        self.model, card = load_model(directory)
        self.model.to(device)
        self.preprocessing, self.device = Preprocessing.model_validate(card["preprocessing"]), device

    @torch.inference_mode()
    def __call__(self, square: NDArray) -> NDArray:
        """Probability of vessel at each pixel, float32 of shape (S, S)."""
        probs = foreground(self.model, self.preprocessing.image_batch(square).to(self.device))
        return resize(probs, (square.shape[0], square.shape[1]))[0, 0].float().cpu().numpy()


def _classified(directory: Path, squares: Sequence[NDArray], device: torch.device) -> tuple[NDArray, NDArray]:
    """Class scores and features of a model directory's classifier."""
    classifier, card = load_model(directory)
    batch = input_batch(squares, Preprocessing.model_validate(card["preprocessing"]))
    return classify(classifier.to(device), batch)  # type: ignore[arg-type]


def _facts(frame: PreparedFrame, known: FundusFacts, original: PreparedFrame | None) -> dict[str, Any]:
    """What was known before anything was judged."""
    return {
        "frame_id": frame.frame_id,
        "original": None if original is None else original.frame_id,
        "patient": frame.sequence,
        "split": frame.split,
        "true_quality": None if known.quality is None else QUALITIES.index(known.quality),
        "true_grade": known.grade,
    }


def _quality(probs: NDArray) -> dict[str, Any]:
    """The quality and how sure it is."""
    return {f"p_{name}": float(p) for name, p in zip(QUALITIES, probs, strict=True)} | {
        "quality": int(probs.argmax())
    }


def _compare(original: NDArray | None, photograph: NDArray, known: FundusFacts) -> dict[str, float | None]:
    """How like its good original a photograph is: PSNR within the field of view, at most 100 dB, and SSIM."""
    if original is None:
        return {"psnr_db": None, "ssim": None}
    inside = known.inside(len(original))
    error = float(((original[inside].astype(float) - photograph[inside]) ** 2).mean())
    psnr = 100.0 if error == 0 else min(100.0, 10 * np.log10(255**2 / error))
    similarity = structural_similarity(original, photograph, channel_axis=2, full=True)[1]
    return {"psnr_db": float(psnr), "ssim": float(similarity[inside].mean())}


def _vessels(
    domain: PreparedDomain, frame: PreparedFrame, known: FundusFacts, probs: list[NDArray]
) -> dict[str, float | None]:
    """What became of the vessels, and how they overlap with the traced ones."""
    inside = known.inside(frame.height)
    before, after = (probability[inside] for probability in probs)
    kept = float(np.minimum(before, after).sum() / max(before.sum(), 1e-6))
    row: dict[str, float | None] = {"vessels_kept": kept, "tp": None, "fp": None, "fn": None}
    if frame.gold:
        counts = pixel_counts((probs[1] > 0.5).astype(np.uint8), domain.read_truth(frame)[0])
        row |= {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}
    return row
