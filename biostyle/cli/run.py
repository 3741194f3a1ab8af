"""The verb ``run``: a whole pipeline, from data to report."""

from __future__ import annotations

from pathlib import Path

import click

from biostyle.cli.display import ScreenProgress, command_line, print_summary


@click.group()
def run() -> None:
    """Run a whole pipeline, from data to report."""


@run.command("dermoscopy")
@click.option(
    "--config",
    default="dermoscopy/cpu",
    show_default=True,
    help="A TOML file, or the name of a built-in configuration.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder holding the collections as delivered. Default: the data cache, filled as needed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/dermoscopy"),
    show_default=True,
    help="The run's directory.",
)
@click.option("--device", help="auto, cpu or cuda; overrides the configuration.")
@click.option("--seed", type=click.IntRange(min=0), help="Overrides the configuration.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted training.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
def dermoscopy(
    config: str,
    data_root: Path | None,
    out: Path,
    device: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Segment lesions in ordinary photographs with a segmenter trained on dermoscopic images.

    Finished stages are kept: the same command again does nothing, and a changed setting makes again only what depends on
    it.
    """
    from biostyle.artifacts import BuildOptions
    from biostyle.config import DermoscopyConfig, load_config
    from biostyle.pipelines import dermoscopy as pipeline
    from biostyle.stages.fetch import fetch

    given = {"device": device, "seed": seed}
    settings = load_config(
        config,
        [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)],
        DermoscopyConfig,
    )
    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(resume=resume, replace=True, dry_run=dry_run, progress=progress)
        if data_root is None:
            sources = (source for domain in settings.domains.values() for source in domain.folders)
            data_root = fetch(sorted({source.folder for source in sources}), options=options)
        report = pipeline.run(settings, data_root, out, command=command_line(), options=options)
    if not dry_run:
        print_summary(report, as_json)


@run.command("fundus")
@click.option(
    "--config",
    default="fundus/cpu",
    show_default=True,
    help="A TOML file, or the name of a built-in configuration.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder holding the collections as delivered. Default: the data cache, filled as needed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/fundus"),
    show_default=True,
    help="The run's directory.",
)
@click.option("--device", help="auto, cpu or cuda; overrides the configuration.")
@click.option("--seed", type=click.IntRange(min=0), help="Overrides the configuration.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted training.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
def fundus(
    config: str,
    data_root: Path | None,
    out: Path,
    device: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Raise the quality of fundus photographs, and measure what that does to quality, grades and vessels.

    Finished stages are kept: the same command again does nothing, and a changed setting makes again only what depends on
    it.
    """
    from biostyle.artifacts import BuildOptions
    from biostyle.cli.quality import print_quality
    from biostyle.config import load_config
    from biostyle.pipelines import fundus as pipeline
    from biostyle.stages.fetch import fetch

    given = {"device": device, "seed": seed}
    settings = load_config(
        config,
        [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)],
        pipeline.FundusConfig,
    )
    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(resume=resume, replace=True, dry_run=dry_run, progress=progress)
        if data_root is None:
            places = (
                place for source in settings.fundus.folders for place in (source.folder, *source.tables)
            )
            data_root = fetch(sorted({Path(place).parts[0] for place in places}), options=options)
        report = pipeline.run(settings, data_root, out, command=command_line(), options=options)
    if not dry_run:
        print_quality(report, as_json)


@run.command("cell-tracking")
@click.option(
    "--config",
    default="cell_tracking/cpu",
    show_default=True,
    help="A TOML file, or the name of a built-in configuration.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder holding the challenge's folders as delivered. Default: the data cache, filled as needed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/cell-tracking"),
    show_default=True,
    help="The run's directory.",
)
@click.option("--device", help="auto, cpu or cuda; overrides the configuration.")
@click.option("--seed", type=click.IntRange(min=0), help="Overrides the configuration.")
@click.option("--domains", help="Domains B to run, separated by commas. Default: all.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting; repeatable."
)
@click.option(
    "--with-ceiling",
    is_flag=True,
    help="Also train on B's true masks, to show what adaptation could reach at most.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted training.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
def cell_tracking(
    config: str,
    data_root: Path | None,
    out: Path,
    device: str | None,
    seed: int | None,
    domains: str | None,
    overrides: tuple[str, ...],
    with_ceiling: bool,
    dry_run: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Segment other microscopes' images with a segmenter trained on phase contrast.

    Finished stages are kept: the same command again does nothing, and a changed setting makes again only what depends on
    it.
    """
    from biostyle.artifacts import BuildOptions
    from biostyle.config import load_config
    from biostyle.pipelines import cell_tracking as pipeline
    from biostyle.stages.fetch import fetch

    given = {"device": device, "seed": seed, "with_ceiling": "true" if with_ceiling else None}
    settings = load_config(
        config, [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    )
    if domains is not None:
        settings = settings.restrict_to([name.strip() for name in domains.split(",")])
    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(resume=resume, replace=True, dry_run=dry_run, progress=progress)
        if data_root is None:
            folders = sorted({domain.folder for domain in settings.domains.values()})
            data_root = fetch(folders, options=options)
        report = pipeline.run(settings, data_root, out, command=command_line(), options=options)
    if not dry_run:
        print_summary(report, as_json)
