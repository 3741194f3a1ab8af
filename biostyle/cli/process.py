"""The verbs ``stylize``, ``segment`` and ``preview``: an adapted model on anybody's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from biostyle.cli.display import ScreenProgress
from biostyle.cli.options import all_of

if TYPE_CHECKING:
    from biostyle.io.inputs import InputFile
    from biostyle.stages.process_files import FileResult, Task

_DIRECTORY = click.Path(path_type=Path)


def _shard(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read I/N, counted from 1."""
    if value is None:
        return None
    position, slash, total = value.partition("/")
    if not (slash and position.isdecimal() and total.isdecimal() and 1 <= int(position) <= int(total)):
        raise click.BadParameter(f"must be I/N with I from 1 to N, such as 2/8, got {value!r}.")
    return int(position), int(total)


_reading = all_of(
    click.argument("inputs", nargs=-1, required=True, metavar="INPUT..."),
    click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path, resolve_path=True),
        required=True,
        help="Folder for the results, apart from the INPUTS.",
    ),
    click.option(
        "--model", type=_DIRECTORY, required=True, help="Adapted model: OUT/model of `biostyle adapt`."
    ),
    click.option("--axes", help="What the dimensions are, such as TYX, where files do not say."),
    click.option(
        "--channel", type=click.IntRange(0), help="Channel or colour, from 0. Default: each by itself."
    ),
    click.option("--series", type=click.IntRange(0), help="Image of a file that holds several, from 0."),
    click.option(
        "--statistics",
        type=click.Choice(["frame", "stack", "train"]),
        default="frame",
        show_default=True,
        help="What the generator normalises with: each plane's statistics, a file's, or those of its training.",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--overwrite", is_flag=True, help="Replace older results that were made otherwise."),
)
_running = all_of(
    click.option("--suffix", default="", help="Added to the names of results, such as _stylized."),
    click.option(
        "--workers",
        type=click.IntRange(1),
        default=2,
        show_default=True,
        help="Files read and written at a time, while one is computed; with --dask local, processes.",
    ),
    click.option("--shard", callback=_shard, metavar="I/N", help="Do the I-th of N parts, from 1/N to N/N."),
    click.option("--dask", metavar="ADDRESS", help="Compute on a Dask cluster: tcp://HOST:PORT, or local."),
    click.option(
        "--dry-run", is_flag=True, help="Open the files, say what would be done, and write nothing."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print what became of each file as JSON."),
)


@click.command(short_help="Bring image files to the style that the segmenter knows.")
@_reading
@click.option(
    "--dtype",
    type=click.Choice(["same", "uint8", "uint16", "float32"]),
    default="same",
    show_default=True,
    help="Pixel type of the results; [0, 1] becomes the whole range of an integer type.",
)
@_running
def stylize(
    inputs: tuple[str, ...],
    axes: str | None,
    channel: int | None,
    series: int | None,
    statistics: Literal["frame", "stack", "train"],
    overwrite: bool,
    dtype: str,
    suffix: str,
    **running: Any,
) -> None:
    """Stylize files, folders or patterns: a file of the same kind, size and axes for each INPUT.

    A second run does what is missing. Exit status 3: some files could not be processed; the others were.
    """
    from biostyle.stages.process_files import Task

    task = Task("stylize", axes, series, channel, dtype=dtype, statistics=statistics, overwrite=overwrite)
    _process(inputs, task, {"suffix": suffix}, **running)


@click.command(short_help="Segment image files.")
@_reading
@click.option(
    "--labels",
    type=click.Choice(["binary", "components", "watershed"]),
    help="0 and 255, numbered objects, or numbered objects cut apart at necks. "
    "Default: binary; with --ctc, components.",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint16", "uint32"]),
    help="Pixel type of numbered objects; uint32 for more than 65535 in a plane. Default: uint16.",
)
@click.option(
    "--ctc", is_flag=True, help="Name results NN_RES/maskTTT.tif, as the Cell Tracking Challenge does."
)
@_running
def segment(
    inputs: tuple[str, ...],
    axes: str | None,
    channel: int | None,
    series: int | None,
    statistics: Literal["frame", "stack", "train"],
    overwrite: bool,
    labels: Literal["binary", "components", "watershed"] | None,
    dtype: Literal["uint16", "uint32"] | None,
    ctc: bool,
    suffix: str,
    **running: Any,
) -> None:
    """Segment files, folders or patterns as they are: a mask on each plane's own grid for each INPUT.

    A second run does what is missing. Exit status 3: some files could not be processed; the others were.
    """
    from biostyle.stages.process_files import Task

    if ctc and (labels == "binary" or dtype == "uint32" or suffix):
        raise click.UsageError(
            "--ctc wants objects numbered in 16 bits and names of its own. "
            "Leave --labels binary, --dtype uint32 and --suffix out."
        )
    labels = labels or ("components" if ctc else "binary")
    if dtype and labels == "binary":
        raise click.UsageError("--dtype is for numbered objects. Add --labels, or leave it out.")
    task = Task(
        "segment",
        axes,
        series,
        channel,
        labels=None if labels == "binary" else labels,
        label_dtype=dtype or "uint16",
        statistics=statistics,
        overwrite=overwrite,
    )
    _process(inputs, task, {"suffix": suffix, "challenge_names": ctc}, **running)


@click.command(short_help="Draw image files before and after stylization.")
@_reading
@click.option("-n", "--n-files", type=click.IntRange(1), default=4, show_default=True, help="Files to draw.")
def preview(
    inputs: tuple[str, ...],
    out: Path,
    model: Path,
    axes: str | None,
    channel: int | None,
    series: int | None,
    statistics: Literal["frame", "stack", "train"],
    device: str,
    overwrite: bool,
    n_files: int,
) -> None:
    """Draw the middle plane of some INPUT files before | after, to be looked at before all are processed."""
    from biostyle.application import load
    from biostyle.io.inputs import find_inputs
    from biostyle.stages.preview_files import preview_files
    from biostyle.stages.process_files import Task

    task = Task("stylize", axes, series, channel, statistics=statistics, overwrite=overwrite)
    files = find_inputs(inputs, out=out)
    loaded = load(model, device)
    with ScreenProgress(out).shown() as progress:
        progress.stage("preview", f"{len(files)} files")
        results = preview_files(loaded, files, out, task, n_files, progress)
    for result in results:
        if result.status != "failed":
            click.echo(result.output)
    _exit(results)


def _process(
    inputs: tuple[str, ...],
    task: Task,
    naming: dict[str, Any],
    *,
    out: Path,
    model: Path,
    device: str,
    workers: int,
    shard: tuple[int, int] | None,
    dask: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find the files, process them, and say what became of them."""
    from biostyle.application import load
    from biostyle.io.inputs import find_inputs
    from biostyle.stages.process_files import process_files

    if dask and dry_run:
        raise click.UsageError("--dry-run opens the files here. Leave --dask out.")
    files = _part(find_inputs(inputs, out=out, **naming), shard)
    loaded = load(model, device)
    with ScreenProgress(out).shown() as progress:
        progress.stage(task.verb, f"{len(files)} files")
        if dask:
            from biostyle.stages.files_on_dask import process_files_on_dask

            loaded.check(task.verb, task.statistics)
            results = process_files_on_dask(
                dask, model, device, files, out, task, workers=workers, progress=progress
            )
        else:
            results = process_files(
                loaded, files, out, task, workers=workers, dry_run=dry_run, progress=progress
            )
    _summarise(results, task.request(loaded), out, dry_run, as_json)
    _exit(results)


def _part(files: list[InputFile], shard: tuple[int, int] | None) -> list[InputFile]:
    """Take every N-th file, under its absolute name, so that the records do not depend on who wrote them."""
    from dataclasses import replace

    position, total = shard or (1, 1)
    return [replace(file, path=file.path.absolute()) for file in files[position - 1 :: total]]


def _summarise(
    results: list[FileResult], request: dict[str, Any], out: Path, dry_run: bool, as_json: bool
) -> None:
    """Print counts, warnings and failures, or all of it as JSON."""
    import json
    from collections import Counter
    from dataclasses import asdict

    counts = Counter(result.status for result in results)
    if as_json:
        summary = {
            "schema": 1,
            "request": request,
            "counts": dict(counts),
            "files": [asdict(result) for result in results],
        }
        click.echo(json.dumps(summary, indent=1, ensure_ascii=False))
        return
    for result in results:
        for warning in result.warnings:
            click.echo(f"Warning: {warning}", err=True)
        if dry_run and result.status != "failed":
            click.echo(f"{result.status}: {result.output}")
    text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"
    click.echo(f"Files: {text} ({out})")
    failed = [result.source for result in results if result.status == "failed"]
    if failed:
        click.echo("\n".join(["Failed:", *failed]), err=True)


def _exit(results: list[FileResult]) -> None:
    """Leave with the status of bad data if a file failed."""
    from biostyle.errors import DataError

    if any(result.status == "failed" for result in results):
        raise SystemExit(DataError.exit_code)
