"""Stage: predictions and a prepared domain → per-image score tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from biostyle.artifacts import BuildOptions, build, write_json
from biostyle.data.prepared import PreparedDomain, Reference, load_prepared
from biostyle.data.splits import Part
from biostyle.errors import PairingError
from biostyle.io.labels import labels_to_mask, read_labels
from biostyle.metrics.overlap import PixelCounts, pixel_counts
from biostyle.metrics.score_table import baseline_counts, read_score_table, score_table
from biostyle.stages.predict import result_path

_SPLITS = {
    "sequence": "whole sequences",
    "block": "the last block of each sequence is test",
    "group": "whole lesions",
}
_PART_TITLES = {"train": "training"}


def score(
    prepared: Path, predictions: dict[str, Path], out: Path, *, reference: str, options: BuildOptions
) -> Path:
    """Score the test frames of a domain against every reference it has.

    Parameters
    ----------
    prepared : Path
        Prepared domain.
    predictions : dict of str to Path
        Finished predictions by row name, such as ``before`` and ``after``.
    out : Path
        Directory to make: ``<reference>/<row>.csv`` and ``score.json``.
    reference : {"auto", "gold", "silver"}
        The primary reference.
    options : BuildOptions
        How to deal with what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    PairingError
        If no test frame has a mask in a reference that was asked for by name. With ``auto``, and for photographs,
        which have one reference at most, a domain without masks gets empty tables and a note.
    """

    def work(partial: Path) -> None:
        domain = load_prepared(prepared)
        primary = domain.reference(reference)
        n_scored: dict[str, int] = {}
        for name in ("silver", "gold"):
            n_scored[name] = len(domain.with_truth("test", name))
            if n_scored[name] or name == primary:
                _write_tables(domain, name, predictions, partial / name)
        if reference != "auto" and not n_scored[primary] and not domain.colour:
            raise PairingError(
                f"test frames must have {primary} masks to be scored, got 0 of {len(domain.frames('test'))} "
                f"({prepared}). Choose another reference or split."
            )
        notes = _notes(domain, primary, n_scored)
        write_json(partial / "score.json", {"reference": primary, "rows": list(predictions), "notes": notes})

    settings = {"reference": reference, "rows": list(predictions)}
    build(out, "score", settings, {"prepared": prepared, **predictions}, work, options)
    return out


def read_scores(directory: Path) -> tuple[str, dict[str, dict[str, pd.DataFrame]], list[str]]:
    """Read what :func:`score` made.

    Parameters
    ----------
    directory : Path
        Its directory.

    Returns
    -------
    reference : str
        The primary reference.
    tables : dict of str to dict of str to DataFrame
        Score tables by reference and row name, predictions in the order they were given in, then baselines.
    notes : list of str
        What was not scored and why.
    """
    summary: dict[str, Any] = json.loads((directory / "score.json").read_text())
    place = {row: position for position, row in enumerate(summary["rows"])}

    def order(path: Path) -> tuple[int, str]:
        return place.get(path.stem, len(place)), path.stem

    tables = {
        folder.name: {path.stem: read_score_table(path) for path in sorted(folder.glob("*.csv"), key=order)}
        for folder in sorted(directory.iterdir())
        if folder.is_dir()
    }
    return summary["reference"], tables, summary["notes"]


def _write_tables(
    domain: PreparedDomain, reference: Reference, predictions: dict[str, Path], out: Path
) -> None:
    """Count pixels for every prediction and trivial baseline, and write one table each."""
    counts: dict[str, list[PixelCounts]] = {name: [] for name in predictions}
    rows = domain.with_truth("test", reference)
    for row in rows:
        truth, _ = domain.read_truth(row, reference)
        for name, directory in predictions.items():
            labels = read_labels(result_path(directory, row), truth.shape)
            counts[name].append(pixel_counts(labels_to_mask(labels), truth))
        for name, baseline in baseline_counts(truth, domain.read_image(row)).items():
            counts.setdefault(name, []).append(baseline)
    groups = [row.sequence for row in rows] if domain.split_mode == "group" else None
    out.mkdir()
    for name, per_image in counts.items():
        table = score_table([row.frame_id for row in rows], per_image, groups)
        table.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")


def _notes(domain: PreparedDomain, primary: Reference, n_scored: dict[str, int]) -> list[str]:
    """Say what was scored, against what, and what was left out."""
    n_test = len(domain.frames("test"))
    undivided = domain.split_mode == "none"
    parts: list[Part] = ["train", "test", "unused"]
    if domain.frames("validation"):
        parts.insert(1, "validation")
    sizes = ", ".join(f"{len(domain.frames(part))} {_PART_TITLES.get(part, part)}" for part in parts)
    division = (
        "Not divided: every frame took part in the choice without labels, and every frame with a mask was scored."
        if undivided
        else f"Split by {domain.split_mode} ({_SPLITS[domain.split_mode]}): {sizes} frames."
    )
    notes = [f"Scored {n_scored[primary]} of {len(domain.rows)} frames against {primary} masks.", division]
    if domain.narrowed_gap is not None:
        notes.append(
            f"There are so few frames that only {domain.narrowed_gap} before the first test frame were left out: "
            "training and test frames may be near-copies of each other."
        )
    if not n_scored[primary]:
        elsewhere = len([row for row in domain.rows if row.gold or row.silver])
        hint = f" {elsewhere} other frames have one: see [split]." if elsewhere else ""
        return [*notes[1:], f"No test frame has a mask: nothing was scored.{hint}"]
    if n_scored[primary] < n_test:
        notes.append(f"{n_test - n_scored[primary]} test frames have no {primary} mask and were not scored.")
    if primary == "gold" and not undivided and not domain.colour:
        notes.append("Gold masks can miss whole cells; there are no silver masks, which cover all of them.")
    return notes
