"""Offer a segmenter images that it should not be adapted to, and print what the race says.

Pure noise, blurred noise and empty frames with sensor noise are made here; further folders of images (of another kind, or
more of A) are named on the command line. They are shown in gray, or in colour where A is in colour. The race without its
learned candidates runs on each, with the grid of cell_tracking/cpu or, in colour, of dermoscopy/cpu; what it must say is
"don't adapt". Races of finished runs can be named to compare with.

    python benchmarks/do_no_harm.py RUN/segmenter RUN/prepared/nikon --more fundus=DIR --race ZEISS=RUN/candidates/zeiss
    python benchmarks/do_no_harm.py RUN/segmenter RUN/prepared/dermoscopic --more fundus=DIR --json build/no_harm.json
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from PIL import Image
from scipy import ndimage

from biostyle.artifacts import BuildOptions
from biostyle.config import DermoscopyConfig, load_config
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_photographs import PhotographDomainSettings
from biostyle.data.prepared import load_prepared, spread
from biostyle.matching.grid import GridSettings
from biostyle.stages.match import match, read_concord
from biostyle.stages.prepare import prepare_folder
from biostyle.stages.prepare_photographs import prepare_photographs
from biostyle.stages.select import read_choice, select
from biostyle.types import NDArray

SHAPE = (384, 512)


class Kind(NamedTuple):
    """How images are shown, how many, and the chains to try."""

    mode: str
    n_frames: int
    grid: GridSettings


def prepare_case(root: Path, name: str, frames: list[NDArray], kind: Kind) -> Path:
    """Write frames as files and prepare them as a domain B without masks."""
    (root / "images").mkdir(parents=True)
    for position, frame in enumerate(frames):
        Image.fromarray(frame).convert(kind.mode).save(root / "images" / f"{position}.png")
    options = BuildOptions()
    if kind.mode == "L":
        return prepare_folder(root / "images", None, root / "b", name=name, part="train", options=options)
    folder = {"reader": "folder", "folder": "images"}
    domain = PhotographDomainSettings.model_validate({"title": name, "folders": [folder]})
    split = GroupSplitSettings(test_fraction=0.2, validation_fraction=0, seed=1)
    return prepare_photographs(root, root / "b", domain, split, annotated=False, options=options)


def simulated(seed: int, n_frames: int) -> dict[str, list[NDArray]]:
    """Frames without any object in them."""
    rng = np.random.default_rng(seed)

    def noise(sigma: float, blur: float = 0.0) -> NDArray:
        values = rng.normal(0, 1, SHAPE)
        if blur:
            values = ndimage.gaussian_filter(values, blur)
            values /= values.std()
        return (100 + sigma * values).clip(0, 255).astype(np.uint8)

    return {
        "noise": [noise(20) for _ in range(n_frames)],
        "blurred noise": [noise(20, blur=4) for _ in range(n_frames)],
        "empty, with sensor noise": [noise(2) for _ in range(n_frames)],
    }


def read(folder: Path, kind: Kind) -> list[NDArray]:
    """A few evenly spaced images of a folder."""
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif"}
    )
    if not paths:
        raise click.BadParameter(f"must hold images, got none in {folder}.")
    return [np.asarray(Image.open(path).convert(kind.mode)) for path in spread(paths, kind.n_frames)]


def summarise(matching: Path, choice: dict[str, Any]) -> dict[str, Any]:
    """What the race says, and what it says it for."""
    scores = choice["candidates"]
    return {
        "verdict": choice["verdict"],
        "before": scores["before"]["label_free"],
        **{name: scores["matching"].get(name) for name in ("label_free", "edge_support", "relative_area")},
        "concord": read_concord(matching),
    }


@click.command()
@click.argument("segmenter", type=click.Path(path_type=Path, exists=True))
@click.argument("prepared_a", type=click.Path(path_type=Path, exists=True))
@click.option("--more", multiple=True, metavar="NAME=DIR", help="A further folder of images; repeatable.")
@click.option(
    "--race",
    multiple=True,
    metavar="NAME=DIR",
    help="The folder of a domain's candidates in a finished run, to compare with; repeatable.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--quick", is_flag=True, help="Few chains: to see that it runs.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here as well.")
def main(
    segmenter: Path,
    prepared_a: Path,
    more: tuple[str, ...],
    race: tuple[str, ...],
    device: str,
    seed: int,
    quick: bool,
    json_path: Path | None,
) -> None:
    """Run the deterministic race on images that nobody should adapt to."""
    domain_a = load_prepared(prepared_a)
    kind = Kind("L", 3, GridSettings())
    if domain_a.read_image(domain_a.rows[0]).ndim == 3:
        kind = Kind("RGB", 12, load_config("dermoscopy/cpu", [], DermoscopyConfig).matching)
    if quick:
        kind = kind._replace(grid=kind.grid.model_copy(update={"scales": (0.5,), "tones": ("linear",)}))
    cases = {
        "more of A": [domain_a.read_image(row) for row in spread(domain_a.frames("test"), kind.n_frames)],
        **simulated(seed, kind.n_frames),
        **{name: read(Path(folder), kind) for name, _, folder in (text.partition("=") for text in more)},
    }
    options, figures = BuildOptions(), {}

    def say(name: str, found: dict[str, Any]) -> None:
        figures[name] = found
        click.echo(
            f"{name:25} {found['verdict']:16} before {found['before']:.3f}  matching {found['label_free']:.3f}  "
            f"concord {found['concord']:.2f}  support {found['edge_support']:.2f}  "
            f"relative area {found['relative_area'] or 0:.2g}"
        )

    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, frames) in enumerate(cases.items()):
            root = Path(scratch) / str(number)
            prepared = prepare_case(root, name, frames, kind)
            matching = match(
                prepared,
                segmenter,
                root / "matching",
                kind.grid,
                prepared_a=prepared_a,
                device=device,
                options=options,
            )
            choice = select(
                prepared_a,
                prepared,
                segmenter,
                {"matching": matching},
                root / "choice",
                n_frames=kind.grid.n_frames,
                device=device,
                options=options,
            )
            say(name, summarise(matching, read_choice(choice)))
    for name, _, folder in (text.partition("=") for text in race):
        say(name, summarise(Path(folder) / "matching", read_choice(Path(folder) / "choice")))
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
