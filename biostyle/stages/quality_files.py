"""Stage: anybody's fundus photographs and a trained classifier of quality → a table, or a before/after report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biostyle.artifacts import BuildOptions, build, fingerprint, versions
from biostyle.data.degradation import QUALITIES
from biostyle.data.field_of_view import FieldOfView, find_field_of_view
from biostyle.data.prepared import spread
from biostyle.data.retina_square import crop_photograph
from biostyle.data.sources.fundus import list_fundus
from biostyle.devices import resolve_device
from biostyle.errors import ImageError, PairingError
from biostyle.inference.classification import probabilities
from biostyle.inference.quality import QualityClassifier
from biostyle.io.photographs import read_photograph
from biostyle.progress import Progress
from biostyle.reporting.quality import Judged, JudgedDomain, QualityPanel, QualityReport
from biostyle.reporting.quality_page import write_quality_report
from biostyle.stages.report import describe_machine
from biostyle.types import NDArray

_N_PANELS = 3


def rate_files(images: Path, model: Path, *, device: str, progress: Progress) -> pd.DataFrame:
    """Rate photographs.

    Parameters
    ----------
    images : Path
        A photograph, or a folder of them.
    model : Path
        Model directory of a classifier of quality.
    device : str
        Where to compute.
    progress : Progress
        Whom to tell.

    Returns
    -------
    DataFrame
        One row a photograph: ``image, quality, p_good, p_usable, p_reject, problem``. One that cannot be read, or shows
        no fundus, is rejected with its problem, and without probabilities.

    Raises
    ------
    ImageError
        If there is no photograph.
    CheckpointError
        If the model is no classifier of quality.
    """
    classifier = QualityClassifier(model, resolve_device(device))
    photographs = photographs_in(images)
    rows: list[dict[str, Any]] = []
    for number, photograph in enumerate(photographs, start=1):
        row: dict[str, Any] = {"image": photograph.name}
        try:
            square, _ = read_square(photograph, classifier.size_px)
            probs = classifier.rate(square)
            row |= {"quality": QUALITIES[int(probs.argmax())]}
            row |= {f"p_{name}": float(p) for name, p in zip(QUALITIES, probs, strict=True)}
        except ImageError as error:
            row |= {"quality": "reject", "problem": str(error)}
        rows.append(row)
        progress.update(number, len(photographs), {})
    columns = ["image", "quality", *(f"p_{name}" for name in QUALITIES), "problem"]
    return pd.DataFrame(rows, columns=columns)


def compare_folders(
    before: Path, after: Path, model: Path, out: Path, *, device: str, command: str, options: BuildOptions
) -> Path:
    """Compare photographs before and after a translation by their quality.

    Parameters
    ----------
    before, after : Path
        Folders of photographs with the same names, whatever their suffixes.
    model : Path
        Model directory of a classifier of quality.
    out : Path
        Directory to make: ``index.html``, ``report.md``, ``scores.csv`` and ``summary.json``.
    device : str
        Where to compute; not part of the request.
    command : str
        Command line to print; not part of the request.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    PairingError
        If a photograph has no partner.
    ImageError
        If a photograph cannot be read or shows no fundus.
    CheckpointError
        If the model is no classifier of quality.
    """
    pairs, classifier = _pairs(before, after), QualityClassifier(model, resolve_device(device))

    def work(partial: Path) -> None:
        squares: dict[str, tuple[NDArray, NDArray]] = {}
        for number, (name, (first, second)) in enumerate(pairs.items(), start=1):
            square, fov = read_square(first, classifier.size_px)
            squares[name] = square, read_square(second, classifier.size_px, fov)[0]
            options.progress.update(number, len(pairs), {})
        judged = [_judge(classifier, list(squares), [pair[i] for pair in squares.values()]) for i in (0, 1)]
        domain = JudgedDomain(
            name="photographs",
            title=f"{before.resolve().name} → {after.resolve().name}",
            before=judged[0],
            candidates={"after": judged[1]},
            panels=[QualityPanel(name, *squares[name]) for name in spread(list(squares), _N_PANELS)],
        )
        report = QualityReport(
            title="Quality before and after",
            pipeline="quality-report",
            domains=[domain],
            classifier=classifier.evaluation,
            grader=None,
            settings={},
            versions=versions(),
            fingerprints={"before": fingerprint(before), "after": fingerprint(after)},
            command=command,
            machine=describe_machine(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_quality_report(report, partial)

    build(out, "quality-report", {}, {"before": before, "after": after, "model": model}, work, options)
    return out


def photographs_in(images: Path) -> list[Path]:
    """List photographs.

    Parameters
    ----------
    images : Path
        A photograph, or a folder of them.

    Returns
    -------
    list of Path
        In natural order.

    Raises
    ------
    ImageError
        If there is none.
    """
    return [images] if images.is_file() else [found.image for found in list_fundus(images, "folder")]


def read_square(path: Path, size_px: int, fov: FieldOfView | None = None) -> tuple[NDArray, FieldOfView]:
    """Read a photograph and crop it to its retina.

    Parameters
    ----------
    path : Path
        The photograph.
    size_px : int
        Side of the square.
    fov : FieldOfView or None
        The circle of its partner, taken where both are of the same size; found in the photograph otherwise.

    Returns
    -------
    square : ndarray of uint8, shape (size_px, size_px, 3)
        The retina.
    fov : FieldOfView
        Its circle.

    Raises
    ------
    ImageError
        If the photograph cannot be read or shows no fundus.
    """
    photograph = read_photograph(path)
    if fov is None or (fov.height, fov.width) != photograph.shape[:2]:
        fov = find_field_of_view(photograph, str(path))
    return crop_photograph(photograph, fov, size_px), fov


def _pairs(before: Path, after: Path) -> dict[str, tuple[Path, Path]]:
    """Files of the same name in both folders, in order."""
    first, second = ({path.stem: path for path in photographs_in(folder)} for folder in (before, after))
    lonely = sorted(first.keys() ^ second.keys())
    if lonely:
        raise PairingError(
            f"each photograph must be in both folders, got {len(lonely)} in one, first {lonely[0]} "
            f"({before}, {after}). Add their partners, or remove them."
        )
    return {name: (path, second[name]) for name, path in first.items()}


def _judge(classifier: QualityClassifier, names: list[str], squares: list[NDArray]) -> Judged:
    """What the classifier sees in each photograph; each counts as a patient of its own."""
    logits, features = classifier.classify(squares)
    table = pd.DataFrame(probabilities(logits), columns=[f"p_{name}" for name in QUALITIES]).astype(float)
    table.insert(0, "frame_id", names)
    table.insert(1, "patient", names)
    table["quality"] = np.argmax(logits, axis=1)
    return Judged(table, features)
