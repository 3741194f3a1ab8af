"""Offer a segmenter images that it should not be adapted to, and print what the race says.

Pure noise, blurred noise, empty frames and empty frames with sensor noise are made here; further folders of images (of
another kind, or more of A) are named on the command line and shown in gray. The whole race but for its learned candidates
runs on each; what it must say is "don't adapt".

    python benchmarks/do_no_harm.py RUN/segmenter RUN/prepared/nikon --more fundus=DIR --json build/do_no_harm.json
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import numpy as np
from PIL import Image
from scipy import ndimage

from biostyle.artifacts import BuildOptions
from biostyle.data.prepared import load_prepared, spread
from biostyle.matching.grid import GridSettings
from biostyle.stages.match import CONCORD, match
from biostyle.stages.prepare import prepare_folder
from biostyle.stages.select import read_choice, select
from biostyle.types import NDArray

N_FRAMES = 3
SHAPE = (384, 512)


def simulated(seed: int) -> dict[str, list[NDArray]]:
    """Frames without any object in them."""
    rng = np.random.default_rng(seed)

    def noise(sigma: float, blur: float = 0.0) -> NDArray:
        values = rng.normal(0, 1, SHAPE)
        if blur:
            values = ndimage.gaussian_filter(values, blur)
            values /= values.std()
        return (100 + sigma * values).clip(0, 255).astype(np.uint8)

    return {
        "noise": [noise(20) for _ in range(N_FRAMES)],
        "blurred noise": [noise(20, blur=4) for _ in range(N_FRAMES)],
        "empty, with sensor noise": [noise(2) for _ in range(N_FRAMES)],
    }


def gray(folder: Path) -> list[NDArray]:
    """A few evenly spaced images of a folder, in gray."""
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif"}
    )
    if not paths:
        raise click.BadParameter(f"must hold images, got none in {folder}.")
    return [np.asarray(Image.open(path).convert("L")) for path in spread(paths, N_FRAMES)]


@click.command()
@click.argument("segmenter", type=click.Path(path_type=Path, exists=True))
@click.argument("prepared_a", type=click.Path(path_type=Path, exists=True))
@click.option("--more", multiple=True, metavar="NAME=DIR", help="A further folder of images; repeatable.")
@click.option("--device", default="auto", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures here as well.")
def main(
    segmenter: Path, prepared_a: Path, more: tuple[str, ...], device: str, seed: int, json_path: Path | None
) -> None:
    """Run the deterministic race on images that nobody should adapt to."""
    domain_a = load_prepared(prepared_a)
    cases = {
        "more of A": [domain_a.read_image(row) for row in spread(domain_a.frames("test"), N_FRAMES)],
        **simulated(seed),
        **{name: gray(Path(folder)) for name, _, folder in (text.partition("=") for text in more)},
    }
    options, found = BuildOptions(), {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, frames) in enumerate(cases.items()):
            root = Path(scratch) / str(number)
            (root / "images").mkdir(parents=True)
            for position, frame in enumerate(frames):
                Image.fromarray(frame).save(root / "images" / f"{position}.png")
            prepared = prepare_folder(
                root / "images", None, root / "b", name=name, part="train", options=options
            )
            matching = match(
                prepared, segmenter, root / "matching", GridSettings(), device=device, options=options
            )
            choice = read_choice(
                select(
                    prepared_a,
                    prepared,
                    segmenter,
                    {"matching": matching},
                    root / "choice",
                    n_frames=N_FRAMES,
                    device=device,
                    options=options,
                )
            )
            found[name] = {
                "verdict": choice["verdict"],
                "before": choice["candidates"]["before"]["label_free"],
                "matching": choice["candidates"]["matching"]["label_free"],
                **json.loads((matching / CONCORD).read_text()),
            }
            click.echo(
                f"{name:25} {choice['verdict']:16} before {found[name]['before']:.3f}  "
                f"matching {found[name]['matching']:.3f}  concord {found[name]['concord']:.2f}"
            )
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
