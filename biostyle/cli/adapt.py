"""The verb ``adapt``: anybody's segmenter, anybody's folders."""

from __future__ import annotations

from pathlib import Path

import click

from biostyle.cli.display import ScreenProgress, command_line, print_summary

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.option(
    "--segmenter",
    metavar="DIR|FILE|MODULE:FACTORY",
    help="S_A: a model directory, a TorchScript or .pt2 file, or a Python factory. Default: a U-Net is trained on A.",
)
@click.option(
    "--multiple",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="What the sides of a file's or a factory's images must be multiples of.",
)
@click.option("--images-a", type=_FOLDER, required=True, help="Images that S_A was made for.")
@click.option(
    "--masks-a", type=_FOLDER, help="Their masks, for some or all. Default: those of a challenge folder."
)
@click.option("--images-b", type=_FOLDER, required=True, help="Images of the new kind.")
@click.option("--masks-b", type=_FOLDER, help="Their masks, if any; only the report looks at them.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, resolve_path=True),
    required=True,
    help="The run's directory.",
)
@click.option(
    "--config",
    default="adapt",
    show_default=True,
    help="A TOML file, or the name of a built-in configuration.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting; repeatable."
)
@click.option("--device", help="auto, cpu or cuda; overrides the configuration.")
@click.option("--seed", type=click.IntRange(min=0), help="Overrides the configuration.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted training.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
def adapt(
    segmenter: str | None,
    multiple: int,
    images_a: Path,
    masks_a: Path | None,
    images_b: Path,
    masks_b: Path | None,
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    device: str | None,
    seed: int | None,
    dry_run: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Adapt a segmenter of images A to images B, of which no masks are needed.

    The adapted model will be OUT/model and the report OUT/report/index.html. A file or a factory given as segmenter is a
    program, and is run.
    """
    from biostyle.artifacts import BuildOptions
    from biostyle.config import AdaptConfig, load_config
    from biostyle.pipelines import adapt as pipeline
    from biostyle.stages.inspect import find_masks

    masks_a = masks_a or find_masks(images_a)
    if segmenter is None and masks_a is None:
        raise click.UsageError("Give --segmenter, or --masks-a to train one.")
    given = {"device": device, "seed": seed}
    settings = load_config(
        config,
        [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)],
        AdaptConfig,
    )
    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(resume=resume, replace=True, dry_run=dry_run, progress=progress)
        data = pipeline.Given(images_a, images_b, masks_a, masks_b, segmenter, multiple)
        report = pipeline.run(settings, data, out, command=command_line(), options=options)
    if not dry_run:
        print_summary(report, as_json)
        if not as_json:
            click.echo(f"Adapted model: {out / 'model'}")
