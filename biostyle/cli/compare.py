"""The verb ``compare``: several runs of one pipeline, usually with different seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(short_help="Mean and spread of several runs' scores.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write comparison.md and comparison.json there."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON and nothing else.")
def compare(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Compare the scores of runs of the same pipeline, such as three that differ in their seed.

    Each RUN is the directory of a run or of a report, or a summary.json. For every domain and row the mean over the runs,
    the standard deviation, the smallest and the largest score are given, and what each run has chosen.
    """
    import json

    from biostyle.errors import PairingError
    from biostyle.io.atomic import write_atomically
    from biostyle.reporting.comparison import compare_runs, comparison_markdown

    files = [_summary_file(run) for run in runs]
    real = [file.resolve() for file in files]
    if twice := [run for run, file in zip(runs, real, strict=True) if real.count(file) > 1]:
        raise PairingError(f"each run must be given once, got {twice[0]} twice. Name different runs.")
    comparison = compare_runs({str(run): _read_summary(file) for run, file in zip(runs, files, strict=True)})
    markdown, text = comparison_markdown(comparison), json.dumps(comparison, indent=2) + "\n"
    if out is not None:
        write_atomically(out / "comparison.md", markdown.encode())
        write_atomically(out / "comparison.json", text.encode())
    click.echo(text if as_json else markdown, nl=False)


def _summary_file(run: Path) -> Path:
    """Find the summary of a run, wherever below the given path it is."""
    places = [run, run / "summary.json", run / "report" / "summary.json"]
    return next((place for place in places if place.is_file()), places[-1])


def _read_summary(path: Path) -> dict[str, Any]:
    """Read the summary of a run whose masks were scored."""
    import json

    from biostyle.errors import DataError

    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        scored = ["reference" in domain for domain in summary["domains"].values()]
        pipeline = summary["pipeline"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"run must hold a report's summary.json, got {error!r} ({path}). Name a finished run or report."
        ) from error
    if not all(scored):
        raise DataError(
            f"run must have scores of masks to be compared, got the summary of pipeline {pipeline!r} ({path}). "
            "Name runs of a pipeline that segments."
        )
    return summary
