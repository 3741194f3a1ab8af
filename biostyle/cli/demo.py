"""The verb ``demo``: everything, on simulated images, in two minutes."""

from __future__ import annotations

from pathlib import Path

import click

from biostyle.cli.display import ScreenProgress, command_line, print_summary


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("biostyle-demo"),
    show_default=True,
    help="The demo's directory.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Source of all chance."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
def demo(out: Path, seed: int, device: str, as_json: bool) -> None:
    """Simulate two microscopes, train a segmenter and a stylizer, and report before and after.

    Offline, on a CPU, in under three minutes. Nothing is precomputed.
    """
    from biostyle.artifacts import BuildOptions
    from biostyle.config import load_config
    from biostyle.pipelines import demo as pipeline

    config = load_config("demo", [f"seed={seed}", f"device={device}"])
    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(resume=True, replace=True, progress=progress)
        report = pipeline.run(config, out, command=command_line(), options=options)
    print_summary(report, as_json)
