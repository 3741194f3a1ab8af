"""The verb ``score``: anybody's predictions against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from biostyle.io.pairing import Pair
    from biostyle.metrics.overlap import PixelCounts

_N_ROWS_SHOWN = 20


@click.command()
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write scores.csv and summary.json there.")
@click.option("--sparse", is_flag=True, help="Only some frames have a truth; score those.")
@click.option(
    "--allow-missing", is_flag=True, help="Only some frames have a prediction; score those, and say so."
)
@click.option(
    "--reference", type=click.Choice(["gold", "silver"]), help="Which truth, where TRUTH holds both."
)
@click.option("--images", type=click.Path(path_type=Path), help="The frames, for the Otsu baseline.")
@click.option(
    "--border",
    "border_px",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Leave out pixels this close to the frame's edge, as the challenge does (25 or 50).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
@click.option(
    "--block-length", default=5, show_default=True, type=click.IntRange(min=1), help="Frames a block."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of the bootstrap."
)
def score(
    pred: Path,
    truth: Path,
    out: Path | None,
    sparse: bool,
    allow_missing: bool,
    reference: str | None,
    images: Path | None,
    border_px: int,
    as_json: bool,
    block_length: int,
    seed: int,
) -> None:
    """Score the masks or labels PRED against TRUTH, two files or two folders.

    Files are paired by name; maskNNN, man_segNNN and tNNN are the same frame. Every pixel that is not 0 is
    foreground. The interval is a 95 % block bootstrap of the mean F-score.
    """
    import json

    from biostyle.io.atomic import write_atomically
    from biostyle.io.pairing import files_by_id, pair_by_id
    from biostyle.metrics.score_table import score_table, summarise

    pairs = pair_by_id(
        pred,
        truth,
        sparse_truth=sparse,
        allow_missing=allow_missing,
        reference=reference,  # type: ignore[arg-type]
    )
    n_missing = len(files_by_id(truth, "truth", reference=reference)) - len(pairs)  # type: ignore[arg-type]
    frames = {}
    if images is not None:
        of_images = pair_by_id(images, truth, sparse_truth=True, reference=reference, role="image")  # type: ignore[arg-type]
        frames = {pair.truth: pair.prediction for pair in of_images}
    counts = _count(pairs, frames, border_px)
    image_ids = [pair.image_id for pair in pairs]
    tables = {name: score_table(image_ids, column) for name, column in counts.items()}
    summaries = {
        name: summarise(table, block_length=block_length, seed=seed) for name, table in tables.items()
    }
    summary = {
        "schema": 1,
        "n_predictions": len(files_by_id(pred, "prediction")),
        "n_missing": n_missing,
        "border_px": border_px,
        **summaries.pop("prediction"),
        "baselines": summaries,
    }
    text = json.dumps(summary, indent=2) + "\n"
    if out is not None:
        write_atomically(out / "scores.csv", tables["prediction"].to_csv(index=False).encode())
        write_atomically(out / "summary.json", text.encode())
    if as_json:
        click.echo(text, nl=False)
    else:
        _print(tables["prediction"], summary, out)


def _count(pairs: list[Pair], frames: dict[Path, Path], border_px: int) -> dict[str, list[PixelCounts]]:
    """Count the pixels of the prediction and of each baseline, image by image, but for those along the border."""
    import numpy as np

    from biostyle.errors import MaskError
    from biostyle.io.frames import read_frame
    from biostyle.io.labels import labels_to_mask, read_labels
    from biostyle.metrics.overlap import pixel_counts
    from biostyle.metrics.score_table import baseline_counts

    counts: dict[str, list[PixelCounts]] = {}
    for pair in pairs:
        image = read_frame(frames[pair.truth]) if frames else None
        target = labels_to_mask(read_labels(pair.truth, None if image is None else image.shape))
        pred = labels_to_mask(read_labels(pair.prediction, target.shape))
        if 2 * border_px >= min(target.shape):
            raise MaskError(
                f"--border must leave something of every frame, got {border_px} for {target.shape[0]} x "
                f"{target.shape[1]} pixels ({pair.truth}). Lower it."
            )
        inner = np.s_[border_px : target.shape[0] - border_px, border_px : target.shape[1] - border_px]
        pred, target = pred[inner], target[inner]
        image = None if image is None else image[inner]
        of_image = {"prediction": pixel_counts(pred, target), **baseline_counts(target, image)}
        for name, count in of_image.items():
            counts.setdefault(name, []).append(count)
    return counts


def _print(table: pd.DataFrame, summary: dict[str, Any], out: Path | None) -> None:
    """Print the first images, the mean, the pooled scores and the baselines."""
    from rich.console import Console
    from rich.table import Table

    names = ["precision", "recall", "f_score", "jaccard"]
    grid = Table("image", *names, title=f"scored {summary['n_scored']} of {summary['n_predictions']}")
    for column in grid.columns[1:]:
        column.justify = "right"
    for row in table.head(_N_ROWS_SHOWN).to_dict("records"):
        grid.add_row(str(row["image_id"]), *(_format(row[name]) for name in names))
    if len(table) > _N_ROWS_SHOWN:
        grid.add_row("…", *("…" for _ in names))
    grid.add_section()
    rows = {"mean": summary, "pooled": summary["pooled"]}
    for label, scores in rows.items():
        grid.add_row(label, *(_format(scores[name]) for name in names))
    grid.add_section()
    for label, scores in summary["baselines"].items():
        grid.add_row(f"{label} (mean)", *(_format(scores[name]) for name in names))
    console = Console()
    console.print(grid)
    low, high = summary["ci95"]
    console.print(f"95 % interval of the mean f_score: {_format(low)} to {_format(high)}")
    if summary["n_undefined"]:
        console.print(f"undefined (prediction and truth empty): {summary['n_undefined']}")
    if summary["n_missing"]:
        console.print(
            f"not scored, for want of a prediction: {summary['n_missing']} frames that have a truth"
        )
    if out is not None:
        console.print(f"written: {out / 'scores.csv'}, {out / 'summary.json'}", soft_wrap=True)


def _format(value: float | None) -> str:
    """Format a score; undefined is a dash."""
    return "-" if value is None or value != value else f"{value:.3f}"
