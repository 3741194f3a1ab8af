"""The verb ``run``: a whole pipeline, from data to report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from biostyle.cli.display import ScreenProgress, command_line, print_summary
from biostyle.cli.options import Command, all_of


@click.group()
def run() -> None:
    """Run a whole pipeline, from data to report."""


def _what(config: str, delivered: str, out: str) -> Callable[[Command], Command]:
    """The options of every pipeline that say what is made of what, and where."""
    options = [
        click.option(
            "--config",
            default=config,
            show_default=True,
            help="A TOML file, or the name of a built-in configuration.",
        ),
        click.option(
            "--data-root",
            type=click.Path(path_type=Path),
            help=f"Folder holding {delivered} as delivered. Default: the data cache, filled as needed.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path(out),
            show_default=True,
            help="The run's directory.",
        ),
        click.option("--device", help="auto, cpu or cuda; overrides the configuration."),
        click.option("--seed", type=click.IntRange(min=0), help="Overrides the configuration."),
        click.option("--domains", help="Domains B to run, separated by commas. Default: all."),
    ]
    return all_of(*options)


def _set() -> Callable[[Command], Command]:
    """The option that overrides any setting."""
    return click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting; repeatable."
    )


def _how() -> Callable[[Command], Command]:
    """The options of every pipeline that say how a run goes about it."""
    options = [
        click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing."),
        click.option("--resume", is_flag=True, help="Go on with an interrupted training."),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else."),
    ]
    return all_of(*options)


def _with_ceiling(text: str) -> Callable[[Command], Command]:
    """The flag for a supervised ceiling."""
    return click.option("--with-ceiling", is_flag=True, help=text)


def _load(
    config: str, kind: type[Any], overrides: tuple[str, ...], domains: str | None, **given: object
) -> Any:
    """A pipeline's configuration with ``--set``, the options that were given, and only the domains wanted."""
    from biostyle.config import load_config

    options = [f"{key}={value}" for key, value in given.items() if value is not None]
    settings = load_config(config, [*overrides, *options], kind)
    return (
        settings if domains is None else settings.restrict_to([name.strip() for name in domains.split(",")])
    )


def _run(
    pipeline: Callable[..., Path],
    settings: Any,
    collections: Iterable[str],
    data_root: Path | None,
    out: Path,
    *,
    dry_run: bool,
    resume: bool,
) -> Path:
    """Run a pipeline with its progress on the screen; fetch the collections unless they are there."""
    from biostyle.artifacts import BuildOptions
    from biostyle.stages.fetch import fetch

    with ScreenProgress(out).shown() as progress:
        options = BuildOptions(resume=resume, replace=True, dry_run=dry_run, progress=progress)
        if data_root is None:
            data_root = fetch(sorted(set(collections)), options=options)
        return pipeline(settings, data_root, out, command=command_line(), options=options)


@run.command("dermoscopy")
@_what("dermoscopy/cpu", "the collections", "runs/dermoscopy")
@_set()
@_how()
def dermoscopy(
    config: str,
    data_root: Path | None,
    out: Path,
    device: str | None,
    seed: int | None,
    domains: str | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Segment lesions in ordinary photographs with a segmenter trained on dermoscopic images.

    Finished stages are kept: the same command again does nothing, and a changed setting makes again only what depends on
    it.
    """
    from biostyle.config import DermoscopyConfig
    from biostyle.pipelines import dermoscopy as pipeline

    settings = _load(config, DermoscopyConfig, overrides, domains, device=device, seed=seed)
    collections = (source.folder for domain in settings.domains.values() for source in domain.folders)
    report = _run(pipeline.run, settings, collections, data_root, out, dry_run=dry_run, resume=resume)
    if not dry_run:
        print_summary(report, as_json)


@run.command("fundus")
@_what("fundus/cpu", "the collections", "runs/fundus")
@_set()
@_with_ceiling(
    "Also train a segmenter of vessels on the poor photographs, to show how many can be found there."
)
@_how()
def fundus(
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
    """Raise the quality of fundus photographs, and measure what that does to quality, grades and vessels.

    Finished stages are kept: the same command again does nothing, and a changed setting makes again only what depends on
    it.
    """
    from biostyle.cli.quality import print_quality
    from biostyle.pipelines import fundus as pipeline

    given = {"device": device, "seed": seed, "with_ceiling": "true" if with_ceiling else None}
    settings = _load(config, pipeline.FundusConfig, overrides, domains, **given)
    sources = (*settings.fundus.folders, *settings.real)
    places = (place for source in sources for place in (source.folder, *source.tables))
    collections = (Path(place).parts[0] for place in places if not Path(place).is_absolute())
    report = _run(pipeline.run, settings, collections, data_root, out, dry_run=dry_run, resume=resume)
    if not dry_run:
        print_quality(report, as_json)


@run.command("cell-tracking")
@_what("cell_tracking/cpu", "the challenge's folders", "runs/cell-tracking")
@_set()
@_with_ceiling("Also train on B's true masks, to show what adaptation could reach at most.")
@_how()
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
    from biostyle.config import CellTrackingConfig
    from biostyle.pipelines import cell_tracking as pipeline

    given = {"device": device, "seed": seed, "with_ceiling": "true" if with_ceiling else None}
    settings = _load(config, CellTrackingConfig, overrides, domains, **given)
    folders = (domain.folder for domain in settings.domains.values())
    report = _run(pipeline.run, settings, folders, data_root, out, dry_run=dry_run, resume=resume)
    if not dry_run:
        print_summary(report, as_json)
