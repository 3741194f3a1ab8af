"""The verb ``inspect``: what two domains are like, and how to begin to match them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from biostyle.matching.fingerprint import DomainFingerprint
    from biostyle.stages.inspect import Inspection

_FOLDER = click.Path(path_type=Path)
_DIAMETER = click.FloatRange(min=0, min_open=True)


@click.command(short_help="Compare two domains and plan how to match them.")
@click.argument("dir_a", type=_FOLDER)
@click.argument("dir_b", type=_FOLDER)
@click.option("--masks-a", type=_FOLDER, help="Masks of A. Default: those of a challenge folder.")
@click.option("--masks-b", type=_FOLDER, help="Masks of B. Default: none; they are not needed.")
@click.option("--segmenter", type=_FOLDER, help="Model directory of S_A: foreground without masks.")
@click.option("--object-diameter-a", type=_DIAMETER, metavar="PX", help="Overrides what is measured.")
@click.option("--object-diameter-b", type=_DIAMETER, metavar="PX", help="Overrides what is estimated.")
@click.option("--polarity", type=click.Choice(["same", "inverted"]), help="Of B compared with A.")
@click.option(
    "--tone",
    type=click.Choice(["linear", "square_root", "logarithm", "background"]),
    help="Tone curve for B, or background subtraction.",
)
@click.option(
    "--n-frames", default=12, show_default=True, type=click.IntRange(1), help="Frames of each to look at."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("-o", "--out", type=_FOLDER, help="Directory to make, with inspection.json.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def inspect(
    dir_a: Path,
    dir_b: Path,
    masks_a: Path | None,
    masks_b: Path | None,
    segmenter: Path | None,
    object_diameter_a: float | None,
    object_diameter_b: float | None,
    polarity: Literal["same", "inverted"] | None,
    tone: Literal["linear", "square_root", "logarithm", "background"] | None,
    n_frames: int,
    device: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure the annotated domain DIR_A and the new domain DIR_B, and propose how to bring B to the look of A.

    Each is a flat folder of images or a Cell Tracking Challenge folder. The plan is a starting point: estimates say
    how far to trust them, and every one can be overridden.
    """
    import json

    from biostyle.artifacts import BuildOptions
    from biostyle.matching.plan import PlanOverrides
    from biostyle.stages import inspect as stage

    overrides = PlanOverrides(
        object_diameter_a_px=object_diameter_a,
        object_diameter_b_px=object_diameter_b,
        polarity=polarity,
        tone=tone,
    )
    source_a = stage.ImageSource(dir_a, masks_a or stage.find_masks(dir_a))
    source_b = stage.ImageSource(dir_b, masks_b)
    if out is None:
        found = stage.inspect_domains(
            source_a, source_b, overrides, segmenter=segmenter, n_frames=n_frames, device=device
        )
    else:
        stage.inspect(
            source_a, source_b, out, overrides=overrides, segmenter=segmenter, n_frames=n_frames, device=device,
            options=BuildOptions(),
        )  # fmt: skip
        found = stage.read_inspection(out)
    if as_json:
        click.echo(json.dumps({"schema": 1, **found.model_dump(mode="json")}, indent=1, sort_keys=True))
    else:
        _print(found, out)


def _print(found: Inspection, out: Path | None) -> None:
    """Print both domains side by side, then the plan."""
    import sys

    from rich.console import Console
    from rich.table import Table

    grid = Table("", "A", "B", title="Domains", title_justify="left", box=None)
    columns = [_describe(fingerprint) for fingerprint in (found.a, found.b)]
    for name in columns[0]:
        grid.add_row(name, *(column[name] for column in columns))
    console = Console(soft_wrap=not sys.stdout.isatty())
    console.print(grid)
    console.print("\nPlan")
    for reason in found.plan.reasons:
        console.print(f"  {reason.about} ({reason.confidence}): {reason.text}", markup=False, highlight=False)
    steps = [
        " ".join(str(v) for v in step.model_dump(exclude_defaults=True).values()) for step in found.plan.steps
    ]
    kinds = [f"{step.kind} {values}".strip() for step, values in zip(found.plan.steps, steps, strict=True)]
    console.print(
        f"  → working scale x{found.plan.working_scale_factor:.2f}, steps: {', '.join(kinds) or 'none'}",
        markup=False,
        highlight=False,
    )
    if out is not None:
        console.print(f"written: {out / 'inspection.json'}", soft_wrap=True, markup=False, highlight=False)


def _describe(f: DomainFingerprint) -> dict[str, str]:
    """Write a fingerprint as the cells of a column."""
    low, high = f.image_diameter_range_px
    from_image = "cannot tell" if f.image_diameter_px is None else f"{f.image_diameter_px:.0f} px"
    fraction = (
        "–" if f.foreground_fraction is None else f"{f.foreground_fraction:.3f} ({f.foreground_source})"
    )
    return {
        "frames": str(f.n_frames),
        "size, px": ", ".join(f"{height} x {width}" for height, width in f.shapes),
        "dtype": ", ".join(f.dtypes),
        "range": f"{f.minimum:g} to {f.maximum:g}",
        "pedestal": f"{f.pedestal:.3f} of the dtype",
        "contrast": f"{f.contrast:.3f} of the dtype",
        "saturated": f"{f.saturated_low:.1%} black, {f.saturated_high:.1%} white",
        "background level": f"{f.background_level:.2f} of the contrast",
        "polarity": f.polarity,
        "skewness": f"{f.skewness:+.1f} ({f.polarity_from_image})",
        "noise": f"{f.noise:.4f} of the contrast",
        "sharpness": f"{f.sharpness:.3f}",
        "detail": f"{f.detail_px:.0f} px",
        "object diameter": "–" if f.object_diameter_px is None else f"{f.object_diameter_px:.0f} px (masks)",
        "diameter, no masks": f"{from_image} ({low:.0f} to {high:.0f}, {f.object_cue})",
        "foreground": fraction,
    }
