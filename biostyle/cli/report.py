"""The verb ``report``: before and after adaptation, for anybody's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

    from biostyle.io.pairing import Pair, Reference
    from biostyle.reporting.document import Panel
    from biostyle.types import NDArray

_PACKAGES = ("biostyle", "numpy", "pandas", "scikit-image")


@click.command(short_help="Compare two sets of predictions with the truth.")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, resolve_path=True), help="Directory of the report.",
)  # fmt: skip
@click.option("--images", type=click.Path(path_type=Path), help="Frames; adds panels and the Otsu baseline.")
@click.option("--stylized", type=click.Path(path_type=Path), help="The same frames in the other style.")
@click.option("--sparse", is_flag=True, help="Allow predictions without truth; they are not scored.")
@click.option(
    "--allow-missing", is_flag=True, help="Allow truth without predictions; it is not scored, and noted."
)
@click.option(
    "--reference", type=click.Choice(["gold", "silver"]), help="Truth to take where a folder holds both."
)
@click.option("--title", default="Before and after adaptation", show_default=True, help="Heading.")
@click.option("--name", default="images", show_default=True, help="What to call the images.")
@click.option(
    "--block-length", default=5, show_default=True, type=click.IntRange(1),
    help="Consecutive images the bootstrap draws together.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the bootstrap.")
@click.option(
    "--n-panels", default=3, show_default=True, type=click.IntRange(0), help="Images to show, evenly spaced."
)
def report(
    before: Path,
    after: Path,
    truth: Path,
    out: Path,
    images: Path | None,
    stylized: Path | None,
    sparse: bool,
    allow_missing: bool,
    reference: Reference | None,
    title: str,
    name: str,
    block_length: int,
    seed: int,
    n_panels: int,
) -> None:
    """Compare predictions BEFORE and AFTER with the TRUTH, and write a report.

    Each of the three is a folder of masks or label images, or a single file. Files belong together by their
    names (mask007.tif, man_seg007.tif and t007.tif are the same frame), and every value but 0 is foreground.
    """
    import datetime
    import importlib.metadata
    import platform
    import shlex
    import sys

    from biostyle.io.pairing import files_by_id
    from biostyle.reporting.document import DomainResult, Report
    from biostyle.reporting.render import write_report

    partial = out.with_name(f"{out.name}.partial")
    for folder in (out, partial):
        _check_replaceable(folder)
    pairs = _pair(
        before, after, truth, images, stylized, reference, sparse_truth=sparse, allow_missing=allow_missing
    )
    n_predicted = len(files_by_id(before, "prediction"))
    n_missing = len(files_by_id(truth, "truth", reference=reference)) - len(pairs)
    n_frames = n_predicted + n_missing
    notes = []
    if n_predicted > len(pairs):
        notes.append(f"{n_predicted - len(pairs)} of {n_frames} frames have no truth and were not scored.")
    if n_missing:
        notes.append(f"{n_missing} of {n_frames} frames have a truth but no prediction, and were not scored.")
    if images is None:
        notes.append("There is no Otsu baseline and there are no panels: no images were given.")
    domain = DomainResult(
        name=name,
        title=name,
        reference=reference or "given",
        n_scored=len(pairs),
        n_frames=n_frames,
        tables=_score(pairs),
        panels=_panels(pairs, n_panels),
        notes=notes,
    )
    folders = {"before": before, "after": after, "truth": truth, "images": images, "stylized": stylized}
    given = {key: str(folder) for key, folder in folders.items() if folder}
    document = Report(
        title=title,
        pipeline="report",
        domains=[domain],
        settings={
            **given,
            "sparse": sparse,
            "allow_missing": allow_missing,
            "block_length": block_length,
            "seed": seed,
        },
        versions={
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in _PACKAGES},
        },
        fingerprints={key: _fingerprint([getattr(pair, key) for pair in pairs]) for key in given},
        command=shlex.join(["biostyle", *sys.argv[1:]]),
        machine=f"{platform.system()} {platform.machine()}",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        block_length=block_length,
        seed=seed,
    )
    write_report(document, partial)
    _publish(partial, out)
    _print(out)


@dataclass(frozen=True)
class _Frame:
    """The files of one scored image."""

    image_id: str
    before: Path
    after: Path
    truth: Path
    images: Path | None
    stylized: Path | None


def _pair(
    before: Path,
    after: Path,
    truth: Path,
    images: Path | None,
    stylized: Path | None,
    reference: Reference | None,
    *,
    sparse_truth: bool,
    allow_missing: bool,
) -> list[_Frame]:
    """Find the files that belong together, and refuse predictions made only once."""
    from biostyle.errors import PairingError
    from biostyle.io.pairing import files_by_id, pair_by_id

    if before.is_dir() and after.is_dir():
        ids = [set(files_by_id(folder, "prediction")) for folder in (before, after)]
        if once := sorted(ids[0] ^ ids[1]):
            raise PairingError(
                f"before and after must cover the same images, got {len(once)} in only one of them: "
                f"{', '.join(once[:5])} ({before}, {after}). Predict them too, or remove them."
            )

    def pairs_with(folder: Path) -> list[Pair]:
        return pair_by_id(
            folder, truth, sparse_truth=sparse_truth, allow_missing=allow_missing, reference=reference
        )

    def images_by_truth(folder: Path) -> dict[Path, Path]:
        pairs = pair_by_id(folder, truth, sparse_truth=True, reference=reference, role="image")
        return {pair.truth: pair.prediction for pair in pairs}

    afters = {pair.truth: pair.prediction for pair in pairs_with(after)}
    frames = images_by_truth(images) if images else {}
    styled = images_by_truth(stylized) if stylized else {}
    return [
        _Frame(
            pair.image_id,
            pair.prediction,
            afters[pair.truth],
            pair.truth,
            frames.get(pair.truth),
            styled.get(pair.truth),
        )
        for pair in pairs_with(before)
    ]


def _read_masks(frame: _Frame, image: NDArray | None) -> dict[str, NDArray]:
    """Read the three masks of one image, which must have its size."""
    from biostyle.io.labels import labels_to_mask, read_labels

    truth = read_labels(frame.truth, None if image is None else image.shape)
    before, after = (read_labels(path, truth.shape) for path in (frame.before, frame.after))
    masks = {"before": before, "after": after, "truth": truth}
    return {name: labels_to_mask(labels) for name, labels in masks.items()}


def _score(frames: list[_Frame]) -> dict[str, pd.DataFrame]:
    """Score before, after and the trivial baselines, one image in memory at a time."""
    from biostyle.io.frames import read_frame
    from biostyle.metrics.overlap import PixelCounts, pixel_counts
    from biostyle.metrics.score_table import baseline_counts, score_table

    counts: dict[str, list[PixelCounts]] = {}
    for frame in frames:
        image = read_frame(frame.images) if frame.images else None
        masks = _read_masks(frame, image)
        of_image = {name: pixel_counts(masks[name], masks["truth"]) for name in ("before", "after")}
        for row, count in (of_image | baseline_counts(masks["truth"], image)).items():
            counts.setdefault(row, []).append(count)
    image_ids = [frame.image_id for frame in frames]
    return {row: score_table(image_ids, of_row) for row, of_row in counts.items()}


def _panels(frames: list[_Frame], n_panels: int) -> list[Panel]:
    """Read evenly spaced images to show; without the frames there is nothing to look at."""
    from biostyle.data.prepared import spread
    from biostyle.io.frames import read_frame
    from biostyle.reporting.document import Panel

    panels = []
    for frame in spread(frames, n_panels):
        if frame.images is None:
            continue
        image = read_frame(frame.images)
        stylized = read_frame(frame.stylized) if frame.stylized else None
        panels.append(Panel(frame.image_id, image, stylized, **_read_masks(frame, image)))
    return panels


def _fingerprint(paths: list[Path]) -> str:
    """Digest files by content, in order."""
    import hashlib

    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _check_replaceable(folder: Path) -> None:
    """Refuse to write over anything but an earlier report."""
    from biostyle.errors import OutputError
    from biostyle.reporting.render import FILES

    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"--out must be a directory, got a file ({folder}). Choose another --out.")
    others = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if others:
        raise OutputError(
            f"--out must be new, empty or an earlier report, got {len(others)} other files such as {others[0]} "
            f"({folder}). Choose another --out."
        )


def _publish(partial: Path, out: Path) -> None:
    """Put a finished report in the place of an earlier one."""
    import shutil

    from biostyle.errors import OutputError

    try:
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except OSError as error:
        raise OutputError(
            f"--out must be writable, got {error.strerror} ({out}). The report is in {partial}."
        ) from error


def _print(out: Path) -> None:
    """Print the scores on one screen, and where the report is."""
    import json

    from rich.console import Console
    from rich.table import Table

    from biostyle.reporting import findings, tables
    from biostyle.reporting.render import HTML, SUMMARY

    summary = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
    titles = {name: name for name in summary["domains"]}
    console = Console()
    for name, domain in summary["domains"].items():
        grid = Table(
            "mask", "F", "95 % interval", "precision", "recall", "Jaccard",
            title=f"{name}: scored {domain['n_scored']} of {domain['n_frames']}",
        )  # fmt: skip
        for row, scores in tables.score_rows(domain):
            written = (tables.format_score(scores[key]) for key in ("precision", "recall", "jaccard"))
            interval = tables.format_interval(scores["ci95"])
            grid.add_row(tables.row_title(row), tables.format_score(scores["f_score"]), interval, *written)
        console.print(grid)
    for kind, sentence in findings.findings(summary, titles):
        console.print(f"{findings.EFFECTS[kind]}. {sentence}", markup=False, highlight=False)
    console.print(f"Report: {out / HTML}", soft_wrap=True, markup=False, highlight=False)
