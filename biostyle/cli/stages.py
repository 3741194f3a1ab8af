"""The verbs from ``fetch`` to ``predict``: one stage each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from biostyle.cli.display import ScreenProgress
from biostyle.cli.options import all_of

if TYPE_CHECKING:
    from biostyle.artifacts import BuildOptions

DIRECTORY = click.Path(path_type=Path)
_both = all_of(click.argument("prepared_a", type=DIRECTORY), click.argument("prepared_b", type=DIRECTORY))
_segmenter = click.option("--segmenter", type=DIRECTORY, required=True, help="Model directory of S_A.")
# Resolved, because what is being made lies beside it under its name, and "." has none.
_out = click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, resolve_path=True),
    required=True,
    help="Directory to make.",
)
_made = all_of(
    _out,
    click.option(
        "--config",
        default="cell_tracking/cpu",
        show_default=True,
        help="A TOML file, or the name of a built-in configuration.",
    ),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting."),
)
_device = click.option("--device", help="auto, cpu or cuda; overrides the configuration.")
_trained = all_of(
    click.option("--seed", type=click.IntRange(min=0), help="Overrides the configuration."),
    _device,
    click.option("--resume", is_flag=True, help="Go on with an interrupted training."),
)


def _run(out: Path, stage: Callable[[BuildOptions], Any], resume: bool = False) -> None:
    """Run one stage with its progress on the screen."""
    from biostyle.artifacts import BuildOptions

    with ScreenProgress(out.parent).shown() as progress:
        stage(BuildOptions(resume=resume, progress=progress))
    click.echo(out)


def _seeded(seed: int | None) -> list[str]:
    """Write --seed as an override, so that it is checked like any other."""
    return [] if seed is None else [f"seed={seed}"]


def _named_directories(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Path]:
    """Read NAME=DIR, in the order given."""
    directories: dict[str, Path] = {}
    for text in values:
        name, equals, directory = text.partition("=")
        if not (name and equals and directory) or name in directories:
            raise click.BadParameter(f"must be NAME=DIR with another NAME each time, got {text!r}.")
        directories[name] = Path(directory)
    return directories


@click.command()
@click.argument("names", nargs=-1, required=True)
def fetch(names: tuple[str, ...]) -> None:
    """Make sure that the data sets NAMES are in the cache; `biostyle data fetch` has all the options."""
    from biostyle.artifacts import BuildOptions
    from biostyle.stages.fetch import fetch as stage

    with ScreenProgress(Path()).shown() as progress:
        click.echo(stage(list(names), options=BuildOptions(progress=progress)))


@click.command()
@click.option("--data-root", type=DIRECTORY, required=True, help="Folder holding the folders as delivered.")
@click.option("--domain", required=True, help="Which of the configuration's domains.")
@_made
def prepare(data_root: Path, domain: str, out: Path, config: str, overrides: tuple[str, ...]) -> None:
    """Check a delivered folder, split it, and write it under one naming scheme."""
    from biostyle.config import load_config
    from biostyle.stages.prepare import prepare as stage

    settings = load_config(config, list(overrides))
    name = settings.known_domain(domain)
    annotated = name == settings.domain_a
    _run(
        out,
        lambda options: stage(
            data_root, out, settings.domains[name], settings.split, annotated=annotated, options=options
        ),
    )


@click.command("train-segmenter")
@click.argument("prepared_a", type=DIRECTORY)
@_made
@_trained
def train_segmenter(
    prepared_a: Path,
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str | None,
    resume: bool,
) -> None:
    """Train S_A on the prepared domain PREPARED_A."""
    from biostyle.config import load_config
    from biostyle.stages.train_segmenter import train_segmenter as stage

    settings = load_config(config, [*overrides, *_seeded(seed)])
    _run(
        out,
        lambda options: stage(
            prepared_a,
            out,
            settings.segmenter,
            settings.preprocessing,
            seed=settings.seed,
            device=device or settings.device,
            options=options,
        ),
        resume,
    )


@click.command()
@click.argument("prepared_b", type=DIRECTORY)
@_segmenter
@_made
@_device
def match(
    prepared_b: Path,
    segmenter: Path,
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    device: str | None,
) -> None:
    """Search the deterministic chains for the prepared domain PREPARED_B, without its masks."""
    from biostyle.config import load_config
    from biostyle.stages.match import match as stage

    settings = load_config(config, list(overrides))
    _run(
        out,
        lambda options: stage(
            prepared_b,
            segmenter,
            out,
            settings.matching,
            device=device or settings.device,
            options=options,
        ),
    )


@click.command("adapt-statistics")
@_both
@_segmenter
@click.option(
    "--matching", type=DIRECTORY, required=True, help="Directory made by match, whose chain to stand behind."
)
@_made
@_device
def adapt_statistics(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    matching: Path,
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    device: str | None,
) -> None:
    """Tell the batch normalisation of S_A what the prepared domain PREPARED_B is like, without masks or training."""
    from biostyle.config import load_config
    from biostyle.stages.adapt_statistics import adapt_statistics as stage

    settings = load_config(config, list(overrides))
    _run(
        out,
        lambda options: stage(
            prepared_a, prepared_b, segmenter, matching, out, settings.adabn,
            device=device or settings.device, options=options,
        ),
    )  # fmt: skip


@click.command("train-stylizer")
@_both
@click.option("--segmenter", type=DIRECTORY, help="Model directory of S_A, to be put in the loop.")
@click.option("--matching", type=DIRECTORY, help="Directory made by match, to begin from; needs --segmenter.")
@_made
@_trained
def train_stylizer(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path | None,
    matching: Path | None,
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str | None,
    resume: bool,
) -> None:
    """Train the generators between the prepared domains PREPARED_A and PREPARED_B.

    On frames as they are, with the settings [cyclegan]; or, with --segmenter and --matching, behind the best chain and
    with S_A in the loop, with the settings [cyclegan_sa].
    """
    from biostyle.config import load_config
    from biostyle.stages import train_stylizer as stages

    settings = load_config(config, [*overrides, *_seeded(seed)])
    where: dict[str, Any] = {"seed": settings.seed, "device": device or settings.device}
    if (segmenter is None) != (matching is None):
        raise click.UsageError("Give --segmenter and --matching together, or neither.")
    if segmenter is None or matching is None:
        _run(
            out,
            lambda options: stages.train_stylizer(
                prepared_a,
                prepared_b,
                out,
                settings.cyclegan,
                settings.preprocessing,
                **where,
                options=options,
            ),
            resume,
        )
    else:
        _run(
            out,
            lambda options: stages.train_stylizer_in_the_loop(
                prepared_a,
                prepared_b,
                segmenter,
                matching,
                out,
                settings.cyclegan_sa,
                **where,
                options=options,
            ),
            resume,
        )


@click.command()
@_both
@_segmenter
@click.option(
    "--teacher", type=DIRECTORY, required=True, help="Directory made by match, whose masks are learned from."
)
@click.option(
    "--rival",
    "rivals",
    type=DIRECTORY,
    multiple=True,
    help="Directory made by adapt-statistics or train-stylizer, with --matching TEACHER, whose masks are learned from instead "
    "where they find more; once for each, the simplest first.",
)
@click.option(
    "--renderer",
    type=DIRECTORY,
    help="Directory made by train-stylizer, which renders A in B's look to learn from too.",
)
@click.option(
    "--favour-rare",
    "plain",
    type=DIRECTORY,
    help="Directory made by this command without it. In doubt, call a pixel what is rarer, foreground or background, and "
    "average the weights with those of that directory: the candidate retrain_rare.",
)
@click.option("--supervised", is_flag=True, help="Learn from B's true masks instead: the ceiling.")
@_made
@_trained
def retrain(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    teacher: Path,
    rivals: tuple[Path, ...],
    renderer: Path | None,
    plain: Path | None,
    supervised: bool,
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str | None,
    resume: bool,
) -> None:
    """Train S_B, starting from S_A, for the prepared domain PREPARED_B, without its masks."""
    if plain is not None and supervised:
        raise click.UsageError("True masks leave no doubt. Give --favour-rare or --supervised, not both.")
    if rivals and supervised:
        raise click.UsageError("True masks have no rival. Give --rival or --supervised, not both.")
    from biostyle.config import load_config
    from biostyle.stages.retrain import retrain as stage

    settings = load_config(config, [*overrides, *_seeded(seed)])
    _run(
        out,
        lambda options: stage(
            prepared_a,
            prepared_b,
            segmenter,
            teacher,
            out,
            settings.retrain,
            rivals=rivals,
            renderer=renderer,
            plain=plain,
            supervised=supervised,
            seed=settings.seed,
            device=device or settings.device,
            options=options,
        ),
        resume,
    )


@click.command()
@_both
@_segmenter
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    required=True,
    metavar="NAME=DIR",
    callback=_named_directories,
    help="Directory made by match, adapt-statistics, train-stylizer or retrain; once for each candidate, the simplest first. "
    "Edges are looked at in the size that the first one brings frames to.",
)
@_made
@_device
def select(
    prepared_a: Path,
    prepared_b: Path,
    segmenter: Path,
    candidates: dict[str, Path],
    out: Path,
    config: str,
    overrides: tuple[str, ...],
    device: str | None,
) -> None:
    """Choose among candidates for the prepared domain PREPARED_B, without its masks."""
    from biostyle.config import load_config
    from biostyle.stages.select import read_choice
    from biostyle.stages.select import select as stage

    settings = load_config(config, list(overrides))
    _run(
        out,
        lambda options: stage(
            prepared_a,
            prepared_b,
            segmenter,
            candidates,
            out,
            n_frames=settings.matching.n_frames,
            device=device or settings.device,
            options=options,
        ),
    )
    choice = read_choice(out)
    click.echo(f"{choice['chosen']}: {choice['verdict']}. {choice['reason']}")


@click.command()
@click.argument("prepared", type=DIRECTORY)
@_segmenter
@click.option("--candidate", type=DIRECTORY, help="Directory made by match, train-stylizer or retrain.")
@_out
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def predict(prepared: Path, segmenter: Path, candidate: Path | None, out: Path, device: str) -> None:
    """Segment the test frames of the prepared domain PREPARED, as they are or with a candidate."""
    from biostyle.stages.predict import predict as stage

    _run(
        out,
        lambda options: stage(
            prepared, out, segmenter=segmenter, candidate=candidate, device=device, options=options
        ),
    )
