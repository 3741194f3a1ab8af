"""The verbs ``quality``, ``quality-report`` and ``enhance``: a finished fundus run on anybody's photographs."""

from __future__ import annotations

from pathlib import Path

import click

from biostyle.cli.display import LOG_WIDTH, ScreenProgress, command_line

_DIRECTORY = click.Path(path_type=Path)


@click.command()
@click.argument("images", type=_DIRECTORY)
@click.option(
    "--model",
    type=_DIRECTORY,
    required=True,
    help="Classifier of quality: OUT/quality of `biostyle run fundus`.",
)
@click.option("-o", "--out", type=_DIRECTORY, help="CSV file to write. Default: print it.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def quality(images: Path, model: Path, out: Path | None, device: str) -> None:
    """Say of fundus photographs, a file or a folder of them, whether they are good, usable or to be rejected.

    A photograph that shows no fundus, or cannot be read, gets a row that says so.
    """
    from biostyle.io.atomic import write_atomically
    from biostyle.stages.quality_files import rate_files

    with ScreenProgress(images).shown() as progress:
        table = rate_files(images, model, device=device, progress=progress)
    text = table.to_csv(index=False, lineterminator="\n")
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())
        click.echo(f"{len(table)} photographs: {out}", err=True)


@click.command("quality-report")
@click.argument("before", type=_DIRECTORY)
@click.argument("after", type=_DIRECTORY)
@click.option(
    "--model",
    type=_DIRECTORY,
    required=True,
    help="Classifier of quality: OUT/quality of `biostyle run fundus`.",
)
@click.option("-o", "--out", type=_DIRECTORY, required=True, help="Directory for the report.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
def quality_report(before: Path, after: Path, model: Path, out: Path, device: str, as_json: bool) -> None:
    """Compare two folders of fundus photographs with the same names, before and after a translation."""
    from biostyle.artifacts import BuildOptions
    from biostyle.stages.quality_files import compare_folders

    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(replace=True, progress=progress)
        report = compare_folders(
            before, after, model, out, device=device, command=command_line(), options=options
        )
    print_quality(report, as_json)


@click.command()
@click.argument("images", type=_DIRECTORY)
@click.option("--run", type=_DIRECTORY, required=True, help="Finished run: OUT of `biostyle run fundus`.")
@click.option("-o", "--out", type=_DIRECTORY, required=True, help="Folder for the results, new or empty.")
@click.option(
    "--candidate",
    help="matching_NAME, restored, restored_NAME, agnostic, or a defect or real for its stylizer. Default: the chosen one.",
)
@click.option("--good-too", is_flag=True, help="Translate good photographs as well, instead of copying them.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def enhance(images: Path, run: Path, out: Path, candidate: str | None, good_too: bool, device: str) -> None:
    """Make poor fundus photographs, a file or a folder of them, look like good ones.

    Photographs keep their size; good ones are copied. OUT/quality.csv says what became of each. Exit status 3: some
    photographs could not be read or show no fundus; the others were written.
    """
    from biostyle.errors import DataError
    from biostyle.pipelines.fundus import find_stylizer
    from biostyle.stages.enhance_files import TABLE, enhance_files

    with ScreenProgress(out).shown() as progress:
        table = enhance_files(
            images, out, find_stylizer(run, candidate), run / "quality",
            good_too=good_too, device=device, progress=progress,
        )  # fmt: skip
    failed = table[table["problem"].notna()]
    for problem in failed["problem"]:
        click.echo(problem, err=True)
    poor = table[table["quality"] != "good"].dropna(subset="written")
    better = int((poor["quality_after"] == "good").sum())
    click.echo(
        f"Photographs: {len(table)}; not good: {len(poor)}, of which the classifier calls {better} good now"
    )
    click.echo(f"Table: {out / TABLE}")
    if len(failed):
        raise SystemExit(DataError.exit_code)


def print_quality(report: Path, as_json: bool) -> None:
    """Print the quality before and after of a finished report and say where the report is.

    Parameters
    ----------
    report : Path
        The report's directory.
    as_json : bool
        Print ``summary.json`` instead, and nothing else.
    """
    import json
    import sys

    text = (report / "summary.json").read_text(encoding="utf-8")
    if as_json:
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.table import Table

    from biostyle.reporting.quality import TITLES
    from biostyle.reporting.quality_page import headline
    from biostyle.reporting.tables import format_score, format_share, format_signed

    summary = json.loads(text)
    grid = Table(title=headline(summary), title_justify="left", box=None)
    for name in ("", "good", "usable", "reject", "net shift", "vessel F", "kappa", "grade shift"):
        grid.add_column(name, justify="right" if name else "left")
    for domain in summary["domains"].values():
        grid.add_row(f"{domain['title']}, {domain['n']} photographs")
        for name, row in domain["candidates"].items():
            grading, vessels, after = row["grading"], row["vessels"], row["quality"]["after"]
            grid.add_row(
                f"  {TITLES.get(name, name)}{' (chosen)' if name == domain['chosen'] else ''}",
                *(format_share(after[quality]) for quality in ("good", "usable", "reject")),
                format_signed(row["quality"]["net_shift_to_good"]["value"]),
                format_score(vessels["f_after"]["value"] if vessels else None),
                format_score(grading["kappa_after"]["value"] if grading else None),
                format_signed(grading["mean_grade_shift"]["value"] if grading else None),
            )
    Console(width=None if sys.stdout.isatty() else LOG_WIDTH).print(grid)
    if summary["verdict"]:
        click.echo(f"Verdict: {summary['verdict']}. {summary['reason']}.")
    click.echo(f"Report: {report / 'index.html'}")
